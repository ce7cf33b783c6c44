#include "market/ledger_testutil.hpp"

#include <gtest/gtest.h>

#include "crypto/merkle_sum.hpp"
#include "crypto/sha256.hpp"
#include "protocol/audit_keys.hpp"
#include "protocol/tokens.hpp"

namespace assay::market::test {
namespace {

Hash filled(std::uint8_t byte) {
  Hash h;
  h.fill(byte);
  return h;
}

const ToyReferee& toy_referee() {
  static const ToyReferee referee;
  return referee;
}

Hash state_after(const Hash& state, ByteView payload) {
  Bytes bytes;
  append(bytes, view("assay/move/v0"));
  append(bytes, state);
  append(bytes, crypto::sha256(payload));
  return crypto::sha256(bytes);
}
Hash first_state(const Hash& dispute, const Hash& statement) {
  Bytes bytes;
  append(bytes, view("assay/dispute/v0"));
  append(bytes, dispute);
  append(bytes, statement);
  return crypto::sha256(bytes);
}

void check_audits(const State& state) {
  std::size_t waiting = 0, checks = 0, passes = 0;
  for (const auto& [id, record] : state.audits) {
    const auto& v = record.view;
    waiting += v.state == AuditState::waiting;
    checks += v.checks.size();
    Micros held = v.state == AuditState::waiting ? v.fee_max * v.auditors : 0;
    for (const auto& a : v.drawn) {
      EXPECT_LE(a.fee, v.fee_max);
      held += a.fee_held ? a.fee : 0;
      EXPECT_FALSE(a.fee_held && (a.convicted || v.state == AuditState::settled));
      passes += a.pass != Hash{};
      // Whoever may still be convicted cannot take its stake away.
      if (liable(state, id, a.account, state.totals.time)) {
        const auto live = std::ranges::count_if(state.live_audits, [&](const LiveAudit& l) {
          return l.audit == id && l.auditor == a.account;
        });
        EXPECT_EQ(live, 1);
      }
    }
    EXPECT_EQ(v.held, held);
    EXPECT_TRUE(state.leases.at(v.lease).audits.contains(id));
  }
  EXPECT_EQ(state.waiting_audits.size(), waiting);
  EXPECT_EQ(state.checks.size(), checks);
  EXPECT_EQ(state.passes.size(), passes);
  for (const auto& [key, a] : state.auditors) {
    const auto& account = state.accounts.at(a.account);
    EXPECT_EQ(std::ranges::count(account.auditing, a.execution), a.active ? 1 : 0);
    if (a.active) {
      EXPECT_GE(account.stake, a.weight);
    }
  }
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
  EXPECT_EQ(counted.audit_fees, t.audit_fees);
  check_audits(state);
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
    EXPECT_LE(a.commitments.size(), 64u);
  }
  // A transcript lies here exactly as long as its dispute is open, and leads to what it says.
  std::size_t open = 0, demands = 0;
  for (const auto& [id, d] : state.disputes) {
    EXPECT_EQ(d.turn == Turn::over, d.state == DisputeState::decided);
    EXPECT_EQ(d.due == 0, d.state == DisputeState::decided);
    const auto& listed = d.audit == Hash{} ? state.leases.at(d.lease).view.open_disputes
                                           : state.audits.at(d.audit).view.open_disputes;
    EXPECT_EQ(std::ranges::count(listed, id), d.state == DisputeState::open ? 1 : 0);
    if (d.state != DisputeState::open || d.about == DisputeAbout::claim) continue;
    if (d.about == DisputeAbout::delivery) {
      ++demands;
      EXPECT_TRUE(state.demands.contains(id));
      EXPECT_TRUE(state.leases.at(d.lease).demanded.contains(d.subject));
      EXPECT_EQ(d.turn == Turn::challenger, d.moves == 1);
      continue;
    }
    ++open;
    const auto& filed = state.games.at(id);
    EXPECT_EQ(filed.transcript.size(), d.moves);
    Hash game = first_state(id, d.subject);
    for (const auto& move : filed.transcript) game = state_after(game, move.payload);
    EXPECT_EQ(game, d.game);
  }
  EXPECT_EQ(state.games.size(), open);
  EXPECT_EQ(state.demands.size(), demands);
}

}  // namespace

