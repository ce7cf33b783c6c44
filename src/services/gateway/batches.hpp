// Batches (OpenAI API reference, "Batch"): a file of requests, answered line by line in the
// background. Each line is a job of its own (jobs.hpp), so a batch goes on after a restart with the
// line it was at and pays for each line once. Lines are asked for at the prices of the moment:
// nothing makes them cheaper than other requests but a max_price that waits for a provider.
#pragma once
#include "base/repeating.hpp"
#include "services/gateway/api_fields.hpp"
#include "services/gateway/completions.hpp"
#include "services/gateway/file_store.hpp"

namespace assay::services {

class Batches {
 public:
  // parallel: lines answered at once. Each counts against its key's limits once, like a request
  // sent alone, and waits until there is room.
  Batches(Buyer& buyer, Completions& completions, Gatekeeper& gatekeeper, FileStore& files,
          unsigned parallel);
  ~Batches();  // stop()

  // Takes up what an earlier process left.
  void start();
  // The lines at hand are abandoned, and continued at the next start.
  void stop();

  ApiResult<json::object> create(const Caller& caller, std::string_view body);
  ApiResult<json::object> find(const Caller& caller, const std::string& id);
  ApiResult<json::object> cancel(const Caller& caller, const std::string& id);
  ApiResult<std::vector<json::object>> list(const Caller& caller);  // newest first

 private:
  struct Line {
    std::string custom_id;
    json::object body;
  };
  struct Lines {
    std::vector<Line> good;
    json::array errors;
  };
  void round();
  Status run(BatchRecord batch);
  Lines read_lines(const BatchRecord& batch, std::string_view text) const;
  // Answers what is not answered. Errors: what the lines left over are refused with.
  ApiResult<void> work(const BatchRecord& batch, const std::vector<Line>& lines);
  void answer_line(const BatchRecord& batch, const Caller& caller, const Line& line,
                   std::size_t number);
  Status finish(BatchRecord batch, const std::vector<Line>& lines, const ApiError& left_over);
  bool wait(const BatchRecord& batch, std::int64_t ms);  // false: it ended meanwhile
  bool ended(const BatchRecord& batch);  // cancelled, expired, or this process stops
  ApiResult<BatchRecord> owned(const Caller& caller, const std::string& id);
  std::string folder(const BatchRecord& batch) const;
  std::string line_path(const BatchRecord& batch, std::size_t number) const;
  json::object shown(const BatchRecord& batch) const;

  Buyer& buyer_;
  Completions& completions_;
  Gatekeeper& gatekeeper_;
  FileStore& files_;
  unsigned parallel_;
  std::atomic<bool> stopping_ = false;
  Repeating thread_;
};

}  // namespace assay::services
