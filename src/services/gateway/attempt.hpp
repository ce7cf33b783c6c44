// One signed request to one provider.
#pragma once
#include <functional>

#include "engine/grammar/tool_call.hpp"
#include "services/gateway/intake.hpp"
#include "services/gateway/leases.hpp"
#include "services/gateway/rebates.hpp"

namespace assay::services {

// What is to be generated, the same for every provider tried.
struct Plan {
  std::shared_ptr<const LocalModel> model;
  std::string model_name;  // as the client said it
  std::vector<std::uint32_t> prompt, stop_ids;
  Bytes automaton{};                          // of the constraint in `sampling`
  std::optional<engine::ToolFormat> calls{};  // how the model writes calls; none: none are allowed
  protocol::Request sampling;  // its sampling fields, seed and log-probabilities; the rest is empty
  std::optional<std::uint32_t> max_tokens;  // none: what context and escrow allow
  bool always_audit = false;
  // Who is asked, in this order; empty: whoever the market offers.
  std::vector<market::Candidate> candidates{};
  json::object auction{};  // where they come from one: what the client is told about it
  Spender spender{};
  std::string job{};      // what its requests are kept under; "": nothing (jobs.hpp)
  bool may_wait = false;  // part of a batch: at prices for that, behind those who do not wait
};

struct Attempt {
  enum class End {
    receipt,   // complete: the receipt is checked and filed
    complete,  // the answer is complete, its receipt did not come or is not valid
    stopped,   // on_tokens or the client said so
    died,      // after the first token
    refused,   // before the first token
  };
  End end = End::refused;
  Address provider{};
  Hash lease{};
  std::optional<RequestRecord> record;  // once signed
  std::vector<std::uint32_t> tokens;    // delivered to on_tokens, in order
  std::vector<std::uint32_t> logprobs;  // theirs (protocol/tokens.hpp)
  std::optional<protocol::Finish> finish;
  bool busy = false;  // the provider said that it has no room now: nothing was begun
  // Why it did not end with a receipt. 402 and 429: nobody was asked, for want of money.
  std::optional<ApiError> error;
};

class Attempts {
 public:
  Attempts(Buyer& buyer, Leases& leases, Intake& intake, MarketView& market, Rebates& rebates)
      : buyer_(buyer), leases_(leases), intake_(intake), market_(market), rebates_(rebates) {}

  // earlier: answer tokens the client has already, from a provider that died: they become the
  // continuation at the prompt's end. on_tokens: false stops. Blocks; bounded by the provider
  // limits. A provider that has closed the lease, or claims from it, is asked once more in a new
  // one: the first request then comes to nothing.
  Attempt run(const Plan& plan, const market::Candidate& candidate,
              std::span<const std::uint32_t> earlier,
              const std::function<bool(const protocol::TokenEvent&)>& on_tokens,
              const std::function<bool()>& cancelled,
              const std::function<void()>& on_asked = {});  // as the signed request is sent
  Result<Intake::PickedUp> pick_up(const RequestRecord& record) { return intake_.pick_up(record); }

  // The most tokens of a request to this candidate, and their price. Where the plan has no limit,
  // what `most` and one lease can pay; at least one, so that too small a budget is reported with
  // its numbers.
  struct Size {
    std::uint32_t max_tokens = 0;
    Micros cap = 0;
  };
  ApiResult<Size> size(const Plan& plan, const market::Candidate& candidate, std::size_t earlier,
                       Micros most) const;
  // Sees to it that a lease has room for a first request of the plan.
  ApiResult<void> prepare(const Plan& plan, const market::Candidate& candidate);
  // 402 when the account cannot open a lease for so much.
  ApiResult<void> affordable(Micros amount) const;
  // Of the budget; the most a number holds where there is none.
  ApiResult<Micros> left(const Spender& spender) const;

 private:
  ApiResult<protocol::InferenceCall> sign_request(const Plan& plan,
                                                  const market::Candidate& candidate,
                                                  std::span<const std::uint32_t> earlier,
                                                  Attempt& attempt, LeaseRecord& lease);
  void stream(const protocol::InferenceCall& call, const LeaseRecord& lease,
              std::uint32_t vocabulary,
              const std::function<bool(const protocol::TokenEvent&)>& on_tokens,
              const std::function<bool()>& cancelled, Attempt& attempt);
  // Whether the provider refused because the lease takes no requests any more, or not now.
  bool needs_another_lease(Attempt& attempt, const LeaseRecord& lease);
  void save_partial(const protocol::InferenceCall& call,
                    const std::optional<Signed<protocol::Progress>>& progress, Attempt& attempt);
  void await_receipt(Attempt& attempt, const std::function<bool()>& cancelled);

  Buyer& buyer_;
  Leases& leases_;
  Intake& intake_;
  MarketView& market_;
  Rebates& rebates_;
};

}  // namespace assay::services
