// Disputes on a hosted ledger, decided by the real game and the real referee; spec/vectors/ledger/
// games.json holds one from deposit to conviction (ASSAY_WRITE_VECTORS=1 writes it).
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/hex.hpp"
#include "io/files.hpp"
#include "settle/deal_testutil.hpp"
#include "settle/embedded/embedded_ledger.hpp"

namespace assay::settle {
namespace {

using market::Turn;
using protocol::Outcome;

struct RefereeTest : testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-referee");
  std::string path = folder.file("ledger.db");
  ManualClock clock;
  std::unique_ptr<EmbeddedLedger> ledger;
  std::unique_ptr<Deal> deal;
  DealModel changed{deal_file_with_one_weight_changed()};
  Hash lease;

  static market::LedgerInfo fresh() {
    market::LedgerInfo info;
    info.domain.ledger.fill(7);
    info.host = Deal::address(Deal::kHost);
    return info;
  }
  void open() {
    ledger.reset();
    auto opened = EmbeddedLedger::open(path, fresh(), clock);
    ASSERT_TRUE(opened) << opened.error().message;
    ledger = std::move(*opened);
  }
  void SetUp() override {
    open();
    deal = std::make_unique<Deal>(*ledger, static_cast<std::uint64_t>(clock.now_s()));
    lease = deal->open_lease(deal->fund());
  }
  void TearDown() override {
    const auto report = verify_log(path);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->ok) << report->problem;
    EXPECT_EQ(report->totals.state, ledger->totals()->state);
  }
  // Plays on the ledger until it is decided or a side has no move; true when decided.
  bool play(const Hash& id, verify::Party& provider, verify::Party& challenger) {
    while (ledger->dispute(id)->state == market::DisputeState::open) {
      const auto next = deal->next(*ledger->game(id), provider, challenger);
      if (!next) return false;
      deal->must(as_operation(*next));
      if (HasFailure()) return false;
    }
    return true;
  }
};

TEST_F(RefereeTest, OneChangedWeightIsConvictedOnTheLedger) {
  const auto t = deal->trade(lease, 1, changed);
  const auto provider = deal->party(t, changed), challenger = deal->party(t, deal->honest);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  const Hash id = deal->id_of(t.dispute);
  EXPECT_EQ(ledger->dispute(id)->turn, Turn::provider);
  ASSERT_TRUE(play(id, *provider, *challenger));
  const auto d = *ledger->dispute(id);
  EXPECT_EQ(d.outcome, Outcome::provider_wrong) << d.reason;
  // The embedding of token 4 at position 1: one value of it, both as bits.
  EXPECT_TRUE(d.reason.starts_with("position 1, layer 0, op x, element ")) << d.reason;
  EXPECT_NE(d.reason.find(", step 0: committed 0x"), std::string::npos) << d.reason;
  EXPECT_NE(d.reason.find(", the step gives 0x"), std::string::npos) << d.reason;
  EXPECT_LE(d.moves, 20u);
  EXPECT_EQ(ledger->account(Deal::address(Deal::kProvider))->stake, 0);
  EXPECT_EQ(ledger->lease(lease)->state, market::LeaseState::convicted);
}

TEST_F(RefereeTest, AGameGoesOnAfterARestart) {
  const auto t = deal->trade(lease, 1, changed);
  const auto provider = deal->party(t, changed), challenger = deal->party(t, deal->honest);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  const Hash id = deal->id_of(t.dispute);
  for (int i = 0; i < 3; ++i)
    deal->must(as_operation(*deal->next(*ledger->game(id), *provider, *challenger)));
  const auto before = *ledger->dispute(id);
  open();
  Deal again(*ledger, deal->now_);
  const auto after = *ledger->dispute(id);
  EXPECT_EQ(json::dump(market::to_json(after)), json::dump(market::to_json(before)));
  EXPECT_EQ(ledger->game(id)->transcript.size(), 3u);
  again.terms = deal->terms;
  while (ledger->dispute(id)->state == market::DisputeState::open)
    again.must(as_operation(*again.next(*ledger->game(id), *provider, *challenger)));
  EXPECT_EQ(ledger->dispute(id)->outcome, Outcome::provider_wrong);
}

TEST_F(RefereeTest, WhatWasPlayedElsewhereConvictsInOneOperation) {
  auto t = deal->trade(lease, 1, changed);
  const auto provider = deal->party(t, changed), challenger = deal->party(t, deal->honest);
  for (;;) {
    const auto next = deal->next(t.dispute, *provider, *challenger);
    ASSERT_TRUE(next) << next.error().message;
    t.dispute.transcript.push_back(as_signed(*next));
    const auto played = *transcript_of(deal->domain, deal->terms.provider, t.dispute);
    if (played.game().outcome() != verify::DisputeOutcome::open) break;
  }
  deal->commit(t.dispute);
  auto altered = t.dispute;
  altered.transcript.back().payload.back() ^= 1;
  EXPECT_EQ(deal->run(altered).error().code, Errc::mismatch);
  deal->must(t.dispute);
  const auto d = *ledger->dispute(deal->id_of(t.dispute));
  EXPECT_EQ(d.outcome, Outcome::provider_wrong) << d.reason;
  EXPECT_EQ(d.moves, t.dispute.transcript.size());
}

