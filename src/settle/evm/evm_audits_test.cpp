// Hired auditors through the real contracts on anvil: a keyed check that is answered and one that
// is not, a pass that is disputed move by move, what a restarted process and other senders find.
#include "settle/audited_deal_testutil.hpp"
#include "settle/evm/evm_testutil.hpp"

namespace assay::settle::evm {
namespace {

using market::AuditState;
using market::DisputeState;
using protocol::AuditVerdict;
using protocol::Outcome;

constexpr std::uint64_t kMoveS = 600;
constexpr std::uint8_t kBuyer = Deal::kBuyer, kAuditor = AuditedDeal::kAuditor;

class EvmAudits : public EvmTest {
 protected:
  void SetUp() override {
    EvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    enrich(deal_key(Deal::kHost));
    DeployPlan plan;
    plan.parameters.move_s = kMoveS;
    plan.audits = {Deal::address(Deal::kHost), beacon.value(0), 2000};
    plan.mint_to = Deal::address(Deal::kHost);
    manifest = deployed(plan);
    reopen();
    deal = std::make_unique<AuditedDeal>(*ledger, now(), beacon, [this] { move_on(); });
    const auto offer = deal->hire();
    another_second();
    lease = deal->open_lease(offer);
  }
  void reopen() {
    ledger.reset();
    ledger = open(manifest, "ledger", deal_key(Deal::kHost));
    ASSERT_NE(ledger, nullptr);
    if (deal) deal->reopened(*ledger);
  }
  std::uint64_t now() { return chain->rpc().head()->timestamp; }
  // Blocks that follow each other at once may have one time.
  void another_second() { ASSERT_TRUE(chain->set_next_time(now() + 1)); }
  void move_on() {
    ASSERT_TRUE(chain->set_next_time(now() + kMoveS));
    ASSERT_TRUE(chain->mine());
  }
  market::AccountView auditor() { return *ledger->account(Deal::address(kAuditor)); }

