// A provider as the gateway talks to it: /v1/infer, /v1/receipt, /v1/trace
// (protocol/inference.hpp). What comes back is checked for form here and for truth by the caller.
#pragma once
#include <functional>

#include "io/http_client.hpp"
#include "protocol/inference.hpp"

namespace assay::services {

struct ProviderLimits {
  std::int64_t connect_ms = 3'000;
  std::int64_t idle_ms = 30'000;    // longest silence, also before the first token
  std::int64_t total_ms = 600'000;  // a whole answer
};

class ProviderClient {
 public:
  explicit ProviderClient(const ProviderLimits& limits);

  // One call of /v1/infer. The handler gets each event; its error ends the call with that error.
  // Ends well only after the handler returned `done`. Errors: refused with the provider's words (a
  // reply that is not 2xx), cancelled, unavailable (unreachable, cut off), invalid (not our wire).
  enum class Next { more, done };
  using OnEvent = std::function<Result<Next>(const protocol::InferenceEvent&)>;
  Status infer(const std::string& endpoint, const protocol::InferenceCall& call,
               const OnEvent& on_event, const std::function<bool()>& cancelled);

  // not_found when the provider does not know the request, unavailable when it has no receipt yet.
  Result<protocol::ReceiptReply> receipt(const std::string& endpoint,
                                         const protocol::Recall& recall);
  Result<protocol::TraceReply> trace(const std::string& endpoint, const protocol::Recall& recall);

 private:
  Result<json::value> post(const std::string& url, const json::object& body);
  io::HttpClient stream_, calls_;
};

}  // namespace assay::services
