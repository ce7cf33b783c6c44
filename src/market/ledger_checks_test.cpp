// What holds an auditor to its work: checks, leaked keys, disputed passes, canaries. Every rule of
// spec/audits.md has a refusal here that names it.
#include <gtest/gtest.h>

#include "market/audits_testutil.hpp"

namespace assay::market::test {
namespace {

using namespace protocol;

struct LedgerChecks : testing::Test {
  using enum AuditVerdict;
  AuditWorld w;
  Hash audit{};
  Party a;

  void SetUp() override {
    w.hire(1);
    a = w.auditor(0);
  }
  // One auditor passed it, and checks are taken.
  Hash passed() {
    audit = w.start();
    const Hash said = w.reveal(audit, a, pass);
    w.time = w.audit_of(audit).reveal_due;
    return said;
  }
  void refuse(const Operation& operation, Errc code, std::string_view reason) {
    const auto done = w.run(operation);
    ASSERT_FALSE(done) << reason;
    EXPECT_EQ(done.error().code, code) << done.error().message;
    EXPECT_NE(done.error().message.find(reason), std::string::npos) << done.error().message;
  }
  // Half of 2.00 is burned, reward_max is 1.00.
  void expect_slashed(Micros reward, Micros made_whole) {
    EXPECT_EQ(w.account(a).stake, 0);
    EXPECT_EQ(w.account(a).slashed, 2'000'000);
    EXPECT_EQ(w.account(a).convictions, 1u);
    EXPECT_EQ(w.state.totals.burned, 2'000'000 - reward - made_whole);
    EXPECT_TRUE(w.audit_of(audit).drawn[0].convicted);
    EXPECT_FALSE(w.record_of(a).active);
  }
};

TEST_F(LedgerChecks, ACheckAsksOnlyAPassInItsTime) {
  const auto early = [&] {
    audit = w.start();
    refuse(w.check(audit, a, w.other, 100'000), Errc::refused, "only a pass");
    w.reveal(audit, a, pass);
    refuse(w.check(audit, a, w.other, 100'000), Errc::refused, "checks are taken");
    w.time = w.audit_of(audit).reveal_due;
  };
  early();
  auto forged = w.check(audit, a, w.other, 100'000);
  forged.check.message.bond += 1;
  refuse(forged, Errc::mismatch, "signature");
  refuse(w.check(Hash{9}, a, w.other, 100'000), Errc::not_found, "no audit");
  refuse(w.check(audit, w.buyer, w.other, 100'000), Errc::not_found, "is not drawn");
  refuse(w.check(audit, a, w.other, 99'999), Errc::refused, "bond");
  refuse(w.check(audit, a, w.payout, 100'000), Errc::refused, "available");
  refuse(w.check(audit, a, w.other, 100'000, "nonsense"), Errc::mismatch, "does not open");
  auto swapped = w.check(audit, a, w.other, 100'000, "nonsense");
  swapped.proof = w.check(audit, a, w.other, 100'000).proof;
  refuse(swapped, Errc::mismatch, "signed for another proof");
  auto long_proof = w.check(audit, a, w.other, 100'000, std::string(16 * 1024 + 1, 'x'));
  refuse(long_proof, Errc::invalid, "at most");
  auto program = w.check(audit, a, w.other, 100'000);
  program.program.push_back(1);
  refuse(program, Errc::mismatch, "the program is not");
  program.program.resize(kProgramBytesMax + 1);
  refuse(program, Errc::invalid, "at most");
  auto execution = w.check(audit, a, w.other, 100'000);
  execution.execution.canon += 1;
  refuse(execution, Errc::mismatch, "execution id");
  w.time = w.audit_of(audit).check_due - 1;
  w.must(w.check(audit, a, w.other, 100'000));
  w.time = w.audit_of(audit).check_due;
  refuse(w.check(audit, a, w.buyer, 100'000), Errc::refused, "checks are taken");
}

TEST_F(LedgerChecks, ABondIsNoLessThanTheFee) {
  w.must(w.registration(a, 300'000));
  audit = w.must(w.request_audit(1, 300'000));
  w.must(w.beacon());
  w.must(w.audit_commitment(audit, a));
  w.reveal(audit, a, pass);
  w.time = w.audit_of(audit).reveal_due;
  refuse(w.check(audit, a, w.other, 299'999), Errc::refused, "bond");
  w.must(w.check(audit, a, w.other, 300'000));
}

TEST_F(LedgerChecks, WhoeverComputedAnswersAndHasTheBond) {
  passed();
  const auto id = w.must(w.check(audit, a, w.other, 123'456));
  EXPECT_EQ(text(w.state.checks.at(id).proof), "opens");
  refuse(w.reply(Hash{3}, a), Errc::not_found, "no such check");
  refuse(w.reply(id, w.other), Errc::refused, "another auditor");
  refuse(w.reply(id, a, "garbage"), Errc::mismatch, "does not show");
  refuse(w.reply(id, a, std::string(16 * 1024 + 1, 'x')), Errc::invalid, "at most");
  auto forged = w.reply(id, a);
  forged.answer.signature = w.reply(id, w.other).answer.signature;
  refuse(forged, Errc::mismatch, "signature");
  w.time = w.audit_of(audit).checks[0].due;
  refuse(w.reply(id, a), Errc::refused, "was due before");
  w.time -= 1;
  refuse(w.timeout(id, w.other), Errc::refused, "the auditor has until");
  w.must(w.reply(id, a));
  EXPECT_EQ(w.account(a).available, 1'000'000 + 123'456);
  EXPECT_TRUE(w.audit_of(audit).checks.empty());
  refuse(w.timeout(id, w.other), Errc::not_found, "no such dispute");
}

// However many ask, and whenever: one replay after the last of them answers all.
TEST_F(LedgerChecks, ChecksAreDueTogether) {
  passed();
  w.must(w.check(audit, a, w.other, 100'000));
  const auto v = w.audit_of(audit);
  w.time = v.check_due - 1;
  w.must(w.check(audit, a, w.buyer, 100'000));
  for (const auto& c : w.audit_of(audit).checks)
    EXPECT_EQ(c.due, v.check_due + w.state.info.parameters.move_s);
}

// An auditor that has some of the values may ask itself for those, through as many accounts as it
// likes, and answer: nobody else is kept from asking for the rest.
TEST_F(LedgerChecks, NoSockPuppetKeepsOthersFromAsking) {
  passed();
  std::vector<Hash> own;
  for (int i = 0; i < 60; ++i) own.push_back(w.must(w.check(audit, a, w.buyer, 100'000)));
  w.time = w.audit_of(audit).check_due - 1;
  const auto honest = w.must(w.check(audit, a, w.other, 100'000));
  for (const auto& id : own) w.must(w.reply(id, a));
  w.time = w.audit_of(audit).checks.front().due;
  w.must(w.timeout(honest, w.payout));
  expect_slashed(1'000'000, 0);
}

// Nor does it get the reward by being the first to say that the time is over.
TEST_F(LedgerChecks, WhoeverAskedFirstIsRewarded) {
  passed();
  w.must(w.check(audit, a, w.other, 100'000));
  const auto puppet = w.must(w.check(audit, a, w.buyer, 100'000));
  w.time = w.audit_of(audit).checks.front().due;
  const auto before = w.account(w.other).available;
  w.must(w.timeout(puppet, w.buyer));
  expect_slashed(1'000'000, 0);
  EXPECT_EQ(w.account(w.other).available, before + 1'000'000);
}

// Checks of the convicted that nobody ends hold nobody's fee; their bonds come back at any time.
TEST_F(LedgerChecks, WhatTheConvictedAreAskedHoldsNoFee) {
  passed();
  const auto first = w.must(w.check(audit, a, w.other, 100'000));
  const auto second = w.must(w.check(audit, a, w.buyer, 100'000));
  w.time = w.audit_of(audit).checks.front().due;
  w.must(w.timeout(first, w.other));
  w.must(w.settlement(audit, w.other));
  const auto before = w.account(w.buyer).available;
  w.must(w.timeout(second, w.other));
  EXPECT_EQ(w.account(w.buyer).available, before + 100'000);
  EXPECT_TRUE(w.state.checks.empty());
}

TEST_F(LedgerChecks, WhoeverDidNotIsConvicted) {
  passed();
  const auto id = w.must(w.check(audit, a, w.other, 100'000));
  const auto second = w.must(w.check(audit, a, w.buyer, 100'000));
  w.time = std::max(w.audit_of(audit).checks[0].due, w.audit_of(audit).check_due);
  refuse(w.settlement(audit, w.other), Errc::refused, "a check is open");
  const auto buyer = w.account(w.buyer).available;
  const auto other = w.account(w.other).available;
  w.must(w.timeout(id, w.buyer));
  expect_slashed(1'000'000, 0);
  EXPECT_EQ(w.account(w.other).available, other + 100'000 + 1'000'000);
  EXPECT_EQ(w.account(w.buyer).available, buyer + kFee);
  // Nothing is left to ask of it.
  refuse(w.reply(second, a), Errc::conflict, "convicted");
  refuse(w.check(audit, a, w.buyer, 100'000), Errc::conflict, "convicted");
  w.must(w.timeout(second, w.other));
  EXPECT_EQ(w.account(w.buyer).available, buyer + kFee + 100'000);
  w.must(w.settlement(audit, w.other));
  EXPECT_EQ(w.record_of(a).missed, 0u);
  EXPECT_EQ(w.account(w.buyer).available, buyer + kFee + 100'000);
}

TEST_F(LedgerChecks, AKeyGivenAwayConvicts) {
  audit = w.must(w.request_audit());
  w.must(w.beacon());
  const auto report = w.report(audit, a, w.other);
  w.commit(report, w.other);
  refuse(report, Errc::mismatch, "another nonce");  // nothing was committed yet
  w.must(w.audit_commitment(audit, a));
  auto wrong = report.message;
  wrong.key_nonce[0] ^= 1;
  refuse(w.sign(wrong, w.other), Errc::mismatch, "another nonce");
  auto forged = report;
  forged.message.challenger = w.buyer.address;
  refuse(forged, Errc::mismatch, "signature");
  refuse(w.report(audit, a, w.buyer), Errc::refused, "commit first");
  // Too late: from here on the auditor may show it itself.
  w.time = w.audit_of(audit).commit_due;
  const auto late = w.report(audit, a, w.buyer);
  w.commit(late, w.buyer);
  refuse(late, Errc::refused, "had to be before");
  const auto other = w.account(w.other).available;
  w.must(report);
  expect_slashed(1'000'000, 0);
  EXPECT_EQ(w.account(w.other).available, other + 1'000'000);
  EXPECT_EQ(w.state.totals.audit_fees, 0);
  refuse(w.sign(RevealAudit{a.address, audit, 1}, a), Errc::conflict, "convicted");
  EXPECT_TRUE(w.state.accounts.at(w.other.address).commitments.empty());
}

TEST_F(LedgerChecks, AKeyIsNoUseOnceTheAuditIsOver) {
  audit = w.must(w.request_audit());
  w.must(w.beacon());
  const auto report = w.report(audit, a, w.other);
  w.commit(report, w.other);
  w.must(w.audit_commitment(audit, a));
  w.reveal(audit, a, fail);
  w.time = w.audit_of(audit).check_due;
  w.must(w.settlement(audit, w.buyer));
  refuse(report, Errc::refused, "no more");
}

TEST_F(LedgerChecks, OnlyAPassOfAFalseReceiptIsDisputed) {
  const auto said = passed();
  const auto early =
      w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.other, 100'000), w.other);
  refuse(early, Errc::refused, "nobody has shown");
  w.convict(w.lease_id, w.leaf_one);
  // The receipt's conviction does not touch who passed it.
  EXPECT_EQ(w.account(a).stake, 2'000'000);
  auto second = w.leaf(w.lease_id, 2, 5);
  auto another = w.pass_dispute(w.lease_id, second, said, w.other, 100'000);
  refuse(w.committed(another, w.other), Errc::mismatch, "another receipt");
  w.stake(w.other, 2'000'000);
  const auto other_lease = w.run(w.open_lease(1'000, w.buyer, w.other, w.payout));
  ASSERT_TRUE(other_lease);
  auto foreign = w.pass_dispute(other_lease->id, w.leaf_one, said, w.buyer, 100'000);
  refuse(w.committed(foreign, w.buyer), Errc::mismatch, "another lease");
  refuse(w.pass_dispute(w.lease_id, w.leaf_one, said, w.other, 100'000), Errc::refused,
         "commit first");
  w.time += 101;
  refuse(w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.buyer, 100'000), w.buyer),
         Errc::refused, "could be disputed until");
  w.time -= 1;
}

TEST_F(LedgerChecks, WhoPassedPlaysTheProvidersPart) {
  const auto said = passed();
  w.convict(w.lease_id, w.leaf_one);
  const auto id =
      w.must(w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.other, 100'000), w.other));
  const auto d = *dispute_view(w.state, id);
  EXPECT_EQ(d.defender, a.address);
  EXPECT_EQ(d.audit, audit);
  EXPECT_EQ(d.turn, Turn::provider);
  EXPECT_EQ(w.account(a).open_disputes, std::vector{id});
  EXPECT_TRUE(w.account(w.provider).open_disputes.empty());
  EXPECT_EQ(w.audit_of(audit).open_disputes, std::vector{id});
  EXPECT_TRUE(w.lease_of(w.lease_id).open_disputes.empty());
  refuse(w.move(id, "continue", w.provider), Errc::mismatch, "signature");
  w.must(w.move(id, "continue", a));
  w.must(w.move(id, "continue", w.other));
  // It computed what it says: the bond is its own.
  const auto before = w.account(a).available;
  w.must(w.move(id, "right", a));
  EXPECT_EQ(w.account(a).available, before + 100'000);
  EXPECT_EQ(w.account(a).stake, 2'000'000);
  EXPECT_TRUE(w.audit_of(audit).open_disputes.empty());

  // Its win binds only that challenger.
  const auto second =
      w.must(w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.buyer, 100'000), w.buyer));
  w.must(w.move(second, "wrong", a));
  EXPECT_EQ(dispute_view(w.state, second)->outcome, Outcome::provider_wrong);
  EXPECT_TRUE(w.audit_of(audit).drawn[0].convicted);
  EXPECT_EQ(w.account(a).stake, 0);
}

TEST_F(LedgerChecks, WhoPassedAndDoesNotDefendItIsConvictedOnce) {
  const auto said = passed();
  w.time = w.audit_of(audit).check_due;
  w.must(w.settlement(audit, w.other));  // its fee is paid
  w.convict(w.lease_id, w.leaf_one);
  const auto burned = w.state.totals.burned;
  const auto first =
      w.must(w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.other, 100'000), w.other));
  const auto second =
      w.must(w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.buyer, 100'000), w.buyer));
  w.time = dispute_view(w.state, first)->due;
  const auto buyer = w.account(w.buyer).available;
  w.must(w.timeout(first, w.buyer));
  const auto d = *dispute_view(w.state, first);
  EXPECT_EQ(d.slashed, 2'000'000);
  EXPECT_EQ(d.made_whole, kFee);
  EXPECT_EQ(d.reward, 1'000'000 - kFee);
  EXPECT_EQ(w.state.totals.burned - burned, 1'000'000);
  EXPECT_EQ(w.account(w.buyer).available, buyer + kFee);
  refuse(w.move(second, "continue", a), Errc::conflict, "convicted meanwhile");
  refuse(w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.buyer, 100'000), w.buyer),
         Errc::conflict, "convicted for this audit");
  w.must(w.timeout(second, w.other));
  EXPECT_EQ(dispute_view(w.state, second)->outcome, Outcome::not_judged);
  EXPECT_EQ(w.account(a).convictions, 1u);
}

TEST_F(LedgerChecks, AnInvalidModelConvictsNoAuditor) {
  const auto said = passed();
  w.convict(w.lease_id, w.leaf_one);
  const auto id =
      w.must(w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.other, 100'000), w.other));
  const auto before = w.account(w.other).available;
  w.must(w.move(id, "invalid", a));
  EXPECT_EQ(w.account(w.other).available, before + 100'000);
  EXPECT_EQ(w.account(a).stake, 2'000'000);
}

TEST_F(LedgerChecks, StakeWaitsUntilNothingCanBeHeldAgainstIt) {
  passed();
  w.time = w.audit_of(audit).check_due;
  w.must(w.settlement(audit, w.other));
  w.must(w.registration(a, kFee, false));
  w.must(w.sign(Unbond{a.address, 2'000'000, w.nonce()}, a));
  w.time += 1'000;
  const auto release = w.sign(Release{a.address, w.nonce()}, a);
  refuse(release, Errc::refused, "an audit drawn at");
  w.must(w.sign(Close{w.provider.address, w.lease_id}, w.provider));
  w.time += 100;
  refuse(release, Errc::refused, "an audit drawn at");
  w.time += 1;
  w.must(release);
  EXPECT_EQ(w.account(a).available, 3'000'000 + kEarned);
  EXPECT_TRUE(w.state.live_audits.empty());
}

TEST_F(LedgerChecks, StakeWaitsWhileTheAuditRuns) {
  audit = w.start();
  w.must(w.registration(a, kFee, false));
  w.must(w.sign(Unbond{a.address, 2'000'000, w.nonce()}, a));
  w.time += 1'000;
  const auto release = w.sign(Release{a.address, w.nonce()}, a);
  refuse(release, Errc::refused, "an audit drawn at");
  w.must(w.settlement(audit, w.other));  // nobody came
  w.must(release);
}

// The last second of the window: the receipt's dispute is open, then its pass can be disputed.
TEST_F(LedgerChecks, AConvictionAfterTheWindowStillReachesThePass) {
  const auto said = passed();
  w.must(w.sign(Close{w.provider.address, w.lease_id}, w.provider));
  w.time += 100;
  const auto dispute =
      w.must(w.committed(w.dispute(w.lease_id, w.leaf_one, w.other, 100'000), w.other));
  w.time += 20;
  EXPECT_EQ(w.account(a).audits, std::vector{audit});
  w.must(w.timeout(dispute, w.other));
  w.time += 100;
  EXPECT_TRUE(liable(w.state, audit, a.address, w.time));
  w.must(w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.other, 100'000), w.other));
  w.time += 50;
  EXPECT_TRUE(liable(w.state, audit, a.address, w.time));
}

TEST_F(LedgerChecks, ACanaryIsCommittedBeforeAnybodyLooks) {
  const auto shown = w.canary(w.lease_id, w.leaf_one, w.buyer, w.provider);
  w.commit(shown, w.buyer);
  refuse(shown, Errc::refused, "nobody was asked");
  // Not in the same second.
  audit = w.must(w.request_audit());
  refuse(shown, Errc::refused, "had to be before");
}

TEST_F(LedgerChecks, ACanaryShowsWhoPassedIt) {
  const auto shown = w.canary(w.lease_id, w.leaf_one, w.buyer, w.provider);
  w.commit(shown, w.buyer);
  ++w.time;
  const auto said = passed();
  auto forged = shown;
  forged.shown.signature = w.sign(shown.shown.message, w.other).signature;
  refuse(forged, Errc::mismatch, "signature");
  auto unsigned_by_provider = shown;
  unsigned_by_provider.canary = w.sign(shown.canary.message, w.other);
  refuse(unsigned_by_provider, Errc::mismatch, "signature");
  auto another = shown;
  another.canary.message.nonce += 1;
  refuse(another, Errc::mismatch, "another canary");
  auto uncommitted = w.canary(w.lease_id, w.leaf_one, w.buyer, w.provider);
  uncommitted.canary.message.nonce += 1;
  uncommitted.canary = w.sign(uncommitted.canary.message, w.provider);
  uncommitted.shown =
      w.sign(CanaryShown{w.buyer.address, digest(w.domain(), uncommitted.canary.message)}, w.buyer);
  refuse(uncommitted, Errc::refused, "commit first");
  const auto not_the_buyer = w.canary(w.lease_id, w.leaf_one, w.other, w.provider);
  refuse(not_the_buyer, Errc::refused, "its buyer shows it");
  const auto not_the_provider = w.canary(w.lease_id, w.leaf_one, w.buyer, w.other);
  refuse(not_the_provider, Errc::refused, "is its lease's provider's");

  w.must(shown);
  EXPECT_TRUE(w.audit_of(audit).subject_canary);
  EXPECT_TRUE(w.state.accounts.at(w.buyer.address).commitments.empty());
  auto again = uncommitted;
  refuse(again, Errc::conflict, "shown already");
  // Showing it proves nothing against anybody; the dispute with whoever passed it does. The window
  // for one begins with the end of the lease.
  EXPECT_EQ(w.account(a).stake, 2'000'000);
  w.time += 101;
  const auto id =
      w.must(w.committed(w.pass_dispute(w.lease_id, w.leaf_one, said, w.buyer, 100'000), w.buyer));
  w.time += 20;
  w.must(w.timeout(id, w.other));
  EXPECT_TRUE(w.audit_of(audit).drawn[0].convicted);
  EXPECT_EQ(w.account(w.provider).stake, 10'000'000);
}

// Of two stories of which one is a canary, the other one costs the stake, whoever reports them.
TEST_F(LedgerChecks, ACanaryShieldsNoOtherStatement) {
  const auto shown = w.canary(w.lease_id, w.leaf_one, w.buyer, w.provider);
  w.commit(shown, w.buyer);
  ++w.time;
  audit = w.must(w.request_audit());
  w.must(shown);
  const auto& request = w.leaf_one.request;
  const auto count = w.leaf_one.receipt.message.count;
  const auto lie = w.receipt(request, count, w.provider, 2);
  const auto friendly = w.equivocation(w.lease_id, request, w.leaf_one.receipt, lie, w.other);
  w.commit(friendly, w.other);
  refuse(friendly, Errc::refused, "is a canary");
  w.must(
      w.committed(w.equivocation(w.lease_id, request, lie, w.leaf_one.receipt, w.other), w.other));
  EXPECT_EQ(w.account(w.provider).stake, 0);
}

TEST_F(LedgerChecks, ACanarysProviderIsNotSlashedAndWhoSaidSoIsPaid) {
  const auto shown = w.canary(w.lease_id, w.leaf_one, w.buyer, w.provider);
  w.commit(shown, w.buyer);
  ++w.time;
  audit = w.start();
  w.reveal(audit, a, fail);
  const auto dispute = w.must(w.committed(w.dispute(w.lease_id, w.leaf_one, a, 100'000), a));
  w.must(shown);
  const auto before = w.account(a).available;
  const auto escrow = w.lease_of(w.lease_id).escrow;
  const auto buyer = w.account(w.buyer).available;
  w.time += 20;
  w.must(w.timeout(dispute, w.other));
  EXPECT_EQ(w.account(w.provider).stake, 10'000'000);
  EXPECT_EQ(w.account(w.provider).convictions, 0u);
  EXPECT_EQ(w.account(w.buyer).available, buyer + escrow);
  EXPECT_EQ(w.lease_of(w.lease_id).state, LeaseState::convicted);
  EXPECT_EQ(w.account(a).available, before + 100'000);
  w.time = std::max(w.time, w.audit_of(audit).check_due);
  w.must(w.settlement(audit, w.other));
  EXPECT_EQ(w.account(a).available, before + 100'000 + kFee);
}

TEST_F(LedgerChecks, WhatIsConvictedIsNoCanaryAnyMore) {
  const auto shown = w.canary(w.lease_id, w.leaf_one, w.buyer, w.provider);
  w.commit(shown, w.buyer);
  ++w.time;
  passed();
  w.convict(w.lease_id, w.leaf_one);
  EXPECT_EQ(w.account(w.provider).stake, 0);
  refuse(shown, Errc::conflict, "convicted already");
}

TEST_F(LedgerChecks, ViewsComeBackAsTheyWere) {
  passed();
  w.must(w.check(audit, a, w.other, 100'000));
  const auto view = w.audit_of(audit);
  const auto back = audit_view_from_json(to_json(view));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(json::dump(to_json(*back)), json::dump(to_json(view)));
  EXPECT_EQ(back->drawn, view.drawn);
  EXPECT_EQ(back->checks, view.checks);
  const auto all = auditors_view(w.state, struct_hash(execution()));
  const auto read = auditors_from_json(to_json(all));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, all);
}

}  // namespace
}  // namespace assay::market::test
