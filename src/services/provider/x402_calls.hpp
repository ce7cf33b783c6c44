// What was asked of this provider by x402, in SQLite: the call that was made of each payment's
// request, before it is computed. So whoever asks again, also another process, asks for the same
// bits. Every method is one transaction that is on disk when it returns; any thread may call.
#pragma once
#include <memory>
#include <mutex>
#include <optional>

#include "io/sqlite.hpp"
#include "protocol/inference.hpp"

namespace assay::services {

struct X402Call {
  protocol::Signed<protocol::Offer> offer;
  protocol::InferenceCall call;
  std::int64_t made_s = 0;
};

class X402Calls {
 public:
  static Result<std::unique_ptr<X402Calls>> open(const std::string& path);

  Result<std::optional<X402Call>> find(const Hash& sale);
  // In the place of the sale's earlier one, which was never answered.
  Status put(const Hash& sale, const X402Call& call);

 private:
  explicit X402Calls(std::unique_ptr<io::Database> db) : db_(std::move(db)) {}
  std::unique_ptr<io::Database> db_;
  std::mutex mutex_;
};

}  // namespace assay::services
