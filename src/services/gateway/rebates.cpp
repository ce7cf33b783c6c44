#include "services/gateway/rebates.hpp"

#include <limits>

#include "base/hex.hpp"
#include "io/log.hpp"
#include "market/money.hpp"
#include "protocol/rebates.hpp"
#include "services/gateway/store_rows.hpp"

namespace assay::services {
namespace {

using market::format_money;
using protocol::AnswerTimes;

std::uint32_t clamped(std::uint64_t ms) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(ms, std::numeric_limits<std::uint32_t>::max()));
}

// Beyond the promise by more than the network may take.
AnswerTimes with_margin(AnswerTimes promised, std::uint32_t margin_ms) {
  if (promised.first_token_ms > 0) promised.first_token_ms += margin_ms;
  if (promised.stream_ms > 0) promised.stream_ms += margin_ms;
  return promised;
}

json::value parsed(const std::string& text) {
  auto value = json::parse(text);
  return value ? std::move(*value) : json::value();
}

}  // namespace

Status Rebates::note(const RequestRecord& record, const LeaseRecord& lease,
                     const AnswerTimes& times, std::size_t tokens) {
  const protocol::Offer& offer = lease.offer.message;
  if (offer.rebate_ppm == 0) return {};
  const auto promised =
      with_margin(protocol::promised(offer, record.request.message, clamped(tokens)),
                  buyer_.options.rebate_margin_ms);
  if (!protocol::lateness(promised, times)) return {};
  return buyer_.store->add_rebate({.request = record.id,
                                   .first_token_ms = clamped(times.first_token_ms),
                                   .stream_ms = clamped(times.stream_ms)});
}

Status Rebates::conclude(RebateRecord rebate, const Address& provider, RebateState state,
                         std::string reason) {
  const RebateState from = rebate.state;
  rebate.state = state;
  rebate.reason = std::move(reason);
  if (state != RebateState::accepted && from == RebateState::due) rebate.amount = 0;
  CHECK_OK(buyer_.store->update_rebate(rebate, from));
  if (state == RebateState::lapsed) return {};
  market_.rebate(provider, end_of(state));
  io::log_fields(io::LogLevel::info, "rebate",
                 {{"request", to_hex(rebate.request)},
                  {"provider", provider.to_string()},
                  {"state", std::string(to_string(state))},
                  {"amount", format_money(rebate.amount)},
                  {"reason", rebate.reason}});
  return {};
}

Status Rebates::ask(const RequestRecord& record) {
  TRY(auto found, buyer_.store->rebate(record.id));
  if (!found || found->state != RebateState::due) return {};
  RebateRecord rebate = std::move(*found);
  TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
  const protocol::Lease& terms = lease.lease.message;
  const auto* receipt =
      record.statement ? std::get_if<Signed<protocol::Receipt>>(&*record.statement) : nullptr;
  const auto nothing = [&](std::string why) {
    return conclude(rebate, terms.provider, RebateState::lapsed, std::move(why));
  };
  if (receipt == nullptr) return nothing("there is no receipt, only progress");
  const protocol::Offer& offer = lease.offer.message;
  const auto promised = protocol::promised(offer, record.request.message, receipt->message.count);
  if (!protocol::lateness(promised, {rebate.first_token_ms, rebate.stream_ms}))
    return nothing("in time for all the tokens that the receipt is for");
  const Micros amount = protocol::rebate_amount(offer, receipt->message.amount);
  if (amount == 0) return nothing("too small to come to a micro-unit");

  // The same question however often it is asked, also by the next run of this process.
  const protocol::RebateCall call{
      buyer_.sign(protocol::Rebate{.buyer = buyer_.address,
                                   .lease = record.lease,
                                   .request = record.id,
                                   .first_token_ms = rebate.first_token_ms,
                                   .stream_ms = rebate.stream_ms,
                                   .amount = amount}),
      lease.offer};
  if (rebate.proposal.empty()) {
    rebate.proposal = rows::signed_text(call.rebate);
    rebate.since_s = buyer_.clock.now_s();
    CHECK_OK(buyer_.store->update_rebate(rebate, RebateState::due));
  }
  const auto given = buyer_.providers.rebate(market_.endpoint_of(lease), call);
  if (given) {
    if (const Status sound =
            protocol::check_acceptance(buyer_.ledger.domain, terms, call.rebate.message, *given);
        !sound)
      return conclude(rebate, terms.provider, RebateState::refused,
                      "its acceptance is none: " + sound.error().message);
    rebate.amount = amount;
    rebate.acceptance = rows::signed_text(*given);
    return conclude(rebate, terms.provider, RebateState::accepted, "");
  }
  if (given.error().code != Errc::unavailable)
    return conclude(rebate, terms.provider, RebateState::refused, given.error().message);
  if (buyer_.clock.now_s() < rebate.since_s + buyer_.options.rebate_wait_s)
    return std::unexpected(given.error());
  return conclude(rebate, terms.provider, RebateState::unanswered, given.error().message);
}

Status Rebates::look(const LeaseRecord& lease, const market::LeaseView& view) {
  TRY(const Store::Known known, buyer_.store->known(lease.id));
  const Micros asked = view.claim ? std::max(view.claim->total, view.paid) : view.paid;
  // Where a receipt may be missing here, the claim may be for that.
  if (known.owed == known.receipted || !known.complete || asked <= known.owed) return {};
  TRY(const auto rebates, buyer_.store->rebates());
  for (RebateRecord rebate : rebates) {
    if (rebate.state != RebateState::accepted) continue;
    TRY(const RequestRecord request, buyer_.store->request(rebate.request));
    if (request.lease != lease.id) continue;
    io::log_warn("provider {} claims {} of a lease of which it had agreed to {}",
                 lease.lease.message.provider.to_string(), format_money(asked),
                 format_money(known.owed));
    CHECK_OK(conclude(std::move(rebate), lease.lease.message.provider, RebateState::broken,
                      fmt::format("{} was claimed where {} was agreed{}", format_money(asked),
                                  format_money(known.owed),
                                  view.claim ? ", claim " + to_hex(view.claim->id) : "")));
  }
  return {};
}

void Rebates::show(io::Metrics& metrics) {
  constexpr io::Metric kCount{"assay_gateway_rebates", "Answers later than promised, by state."};
  constexpr io::Metric kMoney{"assay_gateway_rebate_micros", "What is taken off for them."};
  const auto totals = buyer_.store->rebate_totals();
  if (!totals) return;
  for (const auto& total : *totals) {
    metrics.set(kCount, {{"state", total.state}}, static_cast<double>(total.rebates));
    metrics.set(kMoney, {{"state", total.state}}, static_cast<double>(total.amount));
  }
}

json::object rebate_object(Buyer& buyer, const RebateRecord& rebate) {
  json::object out{{"request", to_hex(rebate.request)}};
  if (const auto request = buyer.store->request(rebate.request)) {
    out["lease"] = to_hex(request->lease);
    if (const auto lease = buyer.store->lease(request->lease))
      out["provider"] = lease->lease.message.provider.to_string();
  }
  out["state"] = to_string(rebate.state);
  out["first_token_ms"] = rebate.first_token_ms;
  out["stream_ms"] = rebate.stream_ms;
  out["amount"] = format_money(rebate.amount);
  out["reason"] = rebate.reason;
  out["rebate"] = parsed(rebate.proposal);
  out["acceptance"] = parsed(rebate.acceptance);
  return out;
}

}  // namespace assay::services
