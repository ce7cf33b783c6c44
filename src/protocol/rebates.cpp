#include "protocol/rebates.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/int128.hpp"
#include "protocol/rules.hpp"

namespace assay::protocol {

json::object to_json(const RebateCall& call) {
  return {{"rebate", to_json(call.rebate)}, {"offer", to_json(call.offer)}};
}

Result<RebateCall> rebate_call_from_json(const json::object& o) {
  RebateCall out;
  FieldReader read(o, "a rebate call");
  read("rebate", out.rebate);
  read("offer", out.offer);
  CHECK_OK(read.finish());
  return out;
}

void AnswerClock::token(std::int64_t came_ms, std::int64_t ready_ms) {
  if (!first_ms_) first_ms_ = came_ms;
  last_ms_ = came_ms;
  kept_before_last_ms_ = kept_ms_;
  kept_ms_ += ready_ms - came_ms;
}

AnswerTimes AnswerClock::times() const {
  if (!first_ms_) return {};
  const auto positive = [](std::int64_t ms) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0));
  };
  return {positive(*first_ms_ - asked_ms_), positive(last_ms_ - *first_ms_ - kept_before_last_ms_)};
}

AnswerTimes promised(const Offer& offer, const Request& request, std::uint32_t count) {
  const std::uint64_t prompts =
      (std::uint64_t{request.prompt_count} + kPromisedPrompt - 1) / kPromisedPrompt;
  return {request.continuation > 0 ? 0 : offer.first_token_ms * prompts,
          count < 2 ? 0 : std::uint64_t{offer.per_token_ms} * (count - 1)};
}

Lateness lateness(const AnswerTimes& promised, const AnswerTimes& taken) {
  return {promised.first_token_ms > 0 && taken.first_token_ms > promised.first_token_ms,
          promised.stream_ms > 0 && taken.stream_ms > promised.stream_ms};
}

Micros rebate_amount(const Offer& offer, Micros amount) {
  ASSAY_ASSERT(amount >= 0 && offer.rebate_ppm <= kRebateMax);
  return static_cast<Micros>(static_cast<Uint128>(amount) * offer.rebate_ppm / 1'000'000);
}

Status check_rebate(const Domain& domain, const Lease& lease, const Request& request,
                    const Receipt& receipt, const RebateCall& call) {
  const Rebate& rebate = call.rebate.message;
  const Offer& offer = call.offer.message;
  CHECK_OK(check_signature(domain, call.rebate, lease.buyer));
  CHECK_OK(check_signature(domain, call.offer, lease.provider));
  if (rebate.buyer != lease.buyer)
    return fail(Errc::mismatch, "rebate: the lease is another buyer's");
  if (digest(domain, offer) != lease.offer)
    return fail(Errc::mismatch, "rebate: the lease was agreed under another offer");
  if (rebate.lease != digest(domain, lease) || request.lease != rebate.lease ||
      rebate.request != digest(domain, request) || receipt.request != rebate.request)
    return fail(Errc::mismatch, "rebate: lease, request and receipt do not belong together");
  if (offer.rebate_ppm == 0 || offer.rebate_ppm > kRebateMax)
    return fail(Errc::refused, "rebate: the lease's offer promises none");
  if (for_batches(lease, offer))
    return fail(Errc::refused, "rebate: the lease is at prices for batches, which may wait");
  const Micros amount = rebate_amount(offer, receipt.amount);
  if (rebate.amount != amount || amount == 0)
    return fail(Errc::mismatch, "rebate: {} micro-units are asked for, {} millionths of {} are {}",
                rebate.amount, offer.rebate_ppm, receipt.amount, amount);
  if (!lateness(promised(offer, request, receipt.count), {rebate.first_token_ms, rebate.stream_ms}))
    return fail(Errc::refused, "rebate: by its own figures the answer came in time");
  return {};
}

Status check_acceptance(const Domain& domain, const Lease& lease, const Rebate& rebate,
                        const Signed<RebateAcceptance>& acceptance) {
  CHECK_OK(check_signature(domain, acceptance, lease.provider));
  if (acceptance.message.provider != lease.provider ||
      acceptance.message.rebate != digest(domain, rebate))
    return fail(Errc::mismatch, "the acceptance is of another rebate");
  return {};
}

}  // namespace assay::protocol
