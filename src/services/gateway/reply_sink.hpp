// Where one answer of the API goes: to an HTTP client, into a file that is kept, or both.
#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "io/http_response.hpp"

namespace assay::services {

// One thread at a time. Either whole() once, or event()… and end_stream().
struct ReplySink {
  virtual ~ReplySink() = default;
  virtual void header(std::string_view name, std::string_view value) = 0;  // before all others
  virtual void whole(int status, const json::object& body) = 0;
  // The first opens the stream. false: nobody reads any more.
  virtual bool event(std::string_view data) = 0;
  virtual void end_stream() = 0;
  virtual bool started() const = 0;
  virtual bool gone() = 0;  // nobody waits for it: stop working
};

class ClientSink : public ReplySink {
 public:
  explicit ClientSink(io::HttpResponse& response) : response_(response) {}
  void header(std::string_view name, std::string_view value) override;
  void whole(int status, const json::object& body) override;
  bool event(std::string_view data) override;
  void end_stream() override { response_.end(); }
  bool started() const override { return response_.started(); }
  bool gone() override { return response_.client_gone(); }

 private:
  io::HttpResponse& response_;
};

// An answer as it was sent, to be sent again byte for byte.
struct KeptAnswer {
  std::vector<std::pair<std::string, std::string>> headers;
  json::object body;                // of a whole answer
  std::vector<std::string> events;  // of a stream
  bool stream = false;

  void send(ReplySink& sink) const;
  std::string to_text() const;
  static Result<KeptAnswer> from_text(std::string_view text);
};

// Passes everything on and remembers it. A client that leaves does not end the work: it may ask
// again. `abandon` does.
class KeptSink : public ReplySink {
 public:
  KeptSink(ReplySink& client, std::function<bool()> abandon)
      : client_(client), abandon_(std::move(abandon)) {}
  void header(std::string_view name, std::string_view value) override;
  void whole(int status, const json::object& body) override;
  bool event(std::string_view data) override;
  void end_stream() override;
  bool started() const override { return kept_.stream || done_; }
  bool gone() override { return abandon_(); }

  // The whole of a good answer; null when it failed or was abandoned.
  const KeptAnswer* answer() const { return good_ ? &kept_ : nullptr; }

 private:
  ReplySink& client_;
  std::function<bool()> abandon_;
  KeptAnswer kept_;
  bool done_ = false, good_ = false;
};

}  // namespace assay::services
