// An auditor at work on a real ledger, step by step under a clock of the test's.
#include <atomic>
#include <gtest/gtest.h>

#include "io/files.hpp"
#include "protocol/audit_keys.hpp"
#include "services/auditor/desk.hpp"
#include "services/auditor/intake.hpp"
#include "settle/deal_testutil.hpp"
#include "settle/embedded/embedded_ledger.hpp"
#include "verify/keyed.hpp"

namespace assay::services {
namespace {

using protocol::AuditVerdict;
using settle::Deal;
using settle::deal_key;

constexpr std::uint8_t kAuditor = 8, kOther = 9;
constexpr std::uint64_t kMoveS = 100;
constexpr protocol::Micros kFee = 20'000;
constexpr protocol::Micros kEarned = 16'000;  // of it, by a pass

// A clock that may move whenever somebody looks at it: computing takes time.
struct BusyClock : ManualClock {
  std::atomic<std::int64_t> look_ms{0};
  mutable std::atomic<std::int64_t> looked_ms{0};
  std::int64_t now_ms() const override { return ms + (looked_ms += look_ms); }
};

// A ledger of which this auditor sees what was, as on a chain, where blocks are believed late.
struct LateLedger : market::Settlement {
  explicit LateLedger(market::Settlement& ledger) : inner(ledger) {}
  Result<market::LedgerInfo> info() override { return inner.info(); }
  Result<market::AccountView> account(const protocol::Address& a) override {
    return inner.account(a);
  }
  Result<market::LeaseView> lease(const Hash& id) override { return inner.lease(id); }
  Result<market::DisputeView> dispute(const Hash& id) override { return inner.dispute(id); }
  Result<market::Totals> totals() override { return inner.totals(); }
  Result<market::Applied> submit(const market::Operation& o) override {
    ++submitted;
    return inner.submit(o);
  }
  Result<market::FileDispute> game(const Hash& id) override { return inner.game(id); }
  Result<market::Operation> operation(const Hash& id) override { return inner.operation(id); }
  Result<market::AuditView> audit(const Hash& id) override {
    return seen ? Result<market::AuditView>(*seen) : inner.audit(id);
  }
  Result<std::vector<market::AuditorView>> auditors(const Hash& execution) override {
    return inner.auditors(execution);
  }
  market::Settlement& inner;
  std::optional<market::AuditView> seen;  // instead of what is
  std::atomic<int> submitted{0};
};

struct AuditorTest : ::testing::Test {
  io::TempDirectory folder = *io::TempDirectory::create("assay-auditor");
  BusyClock clock;
  std::unique_ptr<settle::EmbeddedLedger> ledger;
  std::unique_ptr<LateLedger> late;
  std::unique_ptr<Deal> deal;
  settle::DealModel worse{settle::deal_file_with_one_weight_changed()};
  std::unique_ptr<AuditorCore> core;
  std::unique_ptr<AuditDesk> desk;
  std::unique_ptr<AuditIntake> intake;
  // Rounds 1 and 2.
  std::array<Hash, 2> beacons{protocol::beacon_before(Hash{0x42}), Hash{0x42}};
  Hash lease{}, audit{};
  Deal::Trade trade;

  void SetUp() override {
    clock.ms = 1'800'000'000'000;
    market::LedgerInfo info;
    info.domain.ledger = Hash{3};
    info.host = Deal::address(Deal::kHost);
    info.parameters.move_s = kMoveS;
    info.parameters.window_min_s = kMoveS;
    info.beacon = protocol::beacon_before(beacons[0]);
    ledger = *settle::EmbeddedLedger::open(folder.path() + "/ledger.db", info, clock);
    late = std::make_unique<LateLedger>(*ledger);
    deal = std::make_unique<Deal>(*ledger, now());
    const auto offer = deal->fund();
    for (const std::uint8_t who : {kAuditor, kOther}) {
      deal->must(
          deal->sign(protocol::Deposit{Deal::address(who), 3'000'000, ++deal->nonce}, Deal::kHost));
      deal->must(deal->sign(protocol::Stake{Deal::address(who), 2'000'000, ++deal->nonce}, who));
      deal->must(
          deal->sign(protocol::RegisterAuditor{.account = Deal::address(who),
                                               .execution = protocol::struct_hash(deal->execution),
                                               .active = true,
                                               .endpoint = "http://127.0.0.1:9",
                                               .fee = kFee,
                                               .nonce = ++deal->nonce},
                     who));
    }
    pass_time(2);
    lease = deal->open_lease(offer);
    start();
  }
  void TearDown() override {
    desk.reset();
    core.reset();
  }

