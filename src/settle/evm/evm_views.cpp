// What a ledger's readers ask for, from records, events and calls.
#include <ranges>

#include "base/hex.hpp"
#include "market/ledger.hpp"
#include "settle/dispute_referee.hpp"
#include "settle/evm/calls.hpp"
#include "settle/evm/evm_ledger.hpp"

namespace assay::settle::evm {

using crypto::Address;
using market::Micros;
using protocol::Outcome;

namespace {

Micros money(std::uint64_t n) { return static_cast<Micros>(n); }

market::Turn turn_of(std::uint64_t turn) {
  return turn == 0   ? market::Turn::provider
         : turn == 1 ? market::Turn::challenger
                     : market::Turn::over;
}

std::optional<Event> none_or(std::vector<Event> events) {
  if (events.empty()) return std::nullopt;
  return std::move(events.back());
}

// What was decided: by whom nothing came, or what the referee found. The C++ referee says it in
// words; the contract has decided, and this decides nothing.
std::string words_of(ChainView& chain, const Hash& id, const DisputeSlot& slot,
                     const protocol::Lease& terms, Outcome outcome) {
  const auto decided = [&](std::string_view how) {
    return fmt::format("the contract decided: {}{}", market::to_string(outcome), how);
  };
  const auto game = chain.game(id);
  if (!game || outcome == Outcome::not_judged) return decided("");
  const market::DisputeCase about{.domain = chain.domain(),
                                  .dispute = id,
                                  .subject = slot.subject,
                                  .challenger = slot.challenger,
                                  .defender = slot.defender,
                                  .lease = terms,
                                  .request = game->evidence.request.message,
                                  .statement = game->evidence.statement,
                                  .execution = game->execution,
                                  .program = game->program};
  const auto status = game->finish ? dispute_referee().judge_finish(about, *game->finish)
                                   : dispute_referee().replay(about, game->transcript);
  if (!status) return decided("");
  if (status->turn != market::Turn::over)
    return fmt::format("the {} made no move in time",
                       outcome == Outcome::provider_wrong ? "provider" : "challenger");
  return status->reason;
}

// The money that a decision moved.
Status add_figures(ChainView& chain, const Hash& id, market::DisputeView& out) {
  TRY(const auto decided,
      chain.events().first({.kinds = {topics().decided}, .indexed = {{id, {}, {}}}}));
  if (!decided) return {};
  const Hash& in = decided->transaction;
  TRY(const auto figures, out.audit == Hash{}
                              ? chain.conviction(in, out.lease)
                              : chain.auditor_conviction(in, out.audit, out.defender));
  if (figures) {
    out.slashed = money(figures->slashed);
    out.burned = money(figures->burned);
    out.made_whole = money(figures->made_whole);
    out.reward = money(figures->reward);
    out.escrow_refunded = money(figures->refunded);
    return {};
  }
  if (out.audit != Hash{}) return {};
  TRY(const auto ended,
      chain.events().first(
          {.kinds = {topics().lease_ended}, .indexed = {{out.lease, {}, {}}}, .transaction = in}));
  if (!ended) return {};
  AbiReader figures_in(ended->data);
  CHECK_OK(figures_in.u64());
  TRY(out.escrow_refunded, figures_in.i64());
  return {};
}

Result<market::DisputeView> statement_view(ChainView& chain, const Hash& id,
                                           const DisputeSlot& slot) {
  market::DisputeView out;
  out.id = id;
  out.lease = slot.lease;
  out.subject = slot.subject;
  out.challenger = slot.challenger;
  out.defender = slot.defender;
  out.bond = money(slot.bond);
  out.filed = slot.filed;
  out.turn = turn_of(slot.turn);
  out.due = slot.due;
  out.moves = static_cast<std::uint32_t>(slot.moves);
  out.game = slot.game;
  if (slot.court == chain.contracts().passes) {
    TRY(const PassSlot pass, chain.pass(slot.subject));
    out.audit = pass.audit;
  }
  TRY(const auto about, chain.case_of(id));
  if (about) {
    if (const auto amount = crypto::Uint256(about->back()).to_u64()) out.amount = money(*amount);
  }
  if (!slot.decided) return out;
  out.state = market::DisputeState::decided;
  out.outcome = static_cast<Outcome>(slot.outcome);
  CHECK_OK(add_figures(chain, id, out));
  return out;
}

Result<market::DisputeView> demand_view(ChainView& chain, const Hash& id, const DemandSlot& slot) {
  market::DisputeView out;
  out.id = id;
  out.about = market::DisputeAbout::delivery;
  out.lease = slot.lease;
  out.subject = slot.subject;
  out.challenger = slot.buyer;
  TRY(const auto terms, chain.terms(slot.lease));
  if (terms) out.defender = terms->provider;
  out.bond = money(slot.bond);
  out.amount = money(slot.amount);
  out.filed = slot.filed;
  out.turn = turn_of(slot.turn);
  out.due = slot.due;
  out.moves = slot.delivery == Hash{} ? 0 : 1;
  out.game = slot.delivery;
  if (!slot.decided) return out;
  out.state = market::DisputeState::decided;
  out.outcome = static_cast<Outcome>(slot.outcome);
  out.reason = fmt::format("the contract decided: {}", market::to_string(out.outcome));
  CHECK_OK(add_figures(chain, id, out));
  return out;
}

Result<market::DisputeView> contest_view(ChainView& chain, const Hash& id,
                                         const ContestSlot& slot) {
  market::DisputeView out;
  out.id = id;
  out.about = market::DisputeAbout::claim;
  TRY(const auto contested,
      chain.events().first({.kinds = {topics().claim_contested}, .indexed = {{id, {}, {}}}}));
  if (!contested || contested->topics.size() < 3)
    return fail(Errc::not_found, "no dispute {} on this chain", to_hex(id));
  out.lease = contested->topics[2];
  TRY(const auto header, chain.header(contested->block_num));
  out.filed = header.timestamp;
  out.bond = money(slot.bond);
  TRY(auto claims, chain.events().find({.kinds = {topics().claimed},
                                        .indexed = {{{}, out.lease, {}}},
                                        .to_block = contested->block_num}));
  if (const auto claimed = none_or(std::move(claims))) {
    out.subject = claimed->topics[1];
    TRY(const auto claim, chain.claim(out.subject));
    if (claim) out.amount = claim->total;
  }
  TRY(const auto terms, chain.terms(out.lease));
  if (terms) {
    out.challenger = terms->buyer;
    out.defender = terms->provider;
  }
  if (!slot.decided) {
    TRY(const LeaseSlot lease, chain.lease(out.lease));
    out.turn = market::Turn::provider;
    out.due = lease.until;
    return out;
  }
  out.state = market::DisputeState::decided;
  out.outcome = static_cast<Outcome>(slot.outcome);
  out.turn = market::Turn::over;
  TRY(const auto opened,
      chain.events().first({.kinds = {topics().claim_opened}, .indexed = {{{}, {}, id}}}));
  if (opened) {
    out.moves = 1;
    out.game = opened->topics[1];
    out.reason = "every receipt that was asked for was shown";
  }
  return out;
}

}  // namespace

Result<market::LedgerInfo> EvmLedger::info() {
  market::LedgerInfo out;
  out.domain = view_->domain();
  const AuditParameters& audits = view_->audit_parameters();
  out.host = audits.host;
  out.parameters = view_->parameters();
  out.beacon = audits.beacon;
  out.audit_burned_bps = audits.burned_bps;
  return out;
}

Result<market::AccountView> EvmLedger::account(const Address& address) {
  return with_view([&](ChainView& chain) -> Result<market::AccountView> {
    market::AccountView out;
    out.address = address;
    TRY(const AccountSlot slot, chain.account(address));
    out.available = money(slot.available);
    out.stake = money(slot.stake);
    out.exposure = money(slot.exposure);
    out.exposure_limit = market::exposure_limit(chain.parameters(), out.stake);
    out.convictions = static_cast<std::uint32_t>(slot.convictions);
    out.slashed = money(slot.slashed);
    if (slot.unbonding != 0) {
      TRY(out.unbonding, chain.unbondings(address));
    }
    TRY(out.open_disputes, chain.open_disputes_of(address));
    TRY(out.audits, chain.audits_of(address));
    return out;
  });
}

Result<market::LeaseView> EvmLedger::lease(const Hash& id) {
  return with_view([&](ChainView& chain) -> Result<market::LeaseView> {
    TRY(const auto terms, chain.terms(id));
    if (!terms) return fail(Errc::not_found, "no lease {} on this chain", to_hex(id));
    TRY(const LeaseSlot slot, chain.lease(id));
    market::LeaseView out;
    out.id = id;
    out.terms = *terms;
    out.state = static_cast<market::LeaseState>(slot.state);
    out.escrow = money(slot.escrow);
    out.paid = money(slot.paid);
    out.opened = slot.opened;
    if (out.state != market::LeaseState::open) {
      out.closed = slot.until;
      out.disputable_until = out.closed + terms->window;
    }
    out.may_claim = slot.claiming != Claiming::barred;
    TRY(out.open_disputes, chain.open_disputes_of_lease(id));
    if (slot.contested) {
      out.open_disputes.push_back(slot.contest);
      std::ranges::sort(out.open_disputes);
    }
    if (slot.claiming != Claiming::pending) return out;
    TRY(const auto claim, chain.claim(slot.claim));
    if (!claim)
      return fail(Errc::unavailable, "the endpoint does not show claim {}", to_hex(slot.claim));
    out.claim = market::PendingClaim{.id = slot.claim,
                                     .total = claim->total,
                                     .count = claim->count,
                                     .root = claim->root,
                                     .due = slot.until,
                                     .contest = slot.contests != 0 ? slot.contest : Hash{},
                                     .opened = slot.contests != 0 && !slot.contested,
                                     .block = kClaimBlock};
    if (slot.contests == 0) return out;
    // An earlier claim of this lease may have had some, too.
    TRY(const auto contested,
        chain.events().find({.kinds = {topics().claim_contested}, .indexed = {{{}, id, {}}}}));
    const auto of_this =
        contested | std::views::drop(std::max<std::ptrdiff_t>(
                        0, std::ssize(contested) - static_cast<std::ptrdiff_t>(slot.contests)));
    for (const Event& event : of_this) out.claim->contests.push_back(event.topics.at(1));
    return out;
  });
}

Result<market::DisputeView> EvmLedger::dispute(const Hash& id) {
  return with_view([&](ChainView& chain) -> Result<market::DisputeView> {
    TRY(const DisputeSlot slot, chain.dispute(id));
    if (!slot.defender.is_zero()) {
      TRY(market::DisputeView out, statement_view(chain, id, slot));
      if (out.state == market::DisputeState::open) return out;
      auto& reason = reasons_[id];
      if (reason.empty()) {
        TRY(const auto terms, chain.terms(slot.lease));
        reason = words_of(chain, id, slot, terms.value_or(protocol::Lease{}), out.outcome);
      }
      out.reason = reason;
      return out;
    }
    TRY(const DemandSlot demand, chain.demand(id));
    if (demand.bond != 0) return demand_view(chain, id, demand);
    TRY(const ContestSlot contest, chain.contest(id));
    if (contest.bond != 0) return contest_view(chain, id, contest);
    return fail(Errc::not_found, "no dispute {} on this chain", to_hex(id));
  });
}

Result<market::FileDispute> EvmLedger::game(const Hash& dispute) {
  return with_view([&](ChainView& chain) -> Result<market::FileDispute> {
    TRY(const DisputeSlot slot, chain.dispute(dispute));
    if (slot.defender.is_zero() || slot.decided)
      return fail(Errc::not_found, "no game of a dispute {} is open on this chain",
                  to_hex(dispute));
    return chain.game(dispute);
  });
}

Result<market::Operation> EvmLedger::operation(const Hash& id) {
  return with_view([&](ChainView& chain) -> Result<market::Operation> {
    const Topics& t = topics();
    TRY(const auto event,
        chain.events().first({.kinds = {t.dispute_filed, t.demanded, t.delivered, t.claim_opened,
                                        t.audit_requested, t.check_asked},
                              .indexed = {{id, {}, {}}}}));
    if (!event)
      return fail(Errc::not_found, "no operation {} can be read back from this chain", to_hex(id));
    const Hash& kind = event->topics[0];
    if (kind == t.audit_requested) {
      TRY(auto op, chain.audit_request(id));
      return op;
    }
    if (kind == t.check_asked) {
      TRY(auto op, chain.check_operation(id));
      return op;
    }
    if (kind == t.dispute_filed) {
      TRY(auto op, chain.filing(id));
      return op;
    }
    if (kind == t.demanded) {
      TRY(auto op, chain.demand_operation(id));
      return op;
    }
    if (kind == t.delivered) {
      TRY(auto op, chain.delivery_operation(id));
      return op;
    }
    TRY(auto op, chain.opening_operation(id));
    return op;
  });
}

// Whoever events name has an account; every other is empty.
Result<market::Totals> EvmLedger::totals() {
  return with_view([&](ChainView& chain) -> Result<market::Totals> {
    market::Totals out;
    TRY(const auto all, chain.events().find({}));
    std::set<Address> accounts;
    std::vector<Hash> leases;
    const auto add_address = [&](const Hash& word) { accounts.insert(address_of(word)); };
    const Topics& t = topics();
    for (const Event& event : all) {
      if (event.topics.empty()) continue;
      const Hash& kind = event.topics[0];
      if (kind == t.deposited && event.topics.size() > 1) add_address(event.topics[1]);
      if ((kind == t.transferred || kind == t.auditor_convicted) && event.topics.size() > 3)
        add_address(event.topics[3]);
      if (kind == t.convicted || kind == t.dispute_filed || kind == t.demanded) {
        AbiReader in(event.data);
        TRY(const Hash challenger, in.bytes32());
        add_address(challenger);
      }
      if (kind != t.lease_opened || event.topics.size() < 2) continue;
      leases.push_back(event.topics[1]);
      AbiReader in(event.data);
      TRY(const protocol::Lease terms, take<protocol::Lease>(in));
      for (const Address& a : {terms.buyer, terms.provider, terms.payout}) accounts.insert(a);
    }
    for (const Address& a : accounts) {
      TRY(const AccountSlot slot, chain.account(a));
      out.available += money(slot.available);
      out.stake += money(slot.stake);
      out.unbonding += money(slot.unbonding);
    }
    for (const Hash& id : leases) {
      TRY(const LeaseSlot slot, chain.lease(id));
      out.escrow += money(slot.escrow);
    }
    TRY(const Bytes sums,
        call_view(chain.rpc(), chain.contracts().market, AbiWriter().call("totals()"),
                  crypto::to_quantity(chain.block_num())));
    AbiReader in(sums);
    TRY(out.deposited, in.i64());
    TRY(out.withdrawn, in.i64());
    TRY(out.burned, in.i64());
    TRY(out.bonds, in.i64());
    TRY(out.audit_fees, in.i64());
    TRY(const auto header, chain.header(chain.block_num()));
    out.operations = all.size();
    out.time = header.timestamp;
    out.state = header.hash;
    return out;
  });
}

}  // namespace assay::settle::evm
