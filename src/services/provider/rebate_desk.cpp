#include "services/provider/rebate_desk.hpp"

#include "base/hex.hpp"
#include "io/log.hpp"
#include "market/money.hpp"

namespace assay::services {

using protocol::RebateAcceptance;
using protocol::Signed;

Result<Signed<RebateAcceptance>> RebateDesk::answer(const protocol::RebateCall& call) {
  auto decided = decide(call);
  if (decided)
    ++given_;
  else
    ++refused_;
  return decided;
}

Result<Signed<RebateAcceptance>> RebateDesk::decide(const protocol::RebateCall& call) {
  const protocol::Rebate& rebate = call.rebate.message;
  TRY(const auto stored, core_.store->request(rebate.request));
  if (!stored || !stored->outcome)
    return fail(Errc::not_found, "there is no receipt for this request");
  TRY(const auto lease, core_.store->lease(stored->request.message.lease));
  if (!lease) return fail(Errc::not_found, "there is no such lease here");
  const protocol::Request& request = stored->request.message;
  const protocol::Receipt& receipt = stored->outcome->receipt.message;
  CHECK_OK(
      protocol::check_rebate(core_.ledger.domain, lease->lease.message, request, receipt, call));
  const Hash id = core_.id(rebate);
  const auto known = [&](const StoredRebate& given) -> Result<Signed<RebateAcceptance>> {
    if (core_.id(given.rebate.message) == id) return given.acceptance;
    return fail(Errc::conflict, "this request has another rebate already");
  };
  if (stored->rebate) return known(*stored->rebate);

  const auto promised = protocol::promised(call.offer.message, request, receipt.count);
  const auto said = protocol::lateness(promised, {rebate.first_token_ms, rebate.stream_ms});
  const protocol::AnswerTimes own = stored->times.value_or(protocol::AnswerTimes{});
  const std::uint64_t allowance = core_.options.rebate_allowance_ms;
  const auto seen =
      protocol::lateness(promised, {own.first_token_ms + allowance, own.stream_ms + allowance});
  if (!stored->times || !((said.first_token && seen.first_token) || (said.stream && seen.stream)))
    return fail(Errc::refused,
                "by this provider's clock the answer was in time: first token after {} ms of {} "
                "promised, the rest in {} ms of {}; the network took more than the {} ms allowed "
                "for it",
                own.first_token_ms, promised.first_token_ms, own.stream_ms, promised.stream_ms,
                allowance);
  const StoredRebate fresh{call.rebate, core_.sign(RebateAcceptance{core_.address, id})};
  TRY(const StoredRebate given, core_.store->add_rebate(rebate.request, fresh));
  io::log_fields(io::LogLevel::info, "rebate given",
                 {{"request", to_hex(rebate.request)},
                  {"lease", to_hex(rebate.lease)},
                  {"amount", market::format_money(rebate.amount)}});
  return known(given);
}

void RebateDesk::show(io::Metrics& metrics) const {
  constexpr io::Metric kAsked{"assay_provider_rebates_asked", "Calls for rebates, by their end."};
  metrics.set(kAsked, {{"end", "given"}}, static_cast<double>(given_));
  metrics.set(kAsked, {{"end", "refused"}}, static_cast<double>(refused_));
}

}  // namespace assay::services
