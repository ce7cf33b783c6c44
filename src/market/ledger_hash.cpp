#include "market/ledger_hash.hpp"

#include "crypto/sha256.hpp"

namespace assay::market {
namespace {

// Fixed widths, little-endian; a list is its le32 length and its items.
struct Encoder {
  Bytes& out;
  Encoder& tag(std::string_view t) { return append(out, view(t)), *this; }
  Encoder& hash(const Hash& h) { return append(out, h), *this; }
  Encoder& address(const Address& a) { return append(out, a.bytes), *this; }
  Encoder& byte(std::uint8_t b) { return out.push_back(b), *this; }
  Encoder& u8(bool b) { return byte(b ? 1 : 0); }
  Encoder& u32(std::uint32_t v) { return append_le(out, v), *this; }
  Encoder& u64(std::uint64_t v) { return append_le(out, v), *this; }
  Encoder& money(Micros v) { return append_le(out, v), *this; }
  template <class Hashes>
  Encoder& hashes(const Hashes& list) {
    u32(static_cast<std::uint32_t>(list.size()));
    for (const auto& h : list) hash(h);
    return *this;
  }
};

}  // namespace

Hash genesis_hash(const LedgerInfo& info) {
  Bytes bytes;
  const auto& p = info.parameters;
  Encoder{bytes}
      .tag("assay/ledger/v0")
      .hash(info.domain.separator())
      .address(info.host)
      .u32(p.exposure_factor)
      .u64(p.unbonding_s)
      .u64(p.window_min_s)
      .u64(p.window_max_s)
      .u64(p.lease_max_s)
      .u64(p.move_s)
      .money(p.stake_min)
      .money(p.dispute_bond)
      .money(p.reward_max)
      .u32(p.burned_bps)
      .hash(info.beacon)
      .u32(info.audit_burned_bps);
  return crypto::sha256(bytes);
}

StateHasher::StateHasher(const Totals& t, const Hash& operation) {
  Encoder{bytes_}
      .tag("assay/state/v0")
      .hash(t.state)
      .hash(operation)
      .u64(t.operations)
      .u64(t.time)
      .money(t.deposited)
      .money(t.withdrawn)
      .money(t.available)
      .money(t.stake)
      .money(t.unbonding)
      .money(t.escrow)
      .money(t.bonds)
      .money(t.audit_fees)
      .money(t.burned);
}

void StateHasher::account(const Address& address, const Account& a) {
  Encoder e{bytes_};
  e.tag("acct")
      .address(address)
      .money(a.available)
      .money(a.stake)
      .money(a.exposure)
      .u32(a.convictions)
      .money(a.slashed)
      .u32(static_cast<std::uint32_t>(a.unbonding.size()));
  for (const auto& u : a.unbonding) e.money(u.amount).u64(u.requested).u64(u.due);
  e.u32(static_cast<std::uint32_t>(a.commitments.size()));
  for (const auto& c : a.commitments) e.hash(c.hash).u64(c.made);
  e.hashes(a.auditing);
}

void StateHasher::lease(const LeaseRecord& l) {
  const auto& v = l.view;
  Encoder e{bytes_};
  e.tag("leas")
      .hash(v.id)
      .u32(static_cast<std::uint32_t>(v.state))
      .money(v.escrow)
      .money(v.paid)
      .money(l.made_whole)
      .u64(v.opened)
      .u64(v.closed)
      .u8(v.may_claim)
      .u8(v.claim.has_value());
  if (v.claim)
    e.hash(v.claim->id)
        .money(v.claim->total)
        .u32(v.claim->count)
        .hash(v.claim->root)
        .u64(v.claim->due)
        .hash(v.claim->contest)
        .u8(v.claim->opened);
  e.hashes(v.open_disputes).hashes(l.convicted).hashes(l.demanded);
  e.u32(static_cast<std::uint32_t>(l.wrong.size()));
  for (const auto& [subject, since] : l.wrong) e.hash(subject).u64(since);
  e.hashes(l.canaries).hashes(l.audits);
}

void StateHasher::dispute(const DisputeView& d) {
  Encoder{bytes_}
      .tag("disp")
      .hash(d.id)
      .hash(d.lease)
      .hash(d.subject)
      .address(d.challenger)
      .address(d.defender)
      .hash(d.audit)
      .money(d.bond)
      .byte(static_cast<std::uint8_t>(d.about))
      .money(d.amount)
      .u64(d.filed)
      .u32(static_cast<std::uint32_t>(d.state))
      .u32(static_cast<std::uint32_t>(d.outcome))
      .u32(static_cast<std::uint32_t>(d.turn))
      .u64(d.due)
      .u32(d.moves)
      .hash(d.game)
      .money(d.slashed)
      .money(d.burned)
      .money(d.made_whole)
      .money(d.reward)
      .money(d.escrow_refunded);
}

void StateHasher::auditor(const AuditorView& a) {
  Encoder{bytes_}
      .tag("audr")
      .hash(a.execution)
      .address(a.account)
      .u8(a.active)
      .hash(crypto::sha256(view(a.endpoint)))
      .money(a.fee)
      .money(a.weight)
      .u64(a.since)
      .u32(a.drawn)
      .u32(a.revealed)
      .u32(a.missed);
}

void StateHasher::audit(const AuditView& a) {
  Encoder e{bytes_};
  e.tag("audt")
      .hash(a.id)
      .address(a.buyer)
      .hash(a.lease)
      .hash(a.subject)
      .u32(a.auditors)
      .money(a.fee_max)
      .money(a.held)
      .u64(a.requested)
      .u64(a.round)
      .hash(a.beacon)
      .u32(static_cast<std::uint32_t>(a.state))
      .u64(a.commit_due)
      .u64(a.reveal_due)
      .u64(a.check_due)
      .u32(static_cast<std::uint32_t>(a.drawn.size()));
  for (const auto& d : a.drawn)
    e.address(d.account)
        .money(d.fee)
        .u8(d.fee_held)
        .hash(d.nonce_hash)
        .hash(d.root_hash)
        .u32(d.verdict)
        .hash(d.pass)
        .u8(d.convicted);
  e.u32(static_cast<std::uint32_t>(a.checks.size()));
  for (const auto& c : a.checks)
    e.hash(c.id).address(c.challenger).address(c.auditor).money(c.bond).u64(c.due);
  e.hashes(a.open_disputes);
}

void StateHasher::latency(const Hash& lease, const LatencyRecord& l) {
  Encoder{bytes_}
      .tag("late")
      .hash(lease)
      .u32(l.answers)
      .u32(l.first_token_ms)
      .u32(l.per_token_ms)
      .u64(l.since)
      .u64(l.until)
      .u64(l.made)
      .money(l.paid);
}

void StateHasher::beacon(const BeaconState& b) {
  Encoder{bytes_}.tag("beac").u64(b.round).hash(b.value);
}

Hash StateHasher::finish() const { return crypto::sha256(bytes_); }

}  // namespace assay::market
