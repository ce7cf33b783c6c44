// The real contracts on anvil: a deployment, the referee's verdict on the chain, what a restarted
// process finds.
#include <fstream>
#include <future>
#include <numeric>
#include <set>
#include <sstream>

#include "crypto/merkle_sum.hpp"
#include "settle/deal_testutil.hpp"
#include "settle/evm/calls.hpp"
#include "settle/evm/evm_testutil.hpp"
#include "settle/evm/refusal.hpp"

namespace assay::settle::evm {
namespace {

using protocol::Outcome;

market::Parameters short_moves() {
  market::Parameters out;
  out.move_s = 600;
  return out;
}

class Evm : public EvmTest {
 protected:
  void SetUp() override {
    EvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    enrich(deal_key(Deal::kHost));
    DeployPlan plan;
    plan.parameters = short_moves();
    plan.mint_to = Deal::address(Deal::kHost);
    manifest = deployed(plan);
    reopen();
  }
  void reopen() {
    ledger.reset();
    ledger = open(manifest, "ledger", deal_key(Deal::kHost));
    ASSERT_NE(ledger, nullptr);
  }
  std::uint64_t now() { return chain->rpc().head()->timestamp; }

  Manifest manifest;
  std::unique_ptr<EvmLedger> ledger;
};

TEST_F(Evm, ADeploymentIsWhatItsManifestSays) {
  // Written and read again.
  const auto read = manifest_from_json(to_json(manifest));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(json::dump(to_json(*read)), json::dump(to_json(manifest)));
  EXPECT_EQ(ledger->info()->parameters, short_moves());
  const auto checked = check_code(chain->rpc(), artifacts, *manifest.address("Market"));
  ASSERT_TRUE(checked) << checked.error().message;
  EXPECT_EQ(checked->size(), 19u);
  for (const auto& check : *checked) {
    EXPECT_TRUE(check.present && check.same) << check.name;
    const auto at = std::ranges::find(manifest.contracts, check.name, &DeployedContract::name);
    ASSERT_NE(at, manifest.contracts.end()) << check.name;
    EXPECT_EQ(at->code_hash, check.code_hash) << check.name;
  }
  // Deployed again under the same id: nothing is sent, the same comes back.
  DeployPlan plan;
  plan.parameters = short_moves();
  plan.mint_to = Deal::address(Deal::kHost);
  const auto before = *chain->rpc().nonce(crypto::address_of(deployer), "latest");
  EXPECT_EQ(json::dump(to_json(deployed(plan))), json::dump(to_json(manifest)));
  EXPECT_EQ(*chain->rpc().nonce(crypto::address_of(deployer), "latest"), before);
  // Other code at one of the addresses is seen.
  const auto anchor = manifest.address("Deliveries");
  ASSERT_TRUE(chain->rpc().call("anvil_setCode", {anchor->to_string(), "0x00"}));
  const auto again = check_code(chain->rpc(), artifacts, *manifest.address("Market"));
  ASSERT_TRUE(again);
  for (const auto& check : *again) EXPECT_EQ(check.same, check.name != "Deliveries") << check.name;
}

TEST_F(Evm, TheContractConvictsMoveByMoveAndAfterARestart) {
  Deal deal(*ledger, now());
  DealModel changed{deal_file_with_one_weight_changed()};
  const Hash lease = deal.open_lease(deal.fund());
  const auto t = deal.trade(lease, 1, changed);
  const auto provider = deal.party(t, changed), challenger = deal.party(t, deal.honest);
  deal.commit(t.dispute);
  deal.must(t.dispute);
  ASSERT_FALSE(HasFailure());
  const Hash id = deal.id_of(t.dispute);
  EXPECT_EQ(ledger->account(Deal::address(Deal::kProvider))->open_disputes, std::vector<Hash>{id});
  int moves = 0;
  auto current = ledger->game(id);
  ASSERT_TRUE(current) << current.error().message;
  EXPECT_EQ(current->program, t.dispute.program);
  while (ledger->dispute(id)->state == market::DisputeState::open) {
    if (moves == 3) {
      // A restarted process reads the game from the chain.
      reopen();
      ASSERT_FALSE(HasFatalFailure());
    }
    const auto game = ledger->game(id);
    ASSERT_TRUE(game) << game.error().message;
    EXPECT_EQ(game->transcript.size(), static_cast<std::size_t>(moves));
    const auto next = deal.next(*game, *provider, *challenger);
    ASSERT_TRUE(next) << next.error().message;
    const auto done = ledger->submit(as_operation(*next));
    ASSERT_TRUE(done) << "move " << moves << ": " << done.error().message;
    ++moves;
  }
  const auto d = *ledger->dispute(id);
  EXPECT_EQ(d.outcome, Outcome::provider_wrong) << d.reason;
  EXPECT_TRUE(d.reason.starts_with("position 1, layer 0, op x, element ")) << d.reason;
  EXPECT_EQ(d.slashed, 5'000'000);
  EXPECT_EQ(d.slashed, d.burned + d.made_whole + d.reward);
  EXPECT_GE(2 * d.burned, d.slashed);
  EXPECT_EQ(ledger->account(Deal::address(Deal::kProvider))->stake, 0);
  EXPECT_EQ(ledger->lease(lease)->state, market::LeaseState::convicted);
  EXPECT_TRUE(ledger->totals()->conserved());
  EXPECT_EQ(ledger->game(id).error().code, Errc::not_found);
}

// However much a buyer asks for in a request, the claim that it is part of can be opened.
TEST_F(Evm, ALeafOfAClaimHasTheHashOfItsRequestsBiases) {
  Deal deal(*ledger, now());
  const Hash lease = deal.open_lease(deal.fund());
  const auto t = deal.trade(lease, 1, deal.honest);
  protocol::Request request = t.dispute.evidence.request.message;
  for (std::uint32_t i = 0; i < 256; ++i)
    request.logit_bias.push_back({.token = i, .bias_bits = 0x3f800000});
  auto receipt =
      std::get<protocol::Signed<protocol::Receipt>>(t.dispute.evidence.statement).message;
  receipt.request = protocol::digest(deal.domain, request);
  const std::vector<crypto::SumNode> leaf{
      *crypto::sum_leaf(protocol::digest(deal.domain, receipt), receipt.amount)};
  const auto root = *crypto::merkle_sum_root(leaf);
  const auto claim =
      deal.sign(protocol::Claim{lease, root.hash, root.sum, 1}, Deal::kProvider);
  deal.must(claim);
  const auto contest =
      deal.sign(protocol::Dispute{Deal::address(Deal::kBuyer), lease,
                                  protocol::digest(deal.domain, claim.message), 100'000, 0},
                Deal::kBuyer);
  deal.must(market::ContestClaim{contest});
  const Hash id = protocol::digest(deal.domain, contest.message);
  const market::OpenClaim open{
      deal.sign(protocol::Answer{Deal::address(Deal::kProvider), id}, Deal::kProvider),
      {{deal.sign(request, Deal::kBuyer), deal.sign(receipt, Deal::kProvider)}}};
  deal.must(open);
  const auto operation = ledger->operation(ledger->dispute(id)->game);
  ASSERT_TRUE(operation) << operation.error().message;
  const auto& shown = std::get<market::OpenClaim>(*operation).leaves;
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_EQ(protocol::struct_hash(shown[0].receipt.message), protocol::struct_hash(receipt));
  EXPECT_EQ(shown[0].request.signature, open.leaves[0].request.signature);
  EXPECT_TRUE(shown[0].request.message.logit_bias.empty());
  request.logit_bias.clear();
  EXPECT_EQ(protocol::struct_hash(shown[0].request.message), protocol::struct_hash(request));
}

// Sold as held to one automaton, held to another: the step that tells them apart opens a row of
// the table that the buyer asked for.
TEST_F(Evm, TheContractConvictsWhoeverHeldAnAnswerToSomethingElse) {
  Deal deal(*ledger, now());
  const Hash lease = deal.open_lease(deal.fund());
  // Any text; any but what begins the answer that nothing is asked of.
  const auto free = deal.trade(lease, 1, deal.honest);
  canon::Automaton all, less;
  const auto pieces = *deal.honest.model->pieces();
  const std::string& first = pieces->list[free.opening.answer[0]].bytes;
  ASSERT_FALSE(first.empty());
  for (canon::Automaton* a : {&all, &less}) {
    a->add(true);
    for (unsigned byte = 0; byte < 256; ++byte) a->set(0, static_cast<std::uint8_t>(byte), 0);
  }
  less.set(0, static_cast<std::uint8_t>(first[0]), canon::kDead);

  const auto honest = deal.trade(lease, 2, deal.honest, Deal::Held{less, less});
  EXPECT_NE(honest.opening.answer[0], free.opening.answer[0]);
  const auto t = deal.trade(lease, 3, deal.honest, Deal::Held{less, all});
  EXPECT_EQ(t.opening.answer[0], free.opening.answer[0]);
  const auto provider = deal.party(deal.under(t, all), deal.honest);
  const auto challenger = deal.party(t, deal.honest);
  deal.commit(t.dispute);
  deal.must(t.dispute);
  ASSERT_FALSE(HasFailure());
  const Hash id = deal.id_of(t.dispute);
  while (ledger->dispute(id)->state == market::DisputeState::open) {
    const auto game = ledger->game(id);
    ASSERT_TRUE(game) << game.error().message;
    const auto next = deal.next(*game, *provider, *challenger);
    ASSERT_TRUE(next) << next.error().message;
    const auto done = ledger->submit(as_operation(*next));
    ASSERT_TRUE(done) << done.error().message;
  }
  const auto d = *ledger->dispute(id);
  EXPECT_EQ(d.outcome, Outcome::provider_wrong) << d.reason;
  EXPECT_TRUE(d.reason.starts_with("position 3, head, op gw, element ")) << d.reason;
  EXPECT_TRUE(d.reason.ends_with("committed 0x00000000, the step gives 0x0000ffff")) << d.reason;
  EXPECT_EQ(ledger->account(Deal::address(Deal::kProvider))->stake, 0);
  EXPECT_TRUE(ledger->totals()->conserved());
}

// An honest constrained answer, disputed by who would have had it held to something else.
TEST_F(Evm, TheContractDefendsAConstrainedAnswer) {
  Deal deal(*ledger, now());
  const Hash lease = deal.open_lease(deal.fund());
  canon::Automaton all, none;
  for (canon::Automaton* a : {&all, &none}) a->add(true);
  for (unsigned byte = 0; byte < 256; ++byte) all.set(0, static_cast<std::uint8_t>(byte), 0);
  const auto t = deal.trade(lease, 1, deal.honest, Deal::Held{all, all});
  const auto provider = deal.party(t, deal.honest);
  const auto challenger = deal.party(deal.under(t, none), deal.honest);
  deal.commit(t.dispute);
  deal.must(t.dispute);
  ASSERT_FALSE(HasFailure());
  const Hash id = deal.id_of(t.dispute);
  Result<market::Applied> done = market::Applied{};
  while (done && ledger->dispute(id)->state == market::DisputeState::open) {
    const auto game = ledger->game(id);
    ASSERT_TRUE(game) << game.error().message;
    const auto next = deal.next(*game, *provider, *challenger);
    ASSERT_TRUE(next) << next.error().message;
    done = ledger->submit(as_operation(*next));
  }
  // Its proof is of another table: refused, and its clock runs on.
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::mismatch) << done.error().message;
  EXPECT_EQ(ledger->dispute(id)->state, market::DisputeState::open);
  EXPECT_GT(ledger->account(Deal::address(Deal::kProvider))->stake, 0);
}

TEST_F(Evm, WhatWasPlayedElsewhereConvictsInOneTransaction) {
  Deal deal(*ledger, now());
  DealModel changed{deal_file_with_one_weight_changed()};
  auto t = deal.trade(deal.open_lease(deal.fund()), 1, changed);
  const auto provider = deal.party(t, changed), challenger = deal.party(t, deal.honest);
  for (;;) {
    const auto next = deal.next(t.dispute, *provider, *challenger);
    ASSERT_TRUE(next) << next.error().message;
    t.dispute.transcript.push_back(as_signed(*next));
    if (transcript_of(deal.domain, deal.terms.provider, t.dispute)->game().outcome() !=
        verify::DisputeOutcome::open)
      break;
  }
  deal.commit(t.dispute);
  auto altered = t.dispute;
  altered.transcript.back().payload.back() ^= 1;
  EXPECT_EQ(ledger->submit(altered).error().code, Errc::mismatch);
  deal.must(t.dispute);
  const auto d = *ledger->dispute(deal.id_of(t.dispute));
  EXPECT_EQ(d.outcome, Outcome::provider_wrong) << d.reason;
  EXPECT_EQ(d.moves, t.dispute.transcript.size());
  // As it was filed, from the chain alone.
  const auto read = ledger->operation(deal.id_of(t.dispute));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(json::dump(market::to_json(*read)), json::dump(market::to_json(t.dispute)));
}

TEST_F(Evm, AnOperationIsOneTransactionWhoeverAsksAgain) {
  const auto domain = ledger->info()->domain;
  const auto host = Deal::address(Deal::kHost);
  const auto op = protocol::sign(domain, protocol::Deposit{Deal::address(Deal::kBuyer), 7, 1},
                                 deal_key(Deal::kHost));
  ASSERT_TRUE(ledger->submit(op));
  const auto nonce = *chain->rpc().nonce(host, "latest");
  EXPECT_EQ(nonce, 2u);  // approved, deposited
  const auto again = ledger->submit(op);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->already);
  reopen();
  ASSERT_TRUE(ledger->submit(op)->already);
  EXPECT_EQ(*chain->rpc().nonce(host, "latest"), nonce);
  EXPECT_EQ(ledger->account(Deal::address(Deal::kBuyer))->available, 7);
  // Another process, with another key, of the same signed operation.
  const auto transfer = protocol::sign(
      domain, protocol::Transfer{Deal::address(Deal::kBuyer), host, 3, 1}, deal_key(Deal::kBuyer));
  ASSERT_TRUE(ledger->submit(transfer));
  enrich(key(55));
  const auto other = open(manifest, "other", key(55));
  EXPECT_TRUE(other->submit(transfer)->already);
  EXPECT_EQ(other->account(host)->available, 3);
}

// What another process has just put there is found, however old a view may be.
// A claim of several blocks: each contest shows one of them, and what those before it come to.
TEST_F(Evm, AContestShowsABlockOfTheClaimAndTheSumBeforeIt) {
  Deal deal(*ledger, now());
  const Hash lease = deal.open_lease(deal.fund());
  const auto first = deal.trade(lease, 1, deal.honest);
  constexpr std::size_t kCount = 2 * kClaimBlock + 3;
  market::OpenClaim open;
  std::vector<crypto::SumNode> nodes;
  for (std::size_t i = 0; i < kCount; ++i) {
    auto request = first.dispute.evidence.request.message;
    auto receipt = std::get<protocol::Signed<protocol::Receipt>>(first.dispute.evidence.statement);
    request.sequence = receipt.message.key_sequence = i + 1;
    receipt.message.count = 1 + static_cast<std::uint32_t>(i % 6);
    receipt.message.amount = *protocol::amount_of(deal.terms, request, receipt.message.count);
    receipt.message.request = protocol::digest(deal.domain, request);
    open.leaves.push_back(
        {deal.sign(request, Deal::kBuyer), deal.sign(receipt.message, Deal::kProvider)});
    nodes.push_back(
        *crypto::sum_leaf(protocol::digest(deal.domain, receipt.message), receipt.message.amount));
  }
  const auto root = *crypto::merkle_sum_root(nodes);
  const auto claim =
      deal.sign(protocol::Claim{lease, root.hash, root.sum, static_cast<std::uint32_t>(kCount)},
                Deal::kProvider);
  deal.must(claim);
  const Hash id = protocol::digest(deal.domain, claim.message);
  EXPECT_EQ(ledger->lease(lease)->claim->block, kClaimBlock);
  EXPECT_TRUE(ledger->lease(lease)->claim->contests.empty());
  std::vector<Hash> asked;
  for (const std::uint64_t block : {1u, 2u, 0u}) {
    const auto contest = deal.sign(
        protocol::Dispute{Deal::address(Deal::kBuyer), lease, id, 100'000, block}, Deal::kBuyer);
    deal.must(market::ContestClaim{contest});
    asked.push_back(protocol::digest(deal.domain, contest.message));
    open.answer =
        deal.sign(protocol::Answer{Deal::address(Deal::kProvider), asked.back()}, Deal::kProvider);
    deal.must(open);
    const auto view = *ledger->lease(lease)->claim;
    EXPECT_EQ(view.contests, asked);
    EXPECT_TRUE(view.opened);
    const auto operation = ledger->operation(ledger->dispute(view.contest)->game);
    ASSERT_TRUE(operation) << operation.error().message;
    const auto& shown = std::get<market::OpenClaim>(*operation);
    EXPECT_EQ(shown.first, block * kClaimBlock);
    const auto begin = nodes.begin() + static_cast<std::ptrdiff_t>(shown.first);
    EXPECT_EQ(shown.before, std::accumulate(nodes.begin(), begin, market::Micros{0},
                                            [](auto sum, const auto& n) { return sum + n.sum; }));
    ASSERT_EQ(shown.leaves.size(), std::min(kClaimBlock, kCount - shown.first));
    for (std::size_t i = 0; i < shown.leaves.size(); ++i)
      EXPECT_EQ(shown.leaves[i].receipt.signature, open.leaves[shown.first + i].receipt.signature);
  }
}

TEST_F(Evm, WhatIsNotFoundIsLookedForAgain) {
  Deal deal(*ledger, now());
  view_ms = 600'000;
  enrich(key(56));
  const auto other = open(manifest, "other", key(56));
  ASSERT_TRUE(other->totals());
  const Hash lease = deal.open_lease(deal.fund());
  const auto seen = other->lease(lease);
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(other->lease(Hash{7}).error().code, Errc::not_found);
}

// A chain that mines nothing keeps nobody from stopping, and the next process goes on.
TEST_F(Evm, NobodyWaitsForATransactionWhileStopping) {
  ledger.reset();
  std::atomic<bool> stopping = false;
  ledger = open(manifest, "ledger", deal_key(Deal::kHost), [&] { return stopping.load(); });
  const auto host = Deal::address(Deal::kHost);
  const auto op = protocol::sign(ledger->info()->domain, protocol::Deposit{host, 11, 4711},
                                 deal_key(Deal::kHost));
  ASSERT_TRUE(ledger->submit(protocol::sign(ledger->info()->domain, protocol::Deposit{host, 1, 1},
                                            deal_key(Deal::kHost))));
  ASSERT_TRUE(chain->rpc().call("evm_setAutomine", {false}));
  auto waiting = std::async(std::launch::async, [&] { return ledger->submit(op); });
  EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(500)), std::future_status::timeout);
  stopping = true;
  ASSERT_EQ(waiting.wait_for(std::chrono::seconds(5)), std::future_status::ready);
  const auto stopped = waiting.get();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::unavailable);
  ASSERT_TRUE(chain->rpc().call("evm_setAutomine", {true}));
  ASSERT_TRUE(chain->mine());
  reopen();
  ASSERT_TRUE(ledger->submit(op));
  EXPECT_EQ(ledger->account(host)->available, 12);
}

