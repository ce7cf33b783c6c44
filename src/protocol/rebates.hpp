// What a slow answer costs less (spec/messages.md, "Rebates"): a promise every offer may make,
// fixed in the leases that name it, and kept by mutual settlement. No ledger knows of it.
//
//   POST /v1/rebate   RebateCall → signed RebateAcceptance; refusals as of every call
// One rebate for one request: asked for again, the same acceptance comes back.
#pragma once
#include <optional>

#include "protocol/typed.hpp"

namespace assay::protocol {

// Buyer-signed: the answer came later than its lease's offer promised.
struct Rebate {
  static constexpr std::string_view kName = "Rebate";
  Address buyer{};
  Hash lease{}, request{};
  // As it came in at the buyer, without the time it kept the stream waiting; 0: not measured.
  std::uint32_t first_token_ms = 0;  // from the call to the first token
  std::uint32_t stream_ms = 0;       // from the first token to the last
  Micros amount = 0;                 // rebate_amount
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("buyer", s.buyer);
    v("lease", s.lease);
    v("request", s.request);
    v("first_token_ms", s.first_token_ms);
    v("stream_ms", s.stream_ms);
    v("amount", s.amount);
  }
};

// Provider-signed: the receipt of that request is paid with so much less, by a settlement or by a
// claim. A claim for more is this signature broken.
struct RebateAcceptance {
  static constexpr std::string_view kName = "RebateAcceptance";
  Address provider{};
  Hash rebate{};  // digest of the Rebate
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("provider", s.provider);
    v("rebate", s.rebate);
  }
};

// The offer travels along: its provider may have replaced it since.
struct RebateCall {
  Signed<Rebate> rebate;
  Signed<Offer> offer;
};
json::object to_json(const RebateCall& call);
Result<RebateCall> rebate_call_from_json(const json::object& o);

struct AnswerTimes {
  std::uint64_t first_token_ms = 0, stream_ms = 0;  // as in Rebate
};

// The times of one answer on one side of the wire, in milliseconds of a clock that never jumps.
// What that side does with a token before it is ready for the next is not the other's time.
class AnswerClock {
 public:
  explicit AnswerClock(std::int64_t asked_ms) : asked_ms_(asked_ms) {}
  // came ≤ ready; both later than before.
  void token(std::int64_t came_ms, std::int64_t ready_ms);
  bool has_token() const { return first_ms_.has_value(); }
  AnswerTimes times() const;  // zeros without a token

 private:
  std::int64_t asked_ms_;
  std::optional<std::int64_t> first_ms_;
  std::int64_t last_ms_ = 0, kept_ms_ = 0, kept_before_last_ms_ = 0;
};

// An offer's `first_token_ms` is about prompts of so many tokens, and as much longer for longer
// ones, each begun multiple counting whole.
inline constexpr std::uint32_t kPromisedPrompt = 16;

// The latest that an answer of `count` tokens may come and be in time. 0: nothing is promised about
// that part: where the offer claims no time, for the first token of a continuation (another
// provider's text is checked on the way), for the rest of a single token.
AnswerTimes promised(const Offer& offer, const Request& request, std::uint32_t count);
struct Lateness {
  bool first_token = false, stream = false;
  explicit operator bool() const { return first_token || stream; }
};
Lateness lateness(const AnswerTimes& promised, const AnswerTimes& taken);

// Rounded down.
Micros rebate_amount(const Offer& offer, Micros amount);

// The buyer signed for this request and receipt, under an offer that is the lease's, and by its own
// figures the answer was late. Whether the figures are right is for whoever has a clock.
Status check_rebate(const Domain& domain, const Lease& lease, const Request& request,
                    const Receipt& receipt, const RebateCall& call);
Status check_acceptance(const Domain& domain, const Lease& lease, const Rebate& rebate,
                        const Signed<RebateAcceptance>& acceptance);

}  // namespace assay::protocol
