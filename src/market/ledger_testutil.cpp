#include "market/ledger_testutil.hpp"

#include <gtest/gtest.h>

#include "crypto/merkle_sum.hpp"
#include "protocol/tokens.hpp"

namespace assay::market::test {
namespace {

Hash filled(std::uint8_t byte) {
  Hash h;
  h.fill(byte);
  return h;
}

void check_invariants(const State& state) {
  const auto& t = state.totals;
  ASSERT_TRUE(t.conserved());
  const Totals counted = recount(state);
  EXPECT_EQ(counted.available, t.available);
  EXPECT_EQ(counted.stake, t.stake);
  EXPECT_EQ(counted.unbonding, t.unbonding);
  EXPECT_EQ(counted.escrow, t.escrow);
  EXPECT_EQ(counted.bonds, t.bonds);
  std::map<Address, Micros> exposure;
  for (const auto& [id, lease] : state.leases) {
    EXPECT_GE(lease.view.escrow, 0);
    EXPECT_GE(lease.view.paid, lease.made_whole);
    if (lease.view.state != LeaseState::open) {
      EXPECT_EQ(lease.view.escrow, 0);
    }
    exposure[lease.view.terms.provider] += lease.view.escrow;
  }
  for (const auto& [address, a] : state.accounts) {
    EXPECT_GE(a.available, 0);
    EXPECT_GE(a.stake, 0);
    EXPECT_EQ(a.exposure, exposure[address]);
    for (const auto& u : a.unbonding) EXPECT_GT(u.amount, 0);
  }
}

}  // namespace

Party party(std::uint8_t number) {
  const auto key = *crypto::secret_key(filled(number));
  return {key, crypto::address_of(key)};
}

Parameters small_parameters() {
  Parameters p;
  p.unbonding_s = 500;
  p.window_min_s = 50;
  p.window_max_s = 200;
  p.lease_max_s = 1'000;
  return p;
}

protocol::ExecutionId execution() { return {filled(0xaa), filled(0xbb), protocol::kCanon}; }

World::World(Parameters parameters, std::uint8_t ledger) {
  LedgerInfo info;
  info.domain.ledger = filled(ledger);
  info.host = party(1).address;
  info.parameters = parameters;
  state = *genesis(info);
}

Result<Applied> World::run(const Operation& operation) {
  const Hash before = snapshot_hash(state);
  Undo undo;
  const auto applied = apply(state, operation, time, &undo);
  if (!applied || applied->already) {
    EXPECT_EQ(snapshot_hash(state), before) << kind_of(operation);
    return applied;
  }
  check_invariants(state);
  const Hash after = snapshot_hash(state);
  EXPECT_NE(after, before);

  revert(state, undo);
  EXPECT_EQ(snapshot_hash(state), before) << kind_of(operation);
  const auto repeated = apply(state, operation, time);
  EXPECT_TRUE(repeated.has_value() && !repeated->already) << kind_of(operation);
  EXPECT_EQ(snapshot_hash(state), after) << kind_of(operation);

  const auto again = apply(state, operation, time + 1);
  EXPECT_TRUE(again.has_value() && again->already && again->sequence == applied->sequence);
  EXPECT_EQ(snapshot_hash(state), after) << kind_of(operation);
  return applied;
}

Signed<protocol::Offer> World::offer(const Party& by, const Party& to) {
  protocol::Offer o;
  o.provider = by.address;
  o.payout = to.address;
  o.sequence = nonce();
  o.endpoint = "http://127.0.0.1:9000";
  o.region = "eu";
  o.expires = time + 100;
  protocol::OfferModel m;
  m.name = "tern";
  m.weights_root = execution().weights_root;
  m.program_hash = execution().program_hash;
  m.canon = execution().canon;
  m.price_in = kPriceIn;
  m.price_out = kPriceOut;
  m.context = 4096;
  o.models.push_back(m);
  return sign(o, by);
}

OpenLease World::open_lease(Micros escrow, const Party& from, const Party& by, const Party& to) {
  OpenLease op;
  op.offer = offer(by, to);
  protocol::Lease l;
  l.buyer = from.address;
  l.provider = by.address;
  l.payout = to.address;
  l.offer = protocol::digest(domain(), op.offer.message);
  l.execution = protocol::struct_hash(execution());
  l.price_in = kPriceIn;
  l.price_out = kPriceOut;
  l.escrow = escrow;
  l.audit_chain = filled(0xcc);
  l.window = 100;
  l.expires = time + 300;
  l.nonce = nonce();
  op.lease = sign(l, from);
  return op;
}

Signed<protocol::Request> World::request(const Hash& lease, std::uint64_t sequence,
                                         const Party& by) const {
  protocol::Request r;
  r.lease = lease;
  r.sequence = sequence;
  r.execution = protocol::struct_hash(execution());
  r.prompt_root = filled(0x11);
  r.prompt_count = 250;
  r.max_tokens = 1'000'000;
  r.salt_commitment = filled(0x12);
  r.cap = 4'000'500;
  r.expires = time + 50;
  return sign(r, by);
}

Signed<protocol::Receipt> World::receipt(const Signed<protocol::Request>& request,
                                         std::uint32_t count, const Party& by,
                                         std::uint8_t tape) const {
  protocol::Receipt r;
  r.request = protocol::digest(domain(), request.message);
  r.count = count;
  r.tape_root = filled(tape);
  r.trace_root = filled(0x22);
  r.amount = *protocol::price(kPriceIn, kPriceOut, request.message.prompt_count, count);
  r.key_sequence = request.message.sequence;
  return sign(r, by);
}

ClaimLeaf World::leaf(const Hash& lease, std::uint64_t sequence, std::uint32_t count) const {
  const auto r = request(lease, sequence, buyer);
  return {r, receipt(r, count, provider)};
}

Signed<protocol::Claim> World::claim(const Hash& lease, std::span<const ClaimLeaf> leaves,
                                     const Party& by) const {
  std::vector<crypto::SumNode> nodes;
  for (const auto& l : leaves)
    nodes.push_back(
        *crypto::sum_leaf(protocol::digest(domain(), l.receipt.message), l.receipt.message.amount));
  const auto root = *crypto::merkle_sum_root(nodes);
  return sign(protocol::Claim{lease, root.hash, root.sum, static_cast<std::uint32_t>(nodes.size())},
              by);
}

FileDispute World::dispute(const Hash& lease, const ClaimLeaf& leaf, const Party& challenger,
                           Micros bond) {
  FileDispute op;
  op.evidence = {leaf.request, leaf.receipt};
  op.execution = execution();
  op.dispute =
      sign(protocol::Dispute{challenger.address, lease,
                             protocol::digest(domain(), leaf.receipt.message), bond, nonce()},
           challenger);
  return op;
}

ReportEquivocation World::equivocation(const Hash& lease, const Signed<protocol::Request>& request,
                                       Statement first, Statement second, const Party& challenger) {
  ReportEquivocation op;
  op.report = sign(protocol::Equivocation{challenger.address, lease, statement_id(domain(), first),
                                          statement_id(domain(), second)},
                   challenger);
  op.request = request;
  op.first = std::move(first);
  op.second = std::move(second);
  return op;
}

Signed<protocol::Verdict> World::verdict(const Hash& dispute, protocol::Outcome outcome) const {
  return sign(protocol::Verdict{dispute, static_cast<std::uint32_t>(outcome), "position 7"}, host);
}

void World::deposit(const Party& to, Micros amount) {
  const auto done = run(sign(protocol::Deposit{to.address, amount, nonce()}, host));
  ASSERT_TRUE(done) << done.error().message;
}

void World::stake(const Party& who, Micros amount) {
  const auto done = run(sign(protocol::Stake{who.address, amount, nonce()}, who));
  ASSERT_TRUE(done) << done.error().message;
}

Hash World::lease(Micros escrow) {
  const auto done = run(open_lease(escrow));
  EXPECT_TRUE(done) << done.error().message;
  return done ? done->id : Hash{};
}

void World::fund() {
  deposit(buyer, 100'000'000);
  deposit(provider, 10'000'000);
  deposit(other, 5'000'000);
  stake(provider, 10'000'000);
}

}  // namespace assay::market::test