  BeaconChain beacon{Hash{0x5e}, 1500};
  Manifest manifest;
  std::unique_ptr<EvmLedger> ledger;
  std::unique_ptr<AuditedDeal> deal;
  DealModel changed{deal_file_with_one_weight_changed()};
  Hash lease{};
};

TEST_F(EvmAudits, TheMarketSaysWhoDrawsAndWhoMayBeDrawn) {
  const auto info = *ledger->info();
  EXPECT_EQ(info.host, Deal::address(Deal::kHost));
  EXPECT_EQ(info.beacon, beacon.value(0));
  EXPECT_EQ(info.audit_burned_bps, 2000u);
  const Hash execution = protocol::struct_hash(deal->execution);
  auto registered = ledger->auditors(execution);
  ASSERT_TRUE(registered) << registered.error().message;
  ASSERT_EQ(registered->size(), 1u);
  EXPECT_EQ((*registered)[0].account, Deal::address(kAuditor));
  EXPECT_EQ((*registered)[0].endpoint, "http://127.0.0.1:9");
  EXPECT_EQ((*registered)[0].weight, 2'000'000);
  // Its stake is bound, and a refusal says what helps.
  const auto bound =
      deal->run(deal->sign(protocol::Unbond{Deal::address(kAuditor), 1, ++deal->nonce}, kAuditor));
  EXPECT_EQ(bound.error().code, Errc::refused);
  EXPECT_NE(bound.error().message.find("end its registrations first"), std::string::npos)
      << bound.error().message;
  protocol::RegisterAuditor m{.account = Deal::address(kAuditor),
                              .execution = execution,
                              .active = true,
                              .endpoint = "http://127.0.0.1:10",
                              .fee = 55'000,
                              .nonce = ++deal->nonce};
  deal->must(deal->sign(m, kAuditor));
  EXPECT_EQ((*ledger->auditors(execution))[0].endpoint, "http://127.0.0.1:10");
  EXPECT_EQ((*ledger->auditors(execution))[0].fee, 55'000);
  m.active = false;
  m.nonce = ++deal->nonce;
  deal->must(deal->sign(m, kAuditor));
  EXPECT_TRUE(ledger->auditors(execution)->empty());
  deal->must(deal->sign(protocol::Unbond{Deal::address(kAuditor), 1, ++deal->nonce}, kAuditor));
}

TEST_F(EvmAudits, AnHonestAuditorAnswersAndIsPaid) {
  const auto t = deal->trade(lease, 1, deal->honest);
  deal->pass_of(t, deal->honest);
  ASSERT_FALSE(HasFailure());
  EXPECT_EQ(auditor().audits, std::vector<Hash>{deal->audit});
  EXPECT_EQ(ledger->totals()->audit_fees, 50'000);
  deal->move_on();
  const verify::CheckPlace place{3, 1, verify::StateVector::x, 0};
  // Values that nobody committed to open no check.
  EXPECT_EQ(deal->run(deal->check(t, changed, place)).error().code, Errc::mismatch);
  const auto op = deal->check(t, deal->honest, place);
  deal->must(op);
  const Hash id = market::operation_id(deal->domain, op);
  // The auditor finds out what is asked from the chain alone, after a restart too.
  reopen();
  const auto view = deal->view();
  ASSERT_EQ(view.checks.size(), 1u);
  EXPECT_EQ(view.checks[0].id, id);
  EXPECT_EQ(view.checks[0].due, view.check_due + kMoveS);
  const auto read = ledger->operation(id);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(json::dump(market::to_json(*read)), json::dump(market::to_json(market::Operation(op))));
  const auto asked = ledger->operation(deal->audit);
  ASSERT_TRUE(asked) << asked.error().message;
  EXPECT_EQ(market::operation_id(deal->domain, *asked), deal->audit);

  EXPECT_EQ(deal->answer(t, id, {4, 1, verify::StateVector::x, 0}).error().code, Errc::mismatch);
  const auto answered = deal->answer(t, id, place);
  ASSERT_TRUE(answered) << answered.error().message;
  EXPECT_TRUE(deal->view().checks.empty());
  // Whoever sent it knows.
  EXPECT_TRUE(deal->answer(t, id, place)->already);
  deal->move_on();
  deal->must(deal->settlement());
  EXPECT_EQ(deal->view().state, AuditState::settled);
  EXPECT_EQ(auditor().available, 1'000'000 + 100'000 + 40'000);
  EXPECT_EQ((*ledger->auditors(protocol::struct_hash(deal->execution)))[0].revealed, 1u);
  EXPECT_TRUE(ledger->totals()->conserved());
  EXPECT_EQ(ledger->totals()->audit_fees, 0);
}

TEST_F(EvmAudits, WhoCannotAnswerACheckIsConvicted) {
  const auto t = deal->trade(lease, 1, deal->honest);
  deal->request(t);
  deal->commit_root(Hash{1});
  deal->pass();
  deal->move_on();
  const verify::CheckPlace place{5, 2, verify::StateVector::logits, 0};
  const auto op = deal->check(t, deal->honest, place);
  deal->must(op);
  const Hash id = market::operation_id(deal->domain, op);
  EXPECT_EQ(deal->answer(t, id, place).error().code, Errc::mismatch);
  deal->move_on();
  EXPECT_EQ(deal->run(deal->settlement()).error().code, Errc::refused);
  EXPECT_EQ(deal->run(deal->timeout(id)).error().code, Errc::refused);
  deal->move_on();
  reopen();
  deal->must(deal->timeout(id));
  EXPECT_TRUE(deal->view().drawn[0].convicted);
  EXPECT_EQ(auditor().stake, 0);
  EXPECT_EQ(auditor().convictions, 1u);
  EXPECT_TRUE(ledger->auditors(protocol::struct_hash(deal->execution))->empty());
  deal->must(deal->settlement());
  EXPECT_TRUE(ledger->totals()->conserved());
}

// It passed what the provider computed: no defence convinces the contract.
TEST_F(EvmAudits, AFalsePassIsLostMoveByMove) {
  const auto t = deal->trade(lease, 1, changed);
  const Hash said = deal->pass_of(t, changed);
  const auto lying = deal->party(t, changed), honest = deal->party(t, deal->honest);
  const auto early = deal->against_pass(t, said);
  deal->commit(early);
  EXPECT_EQ(deal->run(early).error().code, Errc::refused);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  deal->move_on();
  deal->must(deal->timeout(deal->id_of(t.dispute)));
  EXPECT_TRUE(deal->view().subject_convicted);

  const auto op = deal->against_pass(t, said);
  deal->commit(op);
  deal->must(op);
  const Hash id = deal->id_of(op);
  EXPECT_EQ(deal->view().open_disputes, std::vector<Hash>{id});
  EXPECT_EQ(auditor().open_disputes, std::vector<Hash>{id});
  EXPECT_TRUE(ledger->lease(lease)->open_disputes.empty());
  reopen();
  deal->play(id, *lying, *honest);
  const auto d = *ledger->dispute(id);
  ASSERT_EQ(d.state, DisputeState::decided);
  EXPECT_EQ(d.outcome, Outcome::provider_wrong);
  EXPECT_TRUE(d.reason.starts_with("position 1, layer 0, op x, element ")) << d.reason;
  EXPECT_EQ(d.audit, deal->audit);
  EXPECT_EQ(d.defender, Deal::address(kAuditor));
  EXPECT_EQ(d.slashed, 2'000'000);
  EXPECT_EQ(d.slashed, d.burned + d.made_whole + d.reward);
  EXPECT_TRUE(deal->view().drawn[0].convicted);
  EXPECT_TRUE(deal->view().open_disputes.empty());
  EXPECT_EQ(auditor().stake, 0);
  EXPECT_TRUE(auditor().audits.empty());
  const auto read = ledger->operation(id);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(json::dump(market::to_json(*read)), json::dump(market::to_json(market::Operation(op))));
  EXPECT_TRUE(ledger->totals()->conserved());
}

// The provider has a right answer and loses on purpose.
TEST_F(EvmAudits, AThrownGameFramesNobody) {
  const auto t = deal->trade(lease, 1, deal->honest);
  const Hash said = deal->pass_of(t, deal->honest);
  deal->commit(t.dispute);
  deal->must(t.dispute);
  deal->move_on();
  deal->must(deal->timeout(deal->id_of(t.dispute)));
  const auto op = deal->against_pass(t, said);
  deal->commit(op);
  deal->must(op);
  const Hash id = deal->id_of(op);
  const auto defence = deal->party(t, deal->honest), challenger = deal->party(t, changed);
  deal->play(id, *defence, *challenger);
  if (ledger->dispute(id)->state == DisputeState::open) {
    EXPECT_EQ(ledger->dispute(id)->turn, market::Turn::challenger);
    deal->move_on();
    deal->must(deal->timeout(id));
  }
  EXPECT_EQ(ledger->dispute(id)->outcome, Outcome::provider_right);
  EXPECT_EQ(auditor().stake, 2'000'000);
  EXPECT_EQ(auditor().available, 1'000'000 + 100'000);
}

// A canary, shown by its buyer; and a key that was known too early.
TEST_F(EvmAudits, ACanaryAndALeakedKeyAreShownByWhoCommittedToThem) {
  const auto t = deal->trade(lease, 1, changed);
  const Hash subject = market::statement_id(deal->domain, t.dispute.evidence.statement);
  const protocol::Canary agreed{Deal::address(Deal::kProvider), lease, subject, 9};
  const market::ShowCanary shown{
      deal->sign(
          protocol::CanaryShown{Deal::address(kBuyer), protocol::digest(deal->domain, agreed)},
          kBuyer),
      deal->sign(agreed, Deal::kProvider)};
  const auto commit = [&](const market::Operation& later) {
    deal->must(deal->sign(
        protocol::CommitDispute{Deal::address(kBuyer), market::commitment_of(deal->domain, later),
                                ++deal->nonce},
        kBuyer));
  };
  commit(shown);
  another_second();
  deal->request(t);
  const auto report = deal->sign(protocol::ReportKey{Deal::address(kBuyer), deal->audit,
                                                     Deal::address(kAuditor), deal->key_nonce()},
                                 kBuyer);
  commit(report);
  deal->commit_root(Hash{1});
  deal->pass();
  deal->must(shown);
  EXPECT_TRUE(deal->view().subject_canary);
  EXPECT_FALSE(deal->view().subject_convicted);
  EXPECT_EQ(auditor().stake, 2'000'000);
  deal->must(report);
  EXPECT_TRUE(deal->view().drawn[0].convicted);
  EXPECT_EQ(auditor().stake, 0);
  // Another sender is told by the state it left.
  enrich(key(56));
  const auto other = open(manifest, "other", key(56));
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->submit(report).error().code, Errc::conflict);
  EXPECT_EQ(other->submit(shown).error().code, Errc::conflict);
}

// A round that somebody publishes without the audit that waits for it: it is drawn by itself.
TEST_F(EvmAudits, WhatARoundLeftOutIsDrawnLater) {
  const auto t = deal->trade(lease, 1, deal->honest);
  EXPECT_TRUE(ledger->beacon_need()->waiting.empty());
  const auto asked = deal->ask(t);
  ASSERT_TRUE(asked) << asked.error().message;
  auto need = *ledger->beacon_need();
  EXPECT_EQ(need.round, 0u);
  EXPECT_EQ(need.waiting, std::vector<Hash>{deal->audit});
  EXPECT_TRUE(need.undrawn.empty());
  EXPECT_EQ(ledger->draw(deal->audit).error().code, Errc::refused);

  const auto round = deal->next_round();
  AbiWriter bare;
  put(put(bare, round.message), round.signature).words({}).structs({});
  const auto by = sender("bare.db", deployer);
  ASSERT_TRUE(by->submit(
      {.id = Hash{1},
       .to = *manifest.address("Audits"),
       .value = {},
       .data = bare.call(fmt::format("publishBeacon({},bytes,bytes32[],{}[])",
                                     abi_type<protocol::Beacon>(), abi_type<protocol::Lease>()))}));
  ASSERT_TRUE(by->wait(Hash{1}, 10'000));
  need = *ledger->beacon_need();
  EXPECT_EQ(need.round, 1u);
  EXPECT_TRUE(need.waiting.empty());
  EXPECT_EQ(need.undrawn, std::vector<Hash>{deal->audit});
  EXPECT_EQ(deal->view().state, AuditState::waiting);
  EXPECT_EQ(deal->view().beacon, Hash{});

  const auto drawn = ledger->draw(deal->audit);
  ASSERT_TRUE(drawn) << drawn.error().message;
  EXPECT_TRUE(*drawn);
  EXPECT_EQ(deal->view().state, AuditState::drawn);
  EXPECT_EQ(deal->view().beacon, round.message.value);
  EXPECT_TRUE(ledger->beacon_need()->undrawn.empty());
  EXPECT_TRUE(*ledger->draw(deal->audit));
  EXPECT_EQ(ledger->submit(round).error().code, Errc::conflict);
}

// Of EIP-7825, which bounds what one transaction may cost.
constexpr std::uint64_t kGasMax = 1u << 24;

// More than fit a transaction: the rest is drawn by itself.
TEST_F(EvmAudits, ARoundDrawsAsManyAsATransactionMayCost) {
  for (std::uint8_t i = 0; i < 5; ++i) {
    const auto who = static_cast<std::uint8_t>(100 + i);
    deal->must(
        deal->sign(protocol::Deposit{Deal::address(who), 3'000'000, ++deal->nonce}, Deal::kHost));
    deal->must(deal->sign(protocol::Stake{Deal::address(who), 2'000'000, ++deal->nonce}, who));
    deal->must(
        deal->sign(protocol::RegisterAuditor{.account = Deal::address(who),
                                             .execution = protocol::struct_hash(deal->execution),
                                             .active = true,
                                             .endpoint = "http://127.0.0.1:9",
                                             .fee = 10'000,
                                             .nonce = ++deal->nonce},
                   who));
  }
  another_second();
  const auto offer = deal->fund();
  std::vector<Hash> asked;
  for (int n = 0; n < 3; ++n) {
    const Hash id = deal->open_lease(offer);
    const auto t = deal->trade(id, 1, deal->honest);
    for (std::uint8_t i = 0; i < 6; ++i) {
      const auto applied = deal->run(market::RequestAudit{
          deal->sign(protocol::AuditRequest{.buyer = Deal::address(kBuyer),
                                            .lease = id,
                                            .subject = market::statement_id(
                                                deal->domain, t.dispute.evidence.statement),
                                            .auditors = 4,
                                            .fee_max = 50'000,
                                            .nonce = Hash{i}},
                     kBuyer),
          t.dispute.evidence});
      ASSERT_TRUE(applied) << applied.error().message;
      asked.push_back(applied->id);
    }
  }
  ASSERT_EQ(ledger->beacon_need()->waiting.size(), 18u);
  deal->audit = asked[0];
  const auto round = deal->run(deal->next_round());
  ASSERT_TRUE(round) << round.error().message;
  const auto block =
      chain->rpc().call("eth_getBlockByNumber", {crypto::to_quantity(round->sequence), false});
  ASSERT_TRUE(block);
  const auto gas = *crypto::parse_quantity_u64(block->as_object().at("gasUsed").as_string());
  EXPECT_LT(gas, kGasMax / 2);
  const auto left = ledger->beacon_need()->undrawn;
  EXPECT_EQ(left.size(), 2u);
  for (const Hash& id : left) {
    EXPECT_TRUE(*ledger->draw(id));
  }
  EXPECT_TRUE(ledger->beacon_need()->undrawn.empty());
  for (const Hash& id : asked) {
    EXPECT_EQ(ledger->audit(id)->drawn.size(), 4u);
  }
}

// Nobody is drawn there, and nobody is kept waiting.
TEST_F(EvmAudits, AMarketWithoutABeaconDrawsNobody) {
  DeployPlan plan;
  plan.id = Hash{2};
  plan.parameters.move_s = kMoveS;
  plan.token = manifest.token;
  const auto other = deployed(plan);
  auto there = open(other, "there", deal_key(Deal::kHost));
  ASSERT_NE(there, nullptr);
  EXPECT_EQ(there->info()->beacon, Hash{});
  Deal bare(*there, now());
  const Hash id = bare.open_lease(bare.fund());
  const auto t = bare.trade(id, 1, bare.honest);
  const auto refused = bare.run(market::RequestAudit{
      bare.sign(protocol::AuditRequest{.buyer = Deal::address(kBuyer),
                                       .lease = id,
                                       .subject = market::statement_id(
                                           bare.domain, t.dispute.evidence.statement),
                                       .auditors = 1,
                                       .fee_max = 1,
                                       .nonce = Hash{1}},
                kBuyer),
      t.dispute.evidence});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  EXPECT_NE(refused.error().message.find("no beacon"), std::string::npos);
}

}  // namespace
}  // namespace assay::settle::evm