// Known at once, and told with what helps; it goes on when there is gas.
TEST_F(Evm, WhoCannotPayForGasIsToldAtOnce) {
  const auto poor = key(57);
  const auto other = open(manifest, "other", poor);
  const auto host = Deal::address(Deal::kHost);
  const auto transfer =
      protocol::sign(ledger->info()->domain, protocol::Stake{host, 1, 1}, deal_key(Deal::kHost));
  ASSERT_TRUE(ledger->submit(protocol::sign(ledger->info()->domain, protocol::Deposit{host, 5, 1},
                                            deal_key(Deal::kHost))));
  const auto begun = std::chrono::steady_clock::now();
  const auto refused = other->submit(transfer);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(crypto::address_of(poor).to_string()), std::string::npos);
  EXPECT_NE(refused.error().message.find("cannot pay for gas"), std::string::npos)
      << refused.error().message;
}

TEST_F(Evm, ReportsOfLatencyAreRefusedByName) {
  const auto op = protocol::sign(ledger->info()->domain,
                                 protocol::LatencyReport{.buyer = Deal::address(Deal::kBuyer)},
                                 deal_key(Deal::kBuyer));
  const auto refused = ledger->submit(op);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
  EXPECT_NE(refused.error().message.find("reports of latency"), std::string::npos);
}

