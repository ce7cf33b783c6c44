// Hired auditors with the real game, the real keyed tree and a hosted ledger: a check answered and
// one that nothing answers, a pass defended after its provider threw the game, and one that cannot
// be.
#include "base/hex.hpp"
#include "io/files.hpp"
#include "protocol/audit_keys.hpp"
#include "settle/beacon_chain.hpp"
#include "settle/deal_testutil.hpp"
#include "settle/embedded/embedded_ledger.hpp"
#include "verify/keyed.hpp"

namespace assay::settle {
namespace {

using protocol::AuditVerdict;
using protocol::Outcome;

constexpr std::uint8_t kAuditor = 6;

struct AuditsTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-audits");
  std::string path = folder.file("ledger.db");
  ManualClock clock;
  BeaconChain chain{Hash{0x5e}, 1500};
  std::unique_ptr<EmbeddedLedger> ledger;
  std::unique_ptr<Deal> deal;
  DealModel changed{deal_file_with_one_weight_changed()};
  Hash lease{}, audit{};
  const Hash key{0x4b};

  void SetUp() override {
    market::LedgerInfo info;
    info.domain.ledger.fill(7);
    info.host = Deal::address(Deal::kHost);
    info.beacon = chain.value(0);
    ledger = *EmbeddedLedger::open(path, info, clock);
    deal = std::make_unique<Deal>(*ledger, static_cast<std::uint64_t>(clock.now_s()));
    const auto offer = deal->fund();
    deal->must(deal->sign(protocol::Deposit{Deal::address(kAuditor), 3'000'000, ++deal->nonce},
                          Deal::kHost));
    deal->must(
        deal->sign(protocol::Stake{Deal::address(kAuditor), 2'000'000, ++deal->nonce}, kAuditor));
    deal->must(
        deal->sign(protocol::RegisterAuditor{.account = Deal::address(kAuditor),
                                             .execution = protocol::struct_hash(deal->execution),
                                             .active = true,
                                             .endpoint = "http://127.0.0.1:9",
                                             .fee = 50'000,
                                             .nonce = ++deal->nonce},
                   kAuditor));
    clock.ms += 1'000;
    lease = deal->open_lease(offer);
  }
  void TearDown() override {
    const auto report = verify_log(path);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->ok) << report->problem;
    EXPECT_EQ(report->totals.state, ledger->totals()->state);
  }
  void move_on() { clock.ms += 3'600'000; }