Result<GameStatus> ToyReferee::replay(const DisputeCase& about,
                                      std::span<const SignedMove> moves) const {
  GameStatus s;
  s.state = first_state(about.dispute, about.subject);
  for (const auto& move : moves) {
    if (s.turn == Turn::over)
      return fail(Errc::refused, "move {}: the game was over before", s.moves);
    const bool provider = s.turn == Turn::provider;
    const Signed<protocol::Move> message{
        {about.dispute, s.moves, s.state, crypto::sha256(move.payload)}, move.signature};
    CHECK_OK(protocol::check_signature(about.domain, message,
                                       provider ? about.defender : about.challenger));
    s.turn = provider ? Turn::challenger : Turn::provider;
    if (text(move.payload) != "continue") {
      const auto end = judge_finish(about, move.payload);
      if (!end) return fail(Errc::invalid, "move {}: no such word", s.moves);
      s.turn = Turn::over;
      s.outcome = end->outcome;
      s.reason = end->reason;
    }
    s.state = state_after(s.state, move.payload);
    ++s.moves;
    s.rounds = s.moves / 2;
  }
  return s;
}

Result<GameStatus> ToyReferee::judge_finish(const DisputeCase&, ByteView proof) const {
  GameStatus s;
  s.turn = Turn::over;
  s.reason = fmt::format("position 7: {}", text(proof));
  for (const auto& [word, outcome] : {std::pair("wrong", protocol::Outcome::provider_wrong),
                                      std::pair("right", protocol::Outcome::provider_right),
                                      std::pair("invalid", protocol::Outcome::invalid_model)})
    if (text(proof) == word) {
      s.outcome = outcome;
      return s;
    }
  return fail(Errc::mismatch, "the proof does not open");
}

Status ToyReferee::open_check(const DisputeCase&, ByteView proof) const {
  if (text(proof) == "opens") return {};
  return fail(Errc::mismatch, "the proof does not open");
}

Status ToyReferee::judge_check(ByteView proof, const KeyedCommit& commit, ByteView answer) const {
  EXPECT_EQ(text(proof), "opens");
  EXPECT_NE(commit.beacon, Hash{});
  EXPECT_NE(commit.nonce_hash, Hash{});
  if (text(answer) == "shows") return {};
  return fail(Errc::mismatch, "the answer does not show it");
}

const std::vector<Hash>& beacon_values() {
  static const auto values = [] {
    std::vector<Hash> out(128);
    out.back() = filled(0xbe);
    for (std::size_t i = out.size(); --i > 0;) out[i - 1] = protocol::beacon_before(out[i]);
    return out;
  }();
  return values;
}

Bytes program() {
  const auto bytes = view("a program of a toy");
  return {bytes.begin(), bytes.end()};
}

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
  p.move_s = 20;
  return p;
}

protocol::ExecutionId execution() {
  return {filled(0xaa), crypto::sha256(program()), protocol::kCanon};
}

World::World(Parameters parameters, std::uint8_t ledger) {
  LedgerInfo info;
  info.domain.ledger = filled(ledger);
  info.host = party(1).address;
  info.parameters = parameters;
  info.beacon = beacon_values()[0];
  state = *genesis(info, toy_referee());
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
  op.program = program();
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

Signed<protocol::CommitDispute> World::commitment(const Operation& later, const Party& by) {
  return sign(protocol::CommitDispute{by.address, commitment_of(domain(), later), nonce()}, by);
}

void World::commit(const Operation& later, const Party& by) {
  const auto done = run(commitment(later, by));
  ASSERT_TRUE(done) << done.error().message;
}

DisputeMove World::move(const Hash& dispute, std::string_view word, const Party& by) const {
  const auto d = *dispute_view(state, dispute);
  const auto payload = view(word);
  return {sign(protocol::Move{dispute, d.moves, d.game, crypto::sha256(payload)}, by),
          {payload.begin(), payload.end()}};
}

std::vector<SignedMove> World::transcript(const FileDispute& filed,
                                          std::span<const std::string_view> words, const Party& by,
                                          const Party& challenger) const {
  const Hash id = protocol::digest(domain(), filed.dispute.message);
  Hash game = first_state(id, filed.dispute.message.subject);
  std::vector<SignedMove> out;
  for (const auto word : words) {
    const auto number = static_cast<std::uint32_t>(out.size());
    const auto payload = view(word);
    const auto signed_move = sign(protocol::Move{id, number, game, crypto::sha256(payload)},
                                  number % 2 == 0 ? by : challenger);
    out.push_back({{payload.begin(), payload.end()}, signed_move.signature});
    game = state_after(game, payload);
  }
  return out;
}

Signed<protocol::LatencyReport> World::speed(const Hash& lease, std::uint32_t answers,
                                             std::uint32_t first_token_ms,
                                             std::uint32_t per_token_ms, const Party& by,
                                             std::uint64_t until) const {
  return sign(protocol::LatencyReport{.buyer = by.address,
                                      .lease = lease,
                                      .answers = answers,
                                      .first_token_ms = first_token_ms,
                                      .per_token_ms = per_token_ms,
                                      .since = lease_of(lease).opened,
                                      .until = until},
              by);
}

Signed<protocol::Timeout> World::timeout(const Hash& dispute, const Party& by) const {
  return sign(protocol::Timeout{by.address, dispute}, by);
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