TEST_F(RefereeTest, AnHonestProviderWinsTheBond) {
  const auto t = deal->trade(lease, 1, deal->honest);
  const auto provider = deal->party(t, deal->honest), challenger = deal->party(t, changed);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  const Hash id = deal->id_of(t.dispute);
  // A challenger with other weights finds a difference and no proof that opens, or lets it be.
  for (;;) {
    if (ledger->dispute(id)->state != market::DisputeState::open) break;
    const auto next = deal->next(*ledger->game(id), *provider, *challenger);
    if (!next || !deal->run(as_operation(*next))) break;
  }
  if (ledger->dispute(id)->state == market::DisputeState::open) {
    EXPECT_EQ(ledger->dispute(id)->turn, Turn::challenger);
    clock.ms += 3'600'000;
    deal->must(deal->sign(protocol::Timeout{Deal::address(Deal::kProvider), id}, Deal::kProvider));
  }
  const auto d = *ledger->dispute(id);
  EXPECT_EQ(d.outcome, Outcome::provider_right) << d.reason;
  EXPECT_EQ(ledger->account(Deal::address(Deal::kPayout))->available, 100'000);
  EXPECT_EQ(ledger->account(Deal::address(Deal::kProvider))->stake, 5'000'000);
}

TEST_F(RefereeTest, AWrongFinishConvictsWithoutAGame) {
  auto t = deal->trade(lease, 1, deal->honest);
  auto& statement = std::get<protocol::Signed<protocol::Receipt>>(t.dispute.evidence.statement);
  statement.message.finish = static_cast<std::uint32_t>(protocol::Finish::cancelled);
  statement = deal->sign(statement.message, Deal::kProvider);
  auto& dispute = t.dispute.dispute.message;
  dispute.subject = protocol::digest(deal->domain, statement.message);
  t.dispute.dispute = deal->sign(dispute, Deal::kBuyer);
  const auto subject = subject_of(t.dispute.execution, t.dispute.program,
                                  t.dispute.evidence.request.message, t.dispute.evidence.statement);
  t.dispute.finish = verify::finish_evidence(*subject, t.opening);
  ASSERT_TRUE(t.dispute.finish);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  EXPECT_EQ(ledger->dispute(deal->id_of(t.dispute))->outcome, Outcome::provider_wrong);
}

TEST_F(RefereeTest, AnotherProgramOrAGarbledOneHasNoGame) {
  auto t = deal->trade(lease, 1, deal->honest);
  deal->commit(t.dispute);
  auto other = t.dispute;
  other.program.back() ^= 1;
  EXPECT_EQ(deal->run(other).error().code, Errc::mismatch);
  deal->must(t.dispute);
}

// The same as any implementation of spec/ledger.md and spec/dispute.md must do it.
TEST(LedgerGames, Vector) {
  ManualClock clock;
  const io::TempDirectory folder = *io::TempDirectory::create("assay-games");
  auto ledger = *EmbeddedLedger::open(folder.file("ledger.db"), RefereeTest::fresh(), clock);
  Deal deal(*ledger, static_cast<std::uint64_t>(clock.now_s()));
  json::array steps;
  deal.record = [&](const market::Operation& operation, const Result<market::Applied>& applied) {
    steps.push_back(
        json::object{{"time", std::to_string(ledger->totals()->time)},
                     {"operation", market::to_json(operation)},
                     {"id", to_hex(market::operation_id(deal.domain, operation))},
                     {"result", applied ? "applied" : std::string(to_string(applied.error().code))},
                     {"state", to_hex(ledger->totals()->state)}});
  };
  DealModel changed{deal_file_with_one_weight_changed()};
  const auto t = deal.trade(deal.open_lease(deal.fund()), 1, changed);
  const auto provider = deal.party(t, changed), challenger = deal.party(t, deal.honest);
  deal.commit(t.dispute);
  deal.must(t.dispute);
  const Hash id = deal.id_of(t.dispute);
  while (ledger->dispute(id)->state == market::DisputeState::open) {
    const auto next = deal.next(*ledger->game(id), *provider, *challenger);
    ASSERT_TRUE(next) << next.error().message;
    deal.must(as_operation(*next));
    ASSERT_FALSE(HasFailure());
  }
  const auto text = json::dump_pretty(json::object{
                        {"about", "a provider that changed one weight, convicted move by move"},
                        {"info", market::to_json(*ledger->info())},
                        {"steps", steps},
                        {"dispute", market::to_json(*ledger->dispute(id))},
                        {"totals", market::to_json(*ledger->totals())}}) +
                    "\n";
  const std::string path = std::string(ASSAY_SOURCE_DIR) + "/spec/vectors/ledger/games.json";
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) std::ofstream(path, std::ios::binary) << text;
  std::stringstream written;
  written << std::ifstream(path, std::ios::binary).rdbuf();
  EXPECT_TRUE(written.str() == text) << path << " differs (ASSAY_WRITE_VECTORS=1 writes it)";
}

}  // namespace
}  // namespace assay::settle