TEST(EvmRefusal, OfHiredAuditorsItSaysWhatHelps) {
  const auto all = reasons();
  const auto first = std::ranges::find(all, "AuditorRegistered");
  ASSERT_NE(first, all.end());
  for (auto reason = first; reason != all.end(); ++reason) {
    const auto number = static_cast<std::uint64_t>(reason - all.begin());
    const Error told = refusal_of({io::ChainErrc::reverted, "execution reverted",
                                   AbiWriter().uint(number).call("Refused(uint8)"), 0});
    EXPECT_EQ(told.code, *reason == "NoBeacon" ? Errc::unsupported : Errc::refused);
    // The name in small letters is told where nothing better is known.
    std::string plain;
    for (const char c : *reason) {
      const bool upper = c >= 'A' && c <= 'Z';
      if (upper && !plain.empty()) plain += ' ';
      plain += upper ? static_cast<char>(c - 'A' + 'a') : c;
    }
    EXPECT_FALSE(told.message.ends_with(plain)) << told.message;
  }
}

// The enum is the contracts': a reason in another place would be told as another.
TEST(EvmRefusal, ReasonsAreThoseOfTheContracts) {
  std::stringstream text;
  text << std::ifstream(std::string(ASSAY_SOURCE_DIR) + "/contracts/src/market/Errors.sol").rdbuf();
  const std::string source = text.str();
  auto at = source.find("enum Why {");
  ASSERT_NE(at, std::string::npos);
  at += 10;
  std::vector<std::string> names(1);
  for (; source[at] != '}'; ++at) {
    if (source[at] == ',') names.emplace_back();
    if (std::isalnum(static_cast<unsigned char>(source[at])) != 0) names.back() += source[at];
  }
  ASSERT_EQ(names.size(), reasons().size());
  for (std::size_t i = 0; i < names.size(); ++i) EXPECT_EQ(names[i], reasons()[i]);
}

}  // namespace
}  // namespace assay::settle::evm