  std::uint64_t now() const { return static_cast<std::uint64_t>(clock.now_s()); }
  void pass_time(std::uint64_t seconds) { clock.ms += static_cast<std::int64_t>(seconds) * 1000; }

  // Also after a crash: nothing but the database and the ledger goes on.
  void start() {
    desk.reset();
    core.reset();
    AuditorOptions options;
    options.data_dir = folder.path();
    options.fee = kFee;
    options.tick_ms = 1;
    AuditedModel model{"toy", deal->honest.model, deal->execution, deal->program};
    core.reset(new AuditorCore{
        options,
        {model},
        deal_key(kAuditor),
        Deal::address(kAuditor),
        *ledger->info(),
        *late,
        clock,
        *AuditStore::open(folder.path() + "/auditor.db", deal->domain, Deal::address(kAuditor))});
    intake = std::make_unique<AuditIntake>(*core);
    desk = std::make_unique<AuditDesk>(*core);
  }

  void request(settle::DealModel& computes, std::uint8_t sequence) {
    trade = deal->trade(lease, sequence, computes);
    protocol::AuditRequest request{.buyer = Deal::address(Deal::kBuyer),
                                   .lease = lease,
                                   .subject = trade.dispute.dispute.message.subject,
                                   .auditors = 2,
                                   .fee_max = kFee,
                                   .nonce = Hash{sequence}};
    audit = protocol::digest(deal->domain, request);
    deal->must(market::RequestAudit{.request = deal->sign(request, Deal::kBuyer),
                                    .evidence = trade.dispute.evidence});
  }
  void draw(std::uint64_t round) {
    deal->must(
        deal->sign(protocol::Beacon{.round = round, .value = beacons.at(round - 1)}, Deal::kHost));
    ASSERT_EQ(ledger->audit(audit)->drawn.size(), 2u);
  }
  void ask(settle::DealModel& computes) {
    request(computes, 1);
    draw(1);
  }
  protocol::AuditCall call() const {
    const auto& o = trade.opening;
    protocol::AuditCall out{
        .handover = {},
        .request = trade.dispute.evidence.request,
        .receipt = std::get<protocol::Signed<protocol::Receipt>>(trade.dispute.evidence.statement),
        .execution = trade.dispute.execution,
        .prompt = o.prompt,
        .answer = o.answer,
        .stop_ids = o.stop_ids,
        .logprobs = o.logprobs};
    out.handover = deal->sign(
        protocol::Handover{.audit = audit,
                           .auditor = Deal::address(kAuditor),
                           .content = protocol::handover_content(
                               out.prompt, out.answer, out.stop_ids, out.logprobs, out.automaton)},
        Deal::kBuyer);
    return out;
  }
  protocol::AuditSecret secret() const { return {audit, trade.opening.salt_secret}; }
  AuditRecord record() { return **core->store->audit(audit); }
  std::size_t open_checks() { return ledger->audit(audit)->checks.size(); }
  // The other auditor commits to noise.
  void noise() {
    const Hash key{5}, nonce = protocol::key_nonce(ledger->audit(audit)->beacon, audit,
                                                   Deal::address(kOther), key);
    deal->must(
        deal->sign(protocol::CommitAudit{Deal::address(kOther), audit, protocol::nonce_hash(nonce),
                                         protocol::keyed_root_hash(Hash{6}, key)},
                   kOther));
  }
  void passes_noise() {
    deal->must(deal->sign(protocol::RevealAudit{Deal::address(kOther), audit,
                                                static_cast<std::uint32_t>(AuditVerdict::pass)},
                          kOther));
  }
  void check(const protocol::Address& auditor, const verify::CheckPlace& place) {
    const auto layers = deal->honest.model->hyper().layers;
    verify::PlaceRecorder recorder(trade.opening.salt_secret, layers, {place});
    ASSERT_TRUE(verify::replay_into(
        verify::Execution{verify::sampling_of(trade.dispute.evidence.request.message), Hash{},
                          trade.opening.prompt, trade.opening.answer, 0, false, 0},
        deal->honest.model, deal->honest.pool, engine::best_isa(), {}, verify::kReplayKvBytes,
        recorder));
    const auto proof = recorder.proof();
    ASSERT_TRUE(proof);
    const Bytes bytes = verify::check_proof_bytes(*proof);
    deal->must(market::CheckAudit{
        .check = deal->sign(protocol::AuditCheck{.challenger = Deal::address(Deal::kBuyer),
                                                 .audit = audit,
                                                 .auditor = auditor,
                                                 .bond = 100'000,
                                                 .proof = crypto::sha256(bytes),
                                                 .nonce = ++deal->nonce},
                            Deal::kBuyer),
        .execution = deal->execution,
        .program = deal->program,
        .proof = bytes});
  }
  market::DrawnAuditor mine() {
    const auto view = *ledger->audit(audit);
    return *std::ranges::find(view.drawn, Deal::address(kAuditor), &market::DrawnAuditor::account);
  }
  // Two audits drawn together, after the first has taken so long to compute.
  AuditRecord second_of_a_round(std::int64_t prefill_ms) {
    request(deal->honest, 1);
    const auto first = call();
    request(deal->honest, 2);
    draw(1);
    EXPECT_TRUE(intake->take(first));
    clock.look_ms = prefill_ms;
    EXPECT_TRUE(desk->do_job());
    clock.look_ms = 0;
    EXPECT_TRUE(intake->take(call()));
    EXPECT_TRUE(desk->do_job());
    return record();
  }
  void work() {
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(desk->do_job());
      EXPECT_TRUE(desk->do_duties());
    }
  }
  // Up to the verdict on the ledger.
  void audit_it() {
    ASSERT_TRUE(intake->take(call()));
    work();
    ASSERT_EQ(record().stage, AuditStage::committed);
    ASSERT_TRUE(intake->take_secret(secret()));
    work();
    ASSERT_EQ(record().stage, AuditStage::judged);
    pass_time(kMoveS);
    work();
    ASSERT_EQ(record().stage, AuditStage::revealed);
  }
};

TEST_F(AuditorTest, PassesAnHonestReceiptAndIsPaid) {
  ask(deal->honest);
  audit_it();
  EXPECT_EQ(mine().verdict, static_cast<std::uint32_t>(AuditVerdict::pass));
  const auto before = ledger->account(core->address)->available;
  pass_time(2 * kMoveS);
  work();
  EXPECT_EQ(ledger->account(core->address)->available, before + kEarned);
  EXPECT_EQ(ledger->account(core->address)->stake, 2'000'000);
  // It goes on being bound by its pass, and keeps what it needs to defend it.
  EXPECT_EQ(record().stage, AuditStage::revealed);
  EXPECT_TRUE(record().salt_secret.has_value());
}

TEST_F(AuditorTest, EveryStepSurvivesACrash) {
  ask(deal->honest);
  ASSERT_TRUE(intake->take(call()));
  start();
  // Computed and written, but not yet on the ledger.
  ASSERT_TRUE(desk->do_job());
  const AuditRecord written = record();
  ASSERT_EQ(written.stage, AuditStage::committed);
  EXPECT_EQ(mine().nonce_hash, Hash{});
  start();
  work();
  EXPECT_EQ(record().key, written.key) << "a second key would be a second story";
  EXPECT_EQ(mine().root_hash, protocol::keyed_root_hash(written.keyed_root, written.key));
  ASSERT_TRUE(intake->take_secret(secret()));
  start();
  ASSERT_TRUE(desk->do_job());
  ASSERT_EQ(record().stage, AuditStage::judged);
  pass_time(kMoveS);
  start();
  work();
  EXPECT_EQ(mine().verdict, static_cast<std::uint32_t>(AuditVerdict::pass));
  // On the ledger, and the note of it lost: the same operation again changes nothing.
  start();
  work();
  EXPECT_EQ(record().stage, AuditStage::revealed);
}

TEST_F(AuditorTest, AnswersAnyCheckOfItsPass) {
  ask(deal->honest);
  audit_it();
  pass_time(kMoveS);
  const auto layers = deal->honest.model->hyper().layers;
  const auto before = ledger->account(core->address)->available;
  // An only one need not wait.
  check(core->address, {0, 0, verify::StateVector::x, 0});
  work();
  EXPECT_EQ(open_checks(), 0u);
  EXPECT_EQ(ledger->account(core->address)->available, before + 100'000) << "the bond";
  // Whoever asks one by one gets no replay for each.
  check(core->address, {5, layers - 1, verify::StateVector::v, 0});
  work();
  check(core->address, {8, layers, verify::StateVector::logits, 0});
  check(core->address, {8, layers, verify::StateVector::logits, 0});
  work();
  EXPECT_EQ(open_checks(), 3u);
  pass_time(kMoveS);
  ASSERT_TRUE(desk->do_job());
  EXPECT_EQ(open_checks(), 0u);
  EXPECT_EQ(ledger->account(core->address)->available, before + 4 * 100'000);
}

TEST_F(AuditorTest, AnswersChecksAfterACrash) {
  ask(deal->honest);
  audit_it();
  pass_time(kMoveS);
  check(core->address, {3, 1, verify::StateVector::k, 0});
  pass_time(kMoveS);
  start();
  work();
  EXPECT_EQ(open_checks(), 0u);
  EXPECT_EQ(ledger->account(core->address)->stake, 2'000'000);
}

// What costs the stake goes before what costs a fee, although the fee's deadline is nearer.
TEST_F(AuditorTest, ChecksThatCannotWaitComeFirst) {
  ask(deal->honest);
  audit_it();
  pass_time(kMoveS);
  check(core->address, {0, 0, verify::StateVector::x, 0});
  const Hash first = audit;
  pass_time(kMoveS - 10);
  request(deal->honest, 2);
  draw(2);
  ASSERT_TRUE(intake->take(call()));
  pass_time(10);
  ASSERT_LT(ledger->audit(audit)->commit_due, ledger->audit(first)->checks.at(0).due);
  ASSERT_TRUE(desk->do_job());
  EXPECT_EQ(ledger->audit(first)->checks.size(), 0u);
  EXPECT_EQ(record().stage, AuditStage::handed);
  ASSERT_TRUE(desk->do_job());
  EXPECT_EQ(record().stage, AuditStage::committed);
}

// What others cannot answer holds the fee of whoever can, until somebody says that the time is
// over.
TEST_F(AuditorTest, EndsChecksThatNobodyElseEnds) {
  ask(deal->honest);
  noise();
  ASSERT_TRUE(intake->take(call()));
  work();
  ASSERT_TRUE(intake->take_secret(secret()));
  work();
  pass_time(kMoveS);
  passes_noise();
  work();
  pass_time(kMoveS);
  check(Deal::address(kOther), {0, 0, verify::StateVector::x, 0});
  check(Deal::address(kOther), {1, 0, verify::StateVector::x, 0});
  pass_time(2 * kMoveS);
  const auto before = ledger->account(core->address)->available;
  work();
  EXPECT_EQ(ledger->account(Deal::address(kOther))->stake, 0);
  EXPECT_EQ(ledger->audit(audit)->state, market::AuditState::settled);
  EXPECT_EQ(ledger->account(core->address)->available, before + kEarned);
}

// All passes of a round may have to be shown at the same time, in half of what the ledger gives.
TEST_F(AuditorTest, CommitsToWhatItCanShow) {
  const AuditRecord second = second_of_a_round(24'000);
  EXPECT_EQ(second.stage, AuditStage::committed) << second.reason;
}
TEST_F(AuditorTest, CommitsToNoMoreThanItCanShow) {
  const AuditRecord second = second_of_a_round(26'000);
  EXPECT_EQ(second.stage, AuditStage::done);
  EXPECT_NE(second.reason.find("more than could be shown"), std::string::npos) << second.reason;
}

// Else its own stake would be bound for as long as the lease's parties like.
TEST_F(AuditorTest, ClosesALeaseThatIsLeftOpen) {
  ask(deal->honest);
  audit_it();
  pass_time(2 * kMoveS);
  work();
  ASSERT_EQ(ledger->audit(audit)->state, market::AuditState::settled);
  const auto terms = ledger->lease(lease)->terms;
  clock.ms = static_cast<std::int64_t>(terms.expires + terms.window) * 1000;
  work();
  EXPECT_EQ(ledger->lease(lease)->state, market::LeaseState::open) << "a claim may still come";
  pass_time(1);
  start();
  work();
  EXPECT_EQ(ledger->lease(lease)->state, market::LeaseState::closed);
  EXPECT_EQ(record().stage, AuditStage::revealed)
      << "its pass may be disputed until the window ends";
  pass_time(terms.window + 1);
  // The ledger's time is that of its last operation.
  deal->must(deal->sign(protocol::Deposit{core->address, 1, ++deal->nonce}, Deal::kHost));
  start();
  work();
  EXPECT_EQ(record().stage, AuditStage::done);
}

TEST_F(AuditorTest, OnlySoManyWaitHere) {
  ask(deal->honest);
  for (std::uint8_t i = 1; i <= 63; ++i) ASSERT_TRUE(core->store->add(Hash{i}, call()));
  ASSERT_TRUE(intake->take(call()));
  EXPECT_TRUE(intake->take(call())) << "the same again is no more";
  const Hash here = std::exchange(audit, Hash{64});
  ASSERT_TRUE(core->store->finish(here, "over"));
  ASSERT_TRUE(core->store->add(audit, call()));
  audit = here;
  request(deal->honest, 2);
  draw(2);
  EXPECT_EQ(intake->take(call()).error().code, Errc::unavailable);
  ASSERT_TRUE(core->store->finish(Hash{9}, "over"));
  EXPECT_TRUE(intake->take(call()));
}

TEST_F(AuditorTest, DisputesWhatItFindsWrongAndWhoPassedIt) {
  ask(worse);
  // The other one passes the lie.
  noise();
  ASSERT_TRUE(intake->take(call()));
  work();
  ASSERT_TRUE(intake->take_secret(secret()));
  work();
  pass_time(kMoveS);
  passes_noise();
  work();
  EXPECT_EQ(mine().verdict, static_cast<std::uint32_t>(AuditVerdict::fail));
  work();
  ASSERT_EQ(ledger->lease(lease)->open_disputes.size(), 1u);
  // The provider says nothing, and loses by the clock; then the one who passed it.
  for (int i = 0; i < 4; ++i) {
    pass_time(kMoveS);
    start();
    work();
    work();
  }
  EXPECT_EQ(ledger->account(Deal::address(Deal::kProvider))->convictions, 1u);
  EXPECT_EQ(ledger->account(Deal::address(kOther))->convictions, 1u);
  EXPECT_EQ(ledger->account(Deal::address(kOther))->stake, 0);
  const auto self = *ledger->account(core->address);
  EXPECT_EQ(self.stake, 2'000'000);
  EXPECT_GT(self.available, 1'000'000 + kFee) << "fee and rewards";
  EXPECT_TRUE(ledger->totals()->conserved());
}

// A provider may throw its game to make honest auditors look bad: the pass is defended move by
// move.
TEST_F(AuditorTest, DefendsItsPass) {
  ask(deal->honest);
  audit_it();
  market::FileDispute thrown = trade.dispute;
  deal->commit(thrown);
  deal->must(thrown);
  pass_time(kMoveS);
  deal->must(deal->sign(protocol::Timeout{Deal::address(Deal::kBuyer), deal->id_of(thrown)},
                        Deal::kBuyer));
  ASSERT_TRUE(ledger->audit(audit)->subject_convicted);

  market::FileDispute framed = trade.dispute;
  framed.dispute = deal->sign(
      protocol::Dispute{Deal::address(Deal::kBuyer), lease, mine().pass, 100'000, ++deal->nonce},
      Deal::kBuyer);
  deal->commit(framed);
  deal->must(framed);
  ASSERT_EQ(ledger->account(core->address)->open_disputes.size(), 1u);
  start();
  work();
  EXPECT_EQ(ledger->dispute(deal->id_of(framed))->turn, market::Turn::challenger);
  EXPECT_EQ(ledger->dispute(deal->id_of(framed))->moves, 1u);
  // The challenger has nothing to say, and loses its bond; the fee is due by then, too.
  const auto before = ledger->account(core->address)->available;
  pass_time(kMoveS);
  work();
  EXPECT_EQ(ledger->dispute(deal->id_of(framed))->outcome, protocol::Outcome::provider_right);
  EXPECT_EQ(ledger->account(core->address)->available, before + 100'000 + kEarned);
  EXPECT_EQ(ledger->account(core->address)->stake, 2'000'000);
}

TEST_F(AuditorTest, WithoutTheSecretItIsUnauditable) {
  ask(deal->honest);
  ASSERT_TRUE(intake->take(call()));
  work();
  pass_time(kMoveS);
  work();
  EXPECT_EQ(record().stage, AuditStage::committed) << "the secret may still come";
  pass_time(kMoveS / 2);
  work();
  EXPECT_EQ(mine().verdict, static_cast<std::uint32_t>(AuditVerdict::unauditable));
}

TEST_F(AuditorTest, TokensThatAreNotTheStatementsAreUnauditable) {
  ask(deal->honest);
  trade.opening.answer[2] ^= 1;  // the buyer signs for it
  ASSERT_TRUE(intake->take(call()));
  work();
  ASSERT_TRUE(intake->take_secret(secret()));
  work();
  EXPECT_EQ(record().verdict, AuditVerdict::unauditable);
  EXPECT_NE(record().reason.find("not the one the receipt commits to"), std::string::npos)
      << record().reason;
}

TEST_F(AuditorTest, ACommitmentThatShowsLateIsKept) {
  ask(deal->honest);
  ASSERT_TRUE(intake->take(call()));
  ASSERT_TRUE(desk->do_job());
  late->seen = *ledger->audit(audit);
  ASSERT_TRUE(desk->do_duties());
  ASSERT_NE(mine().nonce_hash, Hash{});
  pass_time(kMoveS);
  const int before = late->submitted;
  work();
  EXPECT_EQ(record().stage, AuditStage::committed) << "it may have been taken in time";
  EXPECT_EQ(late->submitted, before) << "nothing is sent that comes too late";
  late->seen.reset();
  ASSERT_TRUE(intake->take_secret(secret()));
  work();
  EXPECT_EQ(mine().verdict, static_cast<std::uint32_t>(AuditVerdict::pass));
}

TEST_F(AuditorTest, ACommitmentThatNeverShowsIsGivenUp) {
  ask(deal->honest);
  ASSERT_TRUE(intake->take(call()));
  ASSERT_TRUE(desk->do_job());
  pass_time(2 * kMoveS);
  ASSERT_TRUE(desk->do_duties());
  EXPECT_EQ(record().stage, AuditStage::done);
  EXPECT_EQ(ledger->account(core->address)->stake, 2'000'000);
}

TEST_F(AuditorTest, ItsDeadlinesAreWatched) {
  AuditLookout lookout(*core);
  const auto left = [&](const std::string& of) {
    lookout.look();
    io::Metrics metrics;
    lookout.show(metrics);
    const std::string text = metrics.text(),
                      name = "assay_deadline_left_seconds{of=\"" + of + "\"} ";
    const auto at = text.find(name);
    return at == std::string::npos
               ? ""
               : text.substr(at + name.size(), text.find('\n', at) - at - name.size());
  };
  ask(deal->honest);
  EXPECT_EQ(left("audit"), "+Inf") << "nobody brought the tokens";
  ASSERT_TRUE(intake->take(call()));
  pass_time(10);
  EXPECT_EQ(left("audit"), std::to_string(kMoveS - 10)) << "to commit";
  work();
  EXPECT_EQ(left("audit"), std::to_string(2 * kMoveS - 10)) << "to say what it found";
  ASSERT_TRUE(intake->take_secret(secret()));
  work();
  pass_time(kMoveS);
  EXPECT_EQ(left("audit"), std::to_string(kMoveS - 10));
  work();
  EXPECT_EQ(left("audit"), "+Inf");
  pass_time(kMoveS);
  EXPECT_EQ(left("check"), "+Inf");
  check(core->address, {0, 0, verify::StateVector::x, 0});
  EXPECT_EQ(left("check"), std::to_string(ledger->audit(audit)->checks.at(0).due - now()));
  work();
  EXPECT_EQ(left("check"), "+Inf");
}

TEST_F(AuditorTest, IntakeBelievesTheLedgerOnly) {
  ask(deal->honest);
  const auto code = [&](const protocol::AuditCall& c) {
    const auto taken = intake->take(c);
    return taken ? Errc::internal : taken.error().code;
  };
  protocol::AuditCall bad = call();
  bad.handover = deal->sign(bad.handover.message, Deal::kProvider);
  EXPECT_EQ(code(bad), Errc::mismatch) << "signed by another than the buyer";
  bad = call();
  bad.prompt[0] ^= 1;
  EXPECT_EQ(code(bad), Errc::mismatch) << "other tokens than were signed for";
  bad = call();
  bad.receipt.message.amount += 1;
  EXPECT_EQ(code(bad), Errc::mismatch) << "another receipt than is audited";
  bad = call();
  bad.handover.message.audit = Hash{9};
  EXPECT_EQ(code(bad), Errc::not_found);
  EXPECT_EQ(intake->take_secret(secret()).error().code, Errc::not_found);

  ASSERT_TRUE(intake->take(call()));
  EXPECT_TRUE(intake->take(call())) << "the same again is the same";
  trade.opening.answer[0] ^= 1;
  EXPECT_EQ(code(call()), Errc::conflict);
  trade.opening.answer[0] ^= 1;
  EXPECT_EQ(intake->take_secret(secret()).error().code, Errc::conflict) << "not before it commits";
  work();
  auto wrong = secret();
  wrong.salt_secret[0] ^= 1;
  EXPECT_EQ(intake->take_secret(wrong).error().code, Errc::mismatch);
  EXPECT_TRUE(intake->take_secret(secret()));
}

TEST_F(AuditorTest, ComesTooLateWithoutHarm) {
  ask(deal->honest);
  pass_time(kMoveS);
  EXPECT_EQ(intake->take(call()).error().code, Errc::refused);
  // Handed over in time, computed too late.
  EXPECT_EQ(ledger->account(core->address)->stake, 2'000'000);
}

TEST_F(AuditorTest, ForgetsPromptsWhenNothingCanBeAskedAnyMore) {
  ask(worse);
  trade.opening.answer[2] ^= 1;
  ASSERT_TRUE(intake->take(call()));
  work();
  ASSERT_TRUE(intake->take_secret(secret()));
  work();
  pass_time(kMoveS);
  work();
  ASSERT_EQ(mine().verdict, static_cast<std::uint32_t>(AuditVerdict::unauditable));
  pass_time(2 * kMoveS);
  work();
  work();
  const AuditRecord gone = record();
  EXPECT_EQ(gone.stage, AuditStage::done);
  EXPECT_TRUE(gone.call.prompt.empty());
  EXPECT_FALSE(gone.salt_secret.has_value());
  EXPECT_EQ(gone.key, Hash{});
}

}  // namespace
}  // namespace assay::services
