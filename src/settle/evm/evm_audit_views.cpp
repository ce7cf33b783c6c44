// What a ledger's readers ask for about hired auditors.
#include "base/hex.hpp"
#include "settle/evm/evm_ledger.hpp"

namespace assay::settle::evm {
namespace {

using crypto::Address;

market::Micros amount(std::uint64_t n) { return static_cast<market::Micros>(n); }

// Of one that waits, everything is returned from check_due on; of one that nobody was drawn for
// there is nothing to wait for.
void set_times(market::AuditView& out, const AuditSlot& slot, bool drawn, std::uint64_t move_s) {
  if (!drawn) {
    out.check_due = slot.requested + move_s;
    return;
  }
  if (slot.drawn.empty()) return;
  out.commit_due = slot.drawn_at + move_s;
  out.reveal_due = out.commit_due + move_s;
  out.check_due = out.reveal_due + move_s;
}

Result<market::AuditView> audit_view(ChainView& chain, const Hash& id) {
  TRY(const AuditSlot slot, chain.audit(id));
  if (slot.buyer.is_zero()) return fail(Errc::not_found, "no audit {} on this chain", to_hex(id));
  market::AuditView out;
  out.id = id;
  out.buyer = slot.buyer;
  out.lease = slot.lease;
  out.subject = slot.subject;
  out.auditors = static_cast<std::uint32_t>(slot.asked);
  out.fee_max = amount(slot.fee_max);
  out.held = amount(slot.held);
  out.requested = slot.requested;
  out.round = slot.round;
  out.state = static_cast<market::AuditState>(slot.state);
  TRY(const bool drawn, chain.was_drawn(id));
  set_times(out, slot, drawn, chain.parameters().move_s);
  if (drawn) {
    TRY(out.beacon, chain.beacon_at(slot.round));
  }
  for (const DrawnSlot& d : slot.drawn) {
    market::DrawnAuditor& a = out.drawn.emplace_back();
    a.account = d.account;
    TRY(a.endpoint, chain.endpoint_of(slot.execution, d.account));
    a.fee = amount(d.fee);
    a.fee_held = d.fee_held;
    a.nonce_hash = d.nonce_hash;
    a.root_hash = d.root_hash;
    a.verdict = static_cast<std::uint32_t>(d.verdict);
    a.pass = d.pass;
    a.convicted = d.convicted;
  }
  TRY(out.checks, chain.open_checks(id));
  TRY(out.open_disputes, chain.open_disputes_of_audit(id));
  TRY(out.subject_convicted, chain.convicted(slot.subject));
  TRY(out.subject_canary, chain.canary(slot.subject));
  return out;
}

}  // namespace

Result<market::AuditView> EvmLedger::audit(const Hash& id) {
  return with_view([&](ChainView& chain) { return audit_view(chain, id); });
}

Result<std::vector<market::AuditorView>> EvmLedger::auditors(const Hash& execution) {
  return with_view([&](ChainView& chain) -> Result<std::vector<market::AuditorView>> {
    std::vector<market::AuditorView> out;
    TRY(const auto accounts, chain.registered(execution));
    for (const Address& account : accounts) {
      TRY(const AuditorSlot slot, chain.auditor(execution, account));
      if (!slot.active) continue;
      market::AuditorView& a = out.emplace_back();
      a.account = account;
      a.execution = execution;
      a.active = true;
      TRY(a.endpoint, chain.endpoint_of(execution, account));
      a.fee = amount(slot.fee);
      a.weight = amount(slot.weight);
      a.since = slot.since;
      a.drawn = static_cast<std::uint32_t>(slot.drawn);
      a.revealed = static_cast<std::uint32_t>(slot.revealed);
      a.missed = static_cast<std::uint32_t>(slot.missed);
    }
    return out;
  });
}

Result<BeaconNeed> EvmLedger::beacon_need() {
  return with_view([&](ChainView& chain) -> Result<BeaconNeed> {
    TRY(const BeaconSlot last, chain.last_beacon());
    TRY(const auto waiting, chain.waiting_audits());
    TRY(const auto header, chain.header(chain.block_num()));
    BeaconNeed out{.round = last.round, .waiting = {}, .undrawn = {}};
    for (const auto& [id, audit] : waiting) {
      if (audit.round <= last.round) {
        out.undrawn.push_back(id);
        continue;
      }
      TRY(const AuditSlot slot, chain.audit(id));
      if (header.timestamp < slot.requested + chain.parameters().move_s) out.waiting.push_back(id);
    }
    return out;
  });
}

}  // namespace assay::settle::evm
