// Hired auditors with the real game, the real keyed tree and a hosted ledger: a check answered and
// one that nothing answers, a pass defended after its provider threw the game, and one that cannot
// be.
#include "io/files.hpp"
#include "settle/audited_deal_testutil.hpp"
#include "settle/embedded/embedded_ledger.hpp"

namespace assay::settle {
namespace {

using protocol::Outcome;

constexpr std::uint8_t kAuditor = AuditedDeal::kAuditor;

struct AuditsTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-audits");
  std::string path = folder.file("ledger.db");
  ManualClock clock;
  BeaconChain chain{Hash{0x5e}, 1500};
  std::unique_ptr<EmbeddedLedger> ledger;
  std::unique_ptr<AuditedDeal> deal;
  DealModel changed{deal_file_with_one_weight_changed()};
  Hash lease{};

  void SetUp() override {
    market::LedgerInfo info;
    info.domain.ledger.fill(7);
    info.host = Deal::address(Deal::kHost);
    info.beacon = chain.value(0);
    ledger = *EmbeddedLedger::open(path, info, clock);
    deal = std::make_unique<AuditedDeal>(*ledger, static_cast<std::uint64_t>(clock.now_s()), chain,
                                         [this] { clock.ms += 3'600'000; });
    const auto offer = deal->hire();
    clock.ms += 1'000;
    lease = deal->open_lease(offer);
  }
  void TearDown() override {
    const auto report = verify_log(path);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->ok) << report->problem;
    EXPECT_EQ(report->totals.state, ledger->totals()->state);
  }
  market::AccountView auditor() { return *ledger->account(Deal::address(kAuditor)); }
};

TEST_F(AuditsTest, AnHonestAuditorAnswersAndIsPaid) {
  const auto t = deal->trade(lease, 1, deal->honest);
  deal->pass_of(t, deal->honest);
  deal->move_on();
  const auto places = {verify::CheckPlace{3, 1, verify::StateVector::x, 0},
                       verify::CheckPlace{8, 0, verify::StateVector::v, 0},
                       verify::CheckPlace{5, 2, verify::StateVector::logits, 0}};
  for (const auto& place : places) {
    const auto op = deal->check(t, deal->honest, place);
    deal->must(op);
    const Hash id = market::operation_id(deal->domain, op);
    const auto elsewhere = verify::CheckPlace{4, 1, verify::StateVector::x, 0};
    EXPECT_EQ(deal->answer(t, id, elsewhere).error().code, Errc::mismatch);
    const auto answered = deal->answer(t, id, place);
    ASSERT_TRUE(answered) << answered.error().message;
  }
  // Values that nobody committed to open no check.
  EXPECT_EQ(deal->run(deal->check(t, changed, {3, 1, verify::StateVector::x, 0})).error().code,
            Errc::mismatch);
  deal->move_on();
  deal->must(deal->settlement());
  EXPECT_EQ(auditor().available, 1'000'000 + 3 * 100'000 + 40'000);
}

// The host publishes a round when somebody waits for one.
TEST_F(AuditsTest, ARequestWantsARound) {
  ASSERT_TRUE(deal->ask(deal->trade(lease, 1, deal->honest)));
  EXPECT_TRUE(ledger->beacon_need().wanted);
  EXPECT_EQ(ledger->beacon_need().round + 1, deal->view().round);
  deal->must(deal->next_round());
  EXPECT_FALSE(ledger->beacon_need().wanted);
}

TEST_F(AuditsTest, GarbageAnswersNothing) {
  const auto t = deal->trade(lease, 1, deal->honest);
  deal->request(t);
  deal->commit_root(Hash{1});
  deal->pass();
  deal->move_on();
  const verify::CheckPlace place{3, 1, verify::StateVector::x, 0};
  const auto op = deal->check(t, deal->honest, place);
  deal->must(op);
  const Hash id = market::operation_id(deal->domain, op);
  EXPECT_EQ(deal->answer(t, id, place).error().code, Errc::mismatch);
  deal->move_on();
  deal->move_on();  // it is due with all that may still come
  deal->must(deal->timeout(id));
  EXPECT_TRUE(deal->view().drawn[0].convicted);
  EXPECT_EQ(auditor().stake, 0);
}

// The provider has a right answer and loses on purpose, to burn the stake of whoever passed it.
TEST_F(AuditsTest, AThrownGameFramesNobody) {
  const auto t = deal->trade(lease, 1, deal->honest);
  const Hash said = deal->pass_of(t, deal->honest);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  deal->move_on();
  deal->must(deal->timeout(deal->id_of(t.dispute)));
  EXPECT_EQ(ledger->lease(lease)->state, market::LeaseState::convicted);
  EXPECT_EQ(auditor().stake, 2'000'000);

  const auto op = deal->against_pass(t, said);
  deal->commit(op);
  deal->must(op);
  const Hash id = deal->id_of(op);
  const auto defence = deal->party(t, deal->honest), challenger = deal->party(t, changed);
  deal->play(id, *defence, *challenger);
  if (ledger->dispute(id)->state == market::DisputeState::open) {
    EXPECT_EQ(ledger->dispute(id)->turn, market::Turn::challenger);
    deal->move_on();
    deal->must(deal->timeout(id));
  }
  EXPECT_EQ(ledger->dispute(id)->outcome, Outcome::provider_right);
  EXPECT_EQ(auditor().stake, 2'000'000);
  EXPECT_EQ(auditor().available, 1'000'000 + 100'000);
}

// It passed what it never computed, or computed like the provider: no defence convinces the game.
TEST_F(AuditsTest, AFalsePassIsLostWithTheProvidersOwnHelp) {
  const auto t = deal->trade(lease, 1, changed);
  const Hash said = deal->pass_of(t, changed);
  const auto lying = deal->party(t, changed), honest = deal->party(t, deal->honest);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  deal->move_on();
  deal->must(deal->timeout(deal->id_of(t.dispute)));
  const auto op = deal->against_pass(t, said);
  deal->commit(op);
  deal->must(op);
  deal->play(deal->id_of(op), *lying, *honest);
  EXPECT_EQ(ledger->dispute(deal->id_of(op))->outcome, Outcome::provider_wrong);
  EXPECT_TRUE(deal->view().drawn[0].convicted);
  EXPECT_EQ(auditor().stake, 0);
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
