// Hired auditors on the ledger: registration, draw, commitment, verdict, fees. Every rule of
// spec/audits.md has a refusal here that names it.
#include <gtest/gtest.h>

#include "market/audits_testutil.hpp"

namespace assay::market::test {
namespace {

using namespace protocol;

struct LedgerAudits : testing::Test {
  using enum AuditVerdict;
  AuditWorld w;

  void refuse(const Operation& operation, Errc code, std::string_view reason) {
    const auto done = w.run(operation);
    ASSERT_FALSE(done) << reason;
    EXPECT_EQ(done.error().code, code) << done.error().message;
    EXPECT_NE(done.error().message.find(reason), std::string::npos) << done.error().message;
  }
};

TEST_F(LedgerAudits, RegisteringNeedsStakeAndKeepsIt) {
  w.fund();
  const auto a = w.auditor(0);
  w.deposit(a, 3'000'000);
  refuse(w.registration(a), Errc::refused, "has stake 0");
  w.stake(a, 2'000'000);
  auto forged = w.registration(a);
  forged.message.fee += 1;
  refuse(forged, Errc::mismatch, "signature");
  refuse(w.registration(a, 0), Errc::invalid, "must be more than zero");
  auto nowhere = w.registration(a).message;
  nowhere.endpoint.clear();
  refuse(w.sign(nowhere, a), Errc::invalid, "endpoint");
  nowhere.endpoint.assign(257, 'x');
  refuse(w.sign(nowhere, a), Errc::invalid, "endpoint");
  refuse(w.registration(a, kFee, false), Errc::conflict, "not registered");
  w.must(w.registration(a));
  EXPECT_EQ(w.record_of(a).weight, 2'000'000);
  EXPECT_EQ(w.record_of(a).since, w.time);

  // The stake it registered with stays as long as it is registered.
  refuse(w.sign(Unbond{a.address, 1, w.nonce()}, a), Errc::refused, "registered here with stake");
  w.stake(a, 500'000);
  w.must(w.sign(Unbond{a.address, 500'000, w.nonce()}, a));
  refuse(w.sign(Unbond{a.address, 1, w.nonce()}, a), Errc::refused, "registered here with stake");

  // A change keeps its place, another registration does not.
  const auto since = w.time;
  w.time += 5;
  w.must(w.registration(a, kFee + 1));
  EXPECT_EQ(w.record_of(a).since, since);
  EXPECT_EQ(w.record_of(a).fee, kFee + 1);
  EXPECT_EQ(auditors_view(w.state, struct_hash(execution())).size(), 1u);
  w.must(w.registration(a, kFee, false));
  EXPECT_TRUE(auditors_view(w.state, struct_hash(execution())).empty());
  w.must(w.sign(Unbond{a.address, 500'000, w.nonce()}, a));
  w.must(w.registration(a));
  EXPECT_EQ(w.record_of(a).since, w.time);
  EXPECT_EQ(w.record_of(a).weight, 1'500'000);
}

TEST_F(LedgerAudits, AnAccountAuditsAFewExecutions) {
  w.fund();
  const auto a = w.auditor(0);
  w.deposit(a, 3'000'000);
  w.stake(a, 2'000'000);
  for (std::uint8_t i = 0; i < 17; ++i) {
    auto m = w.registration(a).message;
    m.execution = Hash{i};
    if (i < 16)
      w.must(w.sign(m, a));
    else
      refuse(w.sign(m, a), Errc::refused, "16 executions");
  }
}

TEST_F(LedgerAudits, OnlyTheBuyerAsksAboutAReceiptThatCanBeDisputed) {
  w.hire(2);
  const auto good = w.request_audit();
  const auto change = [&](auto f, const Party& by) {
    auto op = good;
    f(op);
    op.request = w.sign(op.request.message, by);
    return op;
  };
  auto forged = good;
  forged.request.message.fee_max += 1;
  refuse(forged, Errc::mismatch, "signature");
  refuse(change([&](auto& op) { op.request.message.buyer = w.other.address; }, w.other),
         Errc::refused, "only the lease's buyer");
  refuse(change([&](auto& op) { op.request.message.lease = Hash{1}; }, w.buyer), Errc::not_found,
         "no lease");
  refuse(change([&](auto& op) { op.request.message.subject = Hash{1}; }, w.buyer), Errc::mismatch,
         "another receipt");
  refuse(change([&](auto& op) { op.request.message.auditors = 0; }, w.buyer), Errc::invalid,
         "0 auditors");
  refuse(change([&](auto& op) { op.request.message.auditors = 5; }, w.buyer), Errc::invalid,
         "5 auditors");
  refuse(change([&](auto& op) { op.request.message.fee_max = 0; }, w.buyer), Errc::invalid,
         "more than zero");
  refuse(change(
             [&](auto& op) {
               op.request.message.fee_max = INT64_MAX;
               op.request.message.auditors = 2;
             },
             w.buyer),
         Errc::invalid, "money can count");
  refuse(change([&](auto& op) { op.request.message.fee_max = 1'000'000'000; }, w.buyer),
         Errc::refused, "available");
  // Evidence as for a dispute.
  refuse(change(
             [&](auto& op) {
               auto receipt = w.leaf_one.receipt.message;
               const auto by_other = w.sign(receipt, w.other);
               op.evidence.statement = by_other;
             },
             w.buyer),
         Errc::mismatch, "receipt");
  refuse(change(
             [&](auto& op) {
               auto receipt = w.leaf_one.receipt.message;
               receipt.amount += 1;
               const auto dear = w.sign(receipt, w.provider);
               op.evidence.statement = dear;
               op.request.message.subject = digest(w.domain(), receipt);
             },
             w.buyer),
         Errc::refused, "it needs no audit");
  refuse(change(
             [&](auto& op) {
               const auto& r = w.leaf_one.receipt.message;
               const Progress p{.request = r.request,
                                .count = r.count,
                                .tape_root = r.tape_root,
                                .trace_root = r.trace_root,
                                .amount = r.amount};
               op.evidence.statement = w.sign(p, w.provider);
               op.request.message.subject = digest(w.domain(), p);
             },
             w.buyer),
         Errc::invalid, "not about a progress");

  const auto before = w.account(w.buyer).available;
  const auto id = w.must(w.request_audit(3));
  EXPECT_EQ(w.account(w.buyer).available, before - 3 * kFee);
  EXPECT_EQ(w.state.totals.audit_fees, 3 * kFee);
  EXPECT_EQ(w.audit_of(id).state, AuditState::waiting);

  // What was convicted needs no audit.
  w.convict(w.lease_id, w.leaf_one);
  refuse(w.request_audit(), Errc::conflict, "convicted already");
  w.time += 101;
  const auto late = w.leaf(w.lease_id, 2, 5);
  refuse(w.request_audit(w.lease_id, late, 1, kFee, w.buyer), Errc::refused,
         "could be disputed until");
}

TEST_F(LedgerAudits, ALedgerWithoutABeaconDrawsNobody) {
  w.hire(1);
  w.state.info.beacon = {};
  refuse(w.request_audit(), Errc::unsupported, "no beacon");
}

TEST_F(LedgerAudits, AFewAuditsOfALeaseAtATimeAndABoundedRound) {
  w.hire(1);
  for (int i = 0; i < 8; ++i) w.must(w.request_audit());
  refuse(w.request_audit(), Errc::refused, "8 audits about this lease");
  // 31 more leases fill the round.
  for (int lease = 0; lease < 31; ++lease) {
    w.lease_id = w.lease(1'000);
    w.leaf_one = w.leaf(w.lease_id, 1, 5);
    for (int i = 0; i < 8; ++i) w.must(w.request_audit(1, 1'000));
  }
  w.lease_id = w.lease(1'000);
  w.leaf_one = w.leaf(w.lease_id, 1, 5);
  refuse(w.request_audit(1, 1'000), Errc::refused, "256 audits wait");
  w.must(w.beacon());
  w.must(w.request_audit(1, 1'000));
}

TEST_F(LedgerAudits, ALeaseHasABoundedNumberOfAudits) {
  w.hire(1);
  auto& audits = w.state.leases.at(w.lease_id).audits;
  for (int i = 0; i < 1024; ++i) {
    Hash id{1};
    id[1] = static_cast<std::uint8_t>(i);
    id[2] = static_cast<std::uint8_t>(i >> 8);
    audits.insert(id);
  }
  refuse(w.request_audit(), Errc::refused, "has had 1024 audits");
}

TEST_F(LedgerAudits, TheBeaconIsTheHostsChainInOrder) {
  w.hire(1);
  refuse(w.sign(Beacon{1, beacon_values()[1]}, w.other), Errc::mismatch, "signature");
  refuse(w.sign(Beacon{2, beacon_values()[2]}, w.host), Errc::conflict, "1 is next");
  refuse(w.sign(Beacon{1, beacon_values()[2]}, w.host), Errc::mismatch, "does not lead");
  w.must(w.beacon());
  refuse(w.sign(Beacon{1, beacon_values()[2]}, w.host), Errc::conflict, "2 is next");
  w.must(w.beacon());
  EXPECT_EQ(w.state.beacon.value, beacon_values()[2]);
}

TEST_F(LedgerAudits, TheNextRoundDrawsTheSmallestScores) {
  w.hire(6);
  w.must(w.beacon());
  const auto before = w.account(w.buyer).available;
  const auto id = w.must(w.request_audit(3, kFee + 7));
  EXPECT_EQ(w.audit_of(id).round, 2u);
  w.must(w.beacon());
  const auto v = w.audit_of(id);
  ASSERT_EQ(v.state, AuditState::drawn);
  ASSERT_EQ(v.drawn.size(), 3u);
  // Two tickets each: stake over the least stake.
  std::vector<std::pair<Hash, Address>> scores;
  for (std::uint8_t i = 0; i < 6; ++i)
    scores.emplace_back(draw_score(beacon_values()[2], id, w.auditor(i).address, 2),
                        w.auditor(i).address);
  std::ranges::sort(scores);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(v.drawn[i].account, scores[i].second);
  EXPECT_EQ(v.commit_due, w.time + 20);
  EXPECT_EQ(v.reveal_due, w.time + 40);
  EXPECT_EQ(v.check_due, w.time + 60);
  // Nobody asks for more than it wants.
  EXPECT_EQ(v.held, 3 * kFee);
  EXPECT_EQ(w.account(w.buyer).available, before - 3 * kFee);
  EXPECT_EQ(w.record_of(w.drawn(id)).drawn, 1u);
  EXPECT_EQ(w.account(w.drawn(id)).audits, std::vector{id});
  // Its buyer finds it, also when it takes no more audits.
  w.must(w.registration(w.drawn(id), kFee, false));
  EXPECT_EQ(w.audit_of(id).drawn[0].endpoint, "http://127.0.0.1:9100");
}

// What a host could do once it has seen the request and knows the beacon moves nobody else, and
// brings nobody in.
TEST_F(LedgerAudits, NobodyComesIntoTheDrawAfterTheLease) {
  w.hire(2);
  w.deposit(w.auditor(7), 20'000'000);
  w.stake(w.auditor(7), 16'000'000);
  w.must(w.registration(w.auditor(7)));
  // Nor does a registration that is renewed, nor stake that is added.
  w.must(w.registration(w.auditor(0), kFee, false));
  w.must(w.registration(w.auditor(0)));
  w.stake(w.auditor(1), 1'000'000);
  w.must(w.registration(w.auditor(1)));
  const auto id = w.must(w.request_audit(4));
  w.must(w.beacon());
  const auto v = w.audit_of(id);
  ASSERT_EQ(v.drawn.size(), 1u);
  EXPECT_EQ(v.drawn[0].account, w.auditor(1).address);
  EXPECT_EQ(w.record_of(w.auditor(1)).weight, 2'000'000);
}

TEST_F(LedgerAudits, InTheSameSecondAsTheLeaseIsTooLate) {
  w.hire(1);
  w.deposit(w.auditor(2), 3'000'000);
  w.stake(w.auditor(2), 2'000'000);
  w.must(w.registration(w.auditor(2)));
  w.lease_id = w.lease(1'000'000);
  w.leaf_one = w.leaf(w.lease_id, 1, 5);
  const auto id = w.must(w.request_audit(4));
  w.must(w.beacon());
  ASSERT_EQ(w.audit_of(id).drawn.size(), 1u);
  EXPECT_EQ(w.audit_of(id).drawn[0].account, w.auditor(0).address);
}

TEST_F(LedgerAudits, TheirOwnPeopleAreNotDrawn) {
  w.hire(1);
  for (const auto& who : {w.buyer, w.provider, w.payout}) {
    w.deposit(who, 3'000'000);
    w.stake(who, 2'000'000);
    w.must(w.registration(who));
  }
  w.must(w.registration(w.auditor(0), kFee + 1));  // asks for too much
  ++w.time;
  w.lease_id = w.lease(1'000'000);
  w.leaf_one = w.leaf(w.lease_id, 1, 5);
  const auto before = w.account(w.buyer).available;
  const auto id = w.must(w.request_audit(4));
  w.must(w.beacon());
  EXPECT_TRUE(w.audit_of(id).drawn.empty());
  EXPECT_EQ(w.audit_of(id).state, AuditState::settled);
  EXPECT_EQ(w.account(w.buyer).available, before);
}

TEST_F(LedgerAudits, WhatIsConvictedMeanwhileDrawsNobody) {
  w.hire(2);
  const auto before = w.account(w.buyer).available;
  const auto id = w.must(w.request_audit(2));
  w.convict(w.lease_id, w.leaf_one);
  const auto refunded = w.account(w.buyer).available - (before - 2 * kFee);
  w.must(w.beacon());
  EXPECT_EQ(w.audit_of(id).state, AuditState::settled);
  EXPECT_TRUE(w.audit_of(id).drawn.empty());
  EXPECT_EQ(w.account(w.buyer).available, before + refunded);
}

TEST_F(LedgerAudits, ASlashEndsRegistrations) {
  w.hire(1);
  w.must(w.registration(w.provider));
  EXPECT_EQ(auditors_view(w.state, struct_hash(execution())).size(), 2u);
  w.convict(w.lease_id, w.leaf_one);
  EXPECT_EQ(auditors_view(w.state, struct_hash(execution())).size(), 1u);
  EXPECT_FALSE(w.record_of(w.provider).active);
  EXPECT_TRUE(w.state.accounts.at(w.provider.address).auditing.empty());
}

TEST_F(LedgerAudits, WithoutABeaconEverythingComesBack) {
  w.hire(1);
  const auto before = w.account(w.buyer).available;
  const auto id = w.must(w.request_audit());
  refuse(w.settlement(id, w.other), Errc::refused, "settled from");
  w.time += 20;
  w.must(w.settlement(id, w.other));
  EXPECT_EQ(w.account(w.buyer).available, before);
  EXPECT_EQ(w.audit_of(id).state, AuditState::settled);
  w.must(w.beacon());
  EXPECT_TRUE(w.audit_of(id).drawn.empty());
}

TEST_F(LedgerAudits, CommitmentsComeOnceAndInTime) {
  w.hire(1);
  const auto id = w.must(w.request_audit());
  const auto a = w.auditor(0);
  refuse(w.sign(CommitAudit{a.address, id, Hash{1}, Hash{2}}, a), Errc::not_found, "is not drawn");
  w.must(w.beacon());
  const auto good = w.audit_commitment(id, a);
  auto forged = good;
  forged.message.root_hash[0] ^= 1;
  refuse(forged, Errc::mismatch, "signature");
  refuse(w.sign(CommitAudit{w.other.address, id, Hash{1}, Hash{2}}, w.other), Errc::not_found,
         "is not drawn");
  refuse(w.sign(CommitAudit{a.address, Hash{9}, Hash{1}, Hash{2}}, a), Errc::not_found, "no audit");
  refuse(w.sign(CommitAudit{a.address, id, Hash{}, Hash{2}}, a), Errc::invalid, "to nothing");
  refuse(w.sign(CommitAudit{a.address, id, Hash{1}, Hash{}}, a), Errc::invalid, "to nothing");
  w.time += 20;
  refuse(good, Errc::refused, "were due before");
  w.time -= 1;
  w.time = w.state.totals.time + 19;
  w.must(good);
  refuse(w.sign(CommitAudit{a.address, id, Hash{1}, Hash{2}}, a), Errc::conflict,
         "committed already");
}

TEST_F(LedgerAudits, VerdictsComeAfterCommitmentsOnceAndInTime) {
  w.hire(2);
  const auto id = w.must(w.request_audit(2));
  w.must(w.beacon());
  const auto a = w.drawn(id, 0), b = w.drawn(id, 1);
  w.must(w.audit_commitment(id, a));
  const auto v = w.audit_of(id);
  w.time = v.commit_due - 1;
  refuse(w.verdict(id, a, pass), Errc::refused, "verdicts are taken");
  w.time = v.reveal_due;
  refuse(w.verdict(id, a, pass), Errc::refused, "verdicts are taken");
  w.time = v.commit_due;
  refuse(w.verdict(id, b, pass), Errc::refused, "committed to nothing");
  refuse(w.verdict(id, a, none), Errc::invalid, "unknown verdict");
  refuse(w.sign(RevealAudit{a.address, id, 4}, a), Errc::invalid, "unknown verdict");
  auto forged = w.verdict(id, a, pass);
  forged.message.verdict = 2;
  refuse(forged, Errc::mismatch, "signature");
  const auto said = w.must(w.verdict(id, a, pass));
  EXPECT_EQ(w.audit_of(id).drawn[0].pass, said);
  refuse(w.verdict(id, a, fail), Errc::conflict, "spoken already");

  // The one that did not come gets nothing and is counted.
  const auto before = w.account(w.buyer).available;
  w.time = v.check_due - 1;
  refuse(w.settlement(id, w.other), Errc::refused, "settled from");
  w.time = v.check_due;
  const auto burned = w.state.totals.burned;
  w.must(w.settlement(id, w.other));
  refuse(w.settlement(id, w.buyer), Errc::conflict, "settled already");
  EXPECT_EQ(w.account(a).available, 1'000'000 + kEarned);
  EXPECT_EQ(w.state.totals.burned, burned + kFee - kEarned);
  EXPECT_EQ(w.account(w.buyer).available, before + kFee);
  EXPECT_EQ(w.record_of(b).missed, 1u);
  EXPECT_EQ(w.record_of(a).missed, 0u);
  EXPECT_EQ(w.record_of(a).revealed, 1u);
  EXPECT_TRUE(w.account(b).audits.empty());
  EXPECT_EQ(w.account(a).audits, std::vector{id});
  refuse(w.audit_commitment(id, b), Errc::conflict, "settled already");
}

TEST_F(LedgerAudits, NobodyGainsByAnOpeningThatDoesNotCome) {
  w.hire(1);
  const auto id = w.start();
  w.reveal(id, w.drawn(id), unauditable);
  const auto burned = w.state.totals.burned;
  const auto before = w.account(w.buyer).available;
  w.time = w.audit_of(id).check_due;
  w.must(w.settlement(id, w.other));
  EXPECT_EQ(w.state.totals.burned, burned + kFee / 2);
  EXPECT_EQ(w.account(w.buyer).available, before + kFee / 2);
  EXPECT_EQ(w.account(w.drawn(id)).available, 1'000'000);
}

TEST_F(LedgerAudits, AFailEarnsItsFeeByAConviction) {
  w.hire(1);
  const auto a = w.auditor(0);
  const auto lonely = w.start();
  w.reveal(lonely, a, fail);
  w.time = w.audit_of(lonely).check_due;
  w.must(w.settlement(lonely, w.other));
  EXPECT_EQ(w.account(a).available, 1'000'000);

  const auto id = w.start();
  w.reveal(id, a, fail);
  const auto dispute = w.must(w.committed(w.dispute(w.lease_id, w.leaf_one, a, 100'000), a));
  w.time = std::max(w.time, w.audit_of(id).check_due);
  // Its dispute is under way.
  refuse(w.settlement(id, w.other), Errc::refused, "waits for it");
  w.must(w.timeout(dispute, w.other));
  const auto before = w.account(a).available;
  w.must(w.settlement(id, w.other));
  EXPECT_EQ(w.account(a).available, before + kFee);
}

// Whatever it is about: a chain counts a lease's disputes, and does not look into each.
TEST_F(LedgerAudits, AFailWaitsForEveryDisputeAboutTheLease) {
  w.hire(1);
  const auto a = w.auditor(0);
  const auto id = w.start();
  w.reveal(id, a, fail);
  const auto another = w.leaf(w.lease_id, 2, 7);
  const auto dispute = w.must(w.committed(w.dispute(w.lease_id, another, a, 100'000), a));
  w.time = w.audit_of(id).check_due;
  refuse(w.settlement(id, w.other), Errc::refused, "waits for it");
  w.time = std::max(w.time, w.state.disputes.at(dispute).due);
  w.must(w.timeout(dispute, w.other));
  // The lease is convicted, the audited receipt is not known to be false.
  EXPECT_FALSE(w.audit_of(id).subject_convicted);
  const auto before = w.account(w.buyer).available;
  w.must(w.settlement(id, w.other));
  EXPECT_EQ(w.account(w.buyer).available, before + kFee);
}

}  // namespace
}  // namespace assay::market::test