  // Asked for, drawn.
  void request(const Deal::Trade& t) {
    const auto& evidence = t.dispute.evidence;
    const auto applied = deal->run(market::RequestAudit{
        deal->sign(protocol::AuditRequest{.buyer = Deal::address(Deal::kBuyer),
                                          .lease = lease,
                                          .subject = market::statement_id(deal->domain,
                                                                          evidence.statement),
                                          .auditors = 1,
                                          .fee_max = 60'000,
                                          .nonce = Hash{1}},
                   Deal::kBuyer),
        evidence});
    ASSERT_TRUE(applied) << applied.error().message;
    audit = applied->id;
    EXPECT_TRUE(ledger->beacon_need().wanted);
    const auto round = ledger->beacon_need().round + 1;
    deal->must(deal->sign(protocol::Beacon{round, chain.value(round)}, Deal::kHost));
    EXPECT_FALSE(ledger->beacon_need().wanted);
    ASSERT_EQ(ledger->audit(audit)->drawn.size(), 1u);
  }
  // The auditor's own execution of what the provider was asked.
  void execute(const Deal::Trade& t, DealModel& with, verify::TraceBuilder& into) {
    engine::Session session(with.model, with.pool, engine::best_isa(), 64);
    engine::generate(session, t.opening.prompt, {6, {}},
                     verify::sampling_of(t.dispute.evidence.request.message), &into, {});
  }
  Hash nonce() {
    return protocol::key_nonce(ledger->audit(audit)->beacon, audit, Deal::address(kAuditor), key);
  }
  std::uint32_t layers() { return deal->honest.model->hyper().layers; }
  void commit_root(const Hash& keyed_root) {
    deal->must(deal->sign(
        protocol::CommitAudit{Deal::address(kAuditor), audit, protocol::nonce_hash(nonce()),
                              protocol::keyed_root_hash(keyed_root, key)},
        kAuditor));
  }
  // Its pass, once commitments are in.
  Hash pass() {
    move_on();
    deal->must(deal->sign(protocol::RevealAudit{Deal::address(kAuditor), audit,
                                                static_cast<std::uint32_t>(AuditVerdict::pass)},
                          kAuditor));
    return ledger->audit(audit)->drawn[0].pass;
  }
  Hash honest_pass(const Deal::Trade& t) {
    request(t);
    verify::KeyedBuilder keyed(nonce(), layers());
    execute(t, deal->honest, keyed);
    commit_root(keyed.root());
    return pass();
  }
  market::CheckAudit check(const Deal::Trade& t, DealModel& with, const verify::CheckPlace& place) {
    verify::PlaceRecorder recorder(t.opening.salt_secret, layers(), {place});
    execute(t, with, recorder);
    const auto proof = verify::check_proof_bytes(*recorder.proof());
    return {deal->sign(protocol::AuditCheck{.challenger = Deal::address(Deal::kBuyer),
                                            .audit = audit,
                                            .auditor = Deal::address(kAuditor),
                                            .bond = 100'000,
                                            .proof = crypto::sha256(proof),
                                            .nonce = ++deal->nonce},
                       Deal::kBuyer),
            deal->execution, deal->program, proof};
  }
  Result<market::Applied> answer(const Deal::Trade& t, const Hash& id,
                                 const verify::CheckPlace& place) {
    auto recorder = verify::PlaceRecorder::keyed(nonce(), layers(), {place});
    execute(t, deal->honest, recorder);
    return deal->run(market::AnswerCheck{
        deal->sign(protocol::CheckAnswer{Deal::address(kAuditor), id}, kAuditor),
        verify::check_reply_bytes({key, recorder.proof()->path})});
  }
  market::FileDispute against_pass(const Deal::Trade& t, const Hash& said) {
    auto op = t.dispute;
    op.dispute = deal->sign(
        protocol::Dispute{Deal::address(Deal::kBuyer), lease, said, 100'000, ++deal->nonce},
        Deal::kBuyer);
    return op;
  }
  // The auditor in the provider's part, until it is decided or a side has no move.
  void play(const Hash& id, verify::Party& auditor, verify::Party& challenger) {
    while (ledger->dispute(id)->state == market::DisputeState::open) {
      const auto transcript =
          *transcript_of(deal->domain, Deal::address(kAuditor), *ledger->game(id));
      const bool turn = transcript.game().turn() == verify::Side::provider;
      auto payload =
          turn ? auditor.respond(transcript.game()) : challenger.challenge(transcript.game());
      if (!payload) return;
      const auto move = sign_next(deal->domain, transcript, std::move(*payload),
                                  deal_key(turn ? kAuditor : Deal::kBuyer));
      if (!deal->run(as_operation(move))) return;
    }
  }
  market::Operation timeout(const Hash& id) {
    return deal->sign(protocol::Timeout{Deal::address(Deal::kBuyer), id}, Deal::kBuyer);
  }
};

TEST_F(AuditsTest, AnHonestAuditorAnswersAndIsPaid) {
  const auto t = deal->trade(lease, 1, deal->honest);
  honest_pass(t);
  move_on();
  const auto places = {verify::CheckPlace{3, 1, verify::StateVector::x, 0},
                       verify::CheckPlace{8, 0, verify::StateVector::v, 0},
                       verify::CheckPlace{5, 2, verify::StateVector::logits, 0}};
  for (const auto& place : places) {
    const auto op = check(t, deal->honest, place);
    deal->must(op);
    const Hash id = market::operation_id(deal->domain, op);
    const auto elsewhere = verify::CheckPlace{4, 1, verify::StateVector::x, 0};
    EXPECT_EQ(answer(t, id, elsewhere).error().code, Errc::mismatch);
    const auto answered = answer(t, id, place);
    ASSERT_TRUE(answered) << answered.error().message;
  }
  // Values that nobody committed to open no check.
  EXPECT_EQ(deal->run(check(t, changed, {3, 1, verify::StateVector::x, 0})).error().code,
            Errc::mismatch);
  move_on();
  deal->must(deal->sign(protocol::SettleAudit{Deal::address(Deal::kBuyer), audit}, Deal::kBuyer));
  EXPECT_EQ(ledger->account(Deal::address(kAuditor))->available, 1'000'000 + 3 * 100'000 + 40'000);
}

TEST_F(AuditsTest, GarbageAnswersNothing) {
  const auto t = deal->trade(lease, 1, deal->honest);
  request(t);
  commit_root(Hash{1});
  pass();
  move_on();
  const verify::CheckPlace place{3, 1, verify::StateVector::x, 0};
  const auto op = check(t, deal->honest, place);
  deal->must(op);
  const Hash id = market::operation_id(deal->domain, op);
  EXPECT_EQ(answer(t, id, place).error().code, Errc::mismatch);
  move_on();
  move_on();  // it is due with all that may still come
  deal->must(timeout(id));
  EXPECT_TRUE(ledger->audit(audit)->drawn[0].convicted);
  EXPECT_EQ(ledger->account(Deal::address(kAuditor))->stake, 0);
}

// The provider has a right answer and loses on purpose, to burn the stake of whoever passed it.
TEST_F(AuditsTest, AThrownGameFramesNobody) {
  const auto t = deal->trade(lease, 1, deal->honest);
  const Hash said = honest_pass(t);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  move_on();
  deal->must(timeout(deal->id_of(t.dispute)));
  EXPECT_EQ(ledger->lease(lease)->state, market::LeaseState::convicted);
  EXPECT_EQ(ledger->account(Deal::address(kAuditor))->stake, 2'000'000);

  const auto op = against_pass(t, said);
  deal->commit(op);
  deal->must(op);
  const Hash id = deal->id_of(op);
  const auto auditor = deal->party(t, deal->honest), challenger = deal->party(t, changed);
  play(id, *auditor, *challenger);
  if (ledger->dispute(id)->state == market::DisputeState::open) {
    EXPECT_EQ(ledger->dispute(id)->turn, market::Turn::challenger);
    move_on();
    deal->must(timeout(id));
  }
  EXPECT_EQ(ledger->dispute(id)->outcome, Outcome::provider_right);
  EXPECT_EQ(ledger->account(Deal::address(kAuditor))->stake, 2'000'000);
  EXPECT_EQ(ledger->account(Deal::address(kAuditor))->available, 1'000'000 + 100'000);
}

// It passed what it never computed, or computed like the provider: no defence convinces the game.
TEST_F(AuditsTest, AFalsePassIsLostWithTheProvidersOwnHelp) {
  const auto t = deal->trade(lease, 1, changed);
  request(t);
  verify::KeyedBuilder keyed(nonce(), layers());
  execute(t, changed, keyed);
  commit_root(keyed.root());
  const Hash said = pass();
  const auto lying = deal->party(t, changed), honest = deal->party(t, deal->honest);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  move_on();
  deal->must(timeout(deal->id_of(t.dispute)));
  const auto op = against_pass(t, said);
  deal->commit(op);
  deal->must(op);
  play(deal->id_of(op), *lying, *honest);
  EXPECT_EQ(ledger->dispute(deal->id_of(op))->outcome, Outcome::provider_wrong);
  EXPECT_TRUE(ledger->audit(audit)->drawn[0].convicted);
  EXPECT_EQ(ledger->account(Deal::address(kAuditor))->stake, 0);
}

TEST(BeaconChain, EveryValueLeadsToTheOneBefore) {
  BeaconChain chain(Hash{1}, 2500);
  Hash last = chain.value(0);
  for (std::uint64_t round = 1; round <= chain.rounds(); ++round) {
    const Hash value = chain.value(round);
    ASSERT_EQ(protocol::beacon_before(value), last) << round;
    last = value;
  }
  EXPECT_EQ(last, Hash{1});
}

TEST(BeaconChain, ASeedIsDrawnOnceAndKept) {
  const io::TempDirectory folder = *io::TempDirectory::create("assay-beacon");
  const auto path = folder.file("beacon.seed");
  const Hash first = BeaconChain::open(path, 10)->value(0);
  auto again = *BeaconChain::open(path, 10);
  EXPECT_EQ(again.value(0), first);
  EXPECT_EQ(protocol::beacon_before(again.value(1)), first);
  EXPECT_NE(BeaconChain::open(folder.file("other"), 10)->value(0), first);
  ASSERT_TRUE(io::write_file_atomic(path, view("short")));
  EXPECT_EQ(BeaconChain::open(path, 10).error().code, Errc::invalid);
}

}  // namespace
}  // namespace assay::settle
