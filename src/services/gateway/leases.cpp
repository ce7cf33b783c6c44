#include "services/gateway/leases.hpp"

#include <algorithm>

#include "io/log.hpp"
#include "io/random.hpp"
#include "market/money.hpp"
#include "protocol/audit_draw.hpp"
#include "settle/retry.hpp"

namespace assay::services {

using settle::worth_repeating;

namespace {

// Requests one lease can carry; its audit chain is hashed once through when it opens.
constexpr std::uint64_t kChainLength = protocol::kLeaseRequestsMax;

ApiError too_small(std::string code, std::string message, Micros needed, Micros have) {
  return {.status = 402,
          .code = std::move(code),
          .message = std::move(message),
          .details = {{"needed", market::format_money(needed)},
                      {"available", market::format_money(have)}}};
}

}  // namespace

ApiResult<Micros> Leases::available() {
  auto account = buyer_.settlement.account(buyer_.address);
  if (!account) return std::unexpected(to_api_error(account.error()));
  return account->available;
}

ApiResult<Micros> Leases::affordable(Micros amount, std::string_view why) {
  const Micros bond = buyer_.ledger.parameters.dispute_bond;
  TRY(const Micros have, available());
  if (have - bond >= amount) return have - bond;
  Micros held = 0;
  const auto leases = buyer_.store->unreturned_leases();
  if (!leases) return std::unexpected(to_api_error(leases.error()));
  for (const LeaseRecord& lease : *leases) held += lease.escrow - lease.cumulative;
  const Micros least = amount + bond - have;
  const Micros normal = std::max(amount, buyer_.options.escrow) + bond - have;
  auto error = too_small(
      "account_too_small",
      fmt::format("{} {} and a dispute needs a bond of {}; the account {} has {}, leases hold {} "
                  "until they end: deposit {} for a whole lease (--escrow {}), at least {} for "
                  "this request, or start the gateway with a smaller --escrow, so that each lease "
                  "holds less",
                  why, market::format_money(amount), market::format_money(bond),
                  buyer_.address.to_string(), market::format_money(have),
                  market::format_money(held), market::format_money(normal),
                  market::format_money(buyer_.options.escrow), market::format_money(least)),
      amount + bond, have);
  error.details["held_in_leases"] = market::format_money(held);
  error.details["deposit"] = market::format_money(normal);
  error.details["deposit_least"] = market::format_money(least);
  return std::unexpected(std::move(error));
}

ApiResult<LeaseRecord> Leases::obtain(const market::Candidate& candidate, Micros cap,
                                      bool from_this_offer) {
  if (cap > buyer_.options.escrow)
    return std::unexpected(too_small(
        "escrow_too_small",
        fmt::format("this request may cost up to {}, a lease holds {}: start the gateway with a "
                    "larger --escrow, or lower max_tokens",
                    market::format_money(cap), market::format_money(buyer_.options.escrow)),
        cap, buyer_.options.escrow));

  const std::lock_guard lock(mutex_);
  const protocol::Offer& offer = candidate.offer.message;
  const protocol::OfferModel& model = offer.models[candidate.model];
  auto found =
      buyer_.store->usable_leases(offer.provider, protocol::struct_hash(candidate.execution),
                                  buyer_.now() + buyer_.options.request_s);
  if (!found) return std::unexpected(to_api_error(found.error()));
  const LeaseRecord* short_one = nullptr;  // the newest of those without room
  Micros missing = 0;
  for (LeaseRecord& lease : *found) {
    const protocol::Lease& terms = lease.lease.message;
    // Other prices need another lease; so does a request larger than this one ever held.
    if (terms.price_in != model.price_in || terms.price_out != model.price_out ||
        terms.escrow < cap || (from_this_offer && terms.offer != buyer_.id(offer)) ||
        claim_pending(lease.id))
      continue;
    if (lease.stage == LeaseStage::opening) {
      if (const Status opened = submit_opening(lease); !opened)
        return std::unexpected(to_api_error(opened.error()));
    }
    auto free = buyer_.store->free_escrow(lease.id);
    if (!free) return std::unexpected(to_api_error(free.error()));
    if (*free >= cap) return lease;
    if (short_one != nullptr) continue;
    short_one = &lease;
    missing = cap - *free;
  }
  if (short_one != nullptr) {
    const auto topped = top_up(*short_one, missing);
    if (topped) return *short_one;
    if (topped.error().status == 402) return std::unexpected(topped.error());
    const auto still = usable(*short_one);
    if (!still || *still) return std::unexpected(topped.error());
  }
  return open(candidate, cap, from_this_offer ? cap : buyer_.options.escrow);
}

bool Leases::claim_pending(const Hash& lease) {
  const std::lock_guard lock(claimed_mutex_);
  return claimed_.contains(lease);
}

Status Leases::saw(const LeaseRecord& lease, const market::LeaseView& view) {
  const bool ended = view.state != market::LeaseState::open;
  {
    const std::lock_guard lock(claimed_mutex_);
    if (view.claim)
      claimed_.insert(lease.id);
    else
      claimed_.erase(lease.id);
  }
  if (lease.stage == LeaseStage::open && (ended || !view.may_claim))
    CHECK_OK(buyer_.store->set_lease_stage(lease.id, LeaseStage::ended));
  if (!ended || lease.returned) return {};
  // The rest of the escrow is back. What comes in late may still show that a promise was broken.
  TRY(const auto waiting, buyer_.store->requests_in(RequestStage::signed_off));
  if (std::ranges::any_of(waiting, [&](const auto& r) { return r.lease == lease.id; })) return {};
  return buyer_.store->set_returned(lease.id);
}

Result<bool> Leases::usable(const LeaseRecord& lease) {
  TRY(const market::LeaseView view, buyer_.settlement.lease(lease.id));
  CHECK_OK(saw(lease, view));
  return view.state == market::LeaseState::open && view.may_claim && !view.claim;
}

ApiResult<LeaseRecord> Leases::open(const market::Candidate& candidate, Micros cap, Micros escrow) {
  TRY(const Micros spendable, affordable(cap, "this request may cost up to"));

  const protocol::Offer& offer = candidate.offer.message;
  const protocol::OfferModel& model = offer.models[candidate.model];
  const market::Parameters& rules = buyer_.ledger.parameters;
  LeaseRecord lease;
  lease.offer = candidate.offer;
  lease.execution = candidate.execution;
  lease.audit_seed = io::random_hash();
  lease.chain_length = kChainLength;
  lease.escrow = std::min(escrow, spendable);
  lease.lease = buyer_.sign(protocol::Lease{
      .buyer = buyer_.address,
      .provider = offer.provider,
      .payout = offer.payout,
      .offer = buyer_.id(offer),
      .execution = protocol::struct_hash(candidate.execution),
      .price_in = model.price_in,
      .price_out = model.price_out,
      .escrow = lease.escrow,
      .audit_chain = protocol::audit_link(lease.audit_seed, lease.chain_length, 0),
      .disclosure = static_cast<std::uint32_t>(protocol::Disclosure::referee),
      .window = std::clamp(std::max(buyer_.options.window_s, buyer_.audit_s()), rules.window_min_s,
                           rules.window_max_s),
      .expires = buyer_.now() + std::min(buyer_.options.lease_s, rules.lease_max_s - 60),
      .nonce = io::random_u64(),
  });
  lease.id = buyer_.id(lease.lease.message);
  // Written before the ledger sees it: after a crash the same lease is submitted again.
  Status written = buyer_.store->add_lease(lease);
  if (written) written = submit_opening(lease);
  if (!written) return std::unexpected(to_api_error(written.error()));
  return lease;
}

Status Leases::submit_opening(LeaseRecord& lease) {
  const auto applied =
      buyer_.settlement.submit(market::OpenLease{.lease = lease.lease, .offer = lease.offer});
  if (!applied) {
    if (!worth_repeating(applied.error()))
      CHECK_OK(buyer_.store->set_lease_stage(lease.id, LeaseStage::ended));
    return fail_in("lease", applied.error());
  }
  lease.stage = LeaseStage::open;
  return buyer_.store->set_lease_stage(lease.id, LeaseStage::open);
}

ApiResult<void> Leases::top_up(const LeaseRecord& lease, Micros needed) {
  TRY(const Micros spendable, affordable(needed, "the lease's escrow lacks"));
  // Back to a full lease where the account allows it, so that not every request tops up.
  const Micros held = lease.escrow - lease.cumulative;
  const Micros amount = std::min(spendable, std::max(needed, buyer_.options.escrow - held));
  Store::PendingTopUp top_up;
  top_up.operation = buyer_.sign(protocol::TopUp{
      .buyer = buyer_.address, .lease = lease.id, .amount = amount, .nonce = io::random_u64()});
  top_up.id = buyer_.id(top_up.operation.message);
  Status done = buyer_.store->add_top_up(top_up);
  if (done) done = submit_top_up(top_up);
  if (!done) return std::unexpected(to_api_error(done.error()));
  return {};
}

Status Leases::submit_top_up(const Store::PendingTopUp& top_up) {
  const auto applied = buyer_.settlement.submit(top_up.operation);
  if (applied) return buyer_.store->top_up_done(top_up.id, true);
  if (!worth_repeating(applied.error())) CHECK_OK(buyer_.store->top_up_done(top_up.id, false));
  return fail_in("top-up", applied.error());
}

Status Leases::settle(const Hash& lease) {
  TRY(const auto settlement,
      buyer_.store->take_settlement(
          lease, [&](const protocol::Settlement& message) { return buyer_.sign(message); }));
  if (!settlement) return {};
  return submit_settlement({lease, *settlement});
}

Status Leases::submit_settlement(const Store::PendingSettlement& settlement) {
  const auto applied = buyer_.settlement.submit(settlement.operation);
  const Micros cumulative = settlement.operation.message.cumulative;
  if (applied) return buyer_.store->settlement_done(settlement.lease, cumulative);
  if (worth_repeating(applied.error())) return fail_in("settlement", applied.error());
  // A higher total was paid already (a claim), or the lease is over: nothing is left to pay.
  io::log_warn("settlement not taken: {}", applied.error().message);
  return buyer_.store->settlement_done(settlement.lease, cumulative);
}

Status Leases::close_if_due(const LeaseRecord& lease) {
  const protocol::Lease& terms = lease.lease.message;
  if (lease.returned || lease.stage == LeaseStage::opening) return {};
  if (buyer_.now() <= terms.expires + terms.window) return {};
  const auto applied = buyer_.settlement.submit(
      buyer_.sign(protocol::Close{.account = buyer_.address, .lease = lease.id}));
  if (!applied && worth_repeating(applied.error())) return fail_in("close", applied.error());
  // Refused while a claim or dispute is pending; closed by the provider before; never opened.
  const auto view = buyer_.settlement.lease(lease.id);
  // What is over by the clock must not hold the escrow because nobody says so.
  if (view)
    for (const Hash& id : view->open_disputes)
      if (const auto open = buyer_.settlement.dispute(id);
          open && open->about != market::DisputeAbout::claim && buyer_.now() >= open->due)
        (void)buyer_.settlement.submit(
            buyer_.sign(protocol::Timeout{.account = buyer_.address, .dispute = id}));
  const bool over =
      view ? view->state != market::LeaseState::open : view.error().code == Errc::not_found;
  return over ? buyer_.store->set_returned(lease.id) : Status{};
}

Status Leases::catch_up() {
  Status outcome;
  const auto note = [&](const Status& status) {
    if (!status) outcome = status;
  };
  const std::lock_guard lock(mutex_);
  TRY(auto leases, buyer_.store->unreturned_leases());
  for (LeaseRecord& lease : leases) {
    if (lease.stage == LeaseStage::opening) note(submit_opening(lease));
    note(close_if_due(lease));
  }
  TRY(const auto top_ups, buyer_.store->pending_top_ups());
  for (const auto& top_up : top_ups) note(submit_top_up(top_up));
  TRY(const auto settlements, buyer_.store->pending_settlements());
  for (const auto& settlement : settlements) note(submit_settlement(settlement));
  return outcome;
}

}  // namespace assay::services
