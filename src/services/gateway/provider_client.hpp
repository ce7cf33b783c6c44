// A provider as the gateway talks to it: /v1/infer, /v1/receipt, /v1/trace, /v1/dispute
// (protocol/inference.hpp). What comes back is checked for form here and for truth by the caller.
#pragma once
#include <functional>

#include "io/http_client.hpp"
#include "market/operation.hpp"
#include "protocol/auction.hpp"
#include "protocol/inference.hpp"
#include "protocol/rebates.hpp"
#include "protocol/states.hpp"

namespace assay::services {

struct ProviderLimits {
  std::int64_t connect_ms = 3'000;
  std::int64_t idle_ms = 30'000;    // longest silence, also before the first token
  std::int64_t total_ms = 600'000;  // a whole answer
  bool plain_http = false;          // prompts may cross a network in the clear
};

class ProviderClient {
 public:
  explicit ProviderClient(const ProviderLimits& limits);

  // One call of /v1/infer. The handler gets each event; its error ends the call with that error.
  // refused_with: gets the status of a reply that is not 2xx.
  // Ends well only after the handler returned `done`. Errors: refused with the provider's words (a
  // reply that is not 2xx), cancelled, unavailable (unreachable, cut off), invalid (not our wire).
  enum class Next { more, done };
  using OnEvent = std::function<Result<Next>(const protocol::InferenceEvent&)>;
  Status infer(const std::string& endpoint, const protocol::InferenceCall& call,
               const OnEvent& on_event, const std::function<bool()>& cancelled, int& refused_with);

  // not_found when the provider does not know the request, unavailable when it has no receipt yet.
  Result<protocol::ReceiptReply> receipt(const std::string& endpoint,
                                         const protocol::Recall& recall);
  Result<protocol::TraceReply> trace(const std::string& endpoint, const protocol::Recall& recall);

  // One call of /v1/states: `take` gets each position; its error ends the call with that error.
  // mismatch: the stream is not our wire. refused, unavailable, …: the provider's words.
  Status states(const std::string& endpoint, const protocol::StatesCall& call,
                const std::function<Status(protocol::PositionStates)>& take);
  Result<protocol::TensorsReply> tensors(const std::string& endpoint, const Hash& execution);
  // A bid, unless `cancelled` says so first.
  Result<protocol::BidReply> bid(const std::string& endpoint,
                                 const protocol::Signed<protocol::BidCall>& call,
                                 const std::function<bool()>& cancelled);
  Result<protocol::Signed<protocol::Offer>> award(const std::string& endpoint,
                                                  const protocol::AwardCall& call);
  // refused, conflict, not_found: its words; unavailable: no answer.
  Result<protocol::Signed<protocol::RebateAcceptance>> rebate(const std::string& endpoint,
                                                              const protocol::RebateCall& call);
  // The provider's next move in a dispute about what it signed.
  Result<market::SignedMove> dispute(const std::string& endpoint,
                                     const market::FileDispute& dispute);

 private:
  Result<json::value> post(const std::string& url, const json::object& body);
  io::HttpClient stream_, calls_, states_;
};

}  // namespace assay::services
