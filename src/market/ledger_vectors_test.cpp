// Writes and reads spec/vectors/ledger/*.json: sequences of operations with the state after each.
// ASSAY_WRITE_VECTORS=1 writes them anew; otherwise they must be equal to the byte.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "base/hex.hpp"
#include "market/audits_testutil.hpp"
#include "market/ledger_delivery_testutil.hpp"
#include "market/standing.hpp"

namespace assay::market::test {
namespace {

using namespace protocol;

// What everybody computes of it ten days later (spec/reputation.md).
json::object standings_text(const State& state) {
  const auto now = state.totals.time + 10 * 86400;
  json::array providers;
  for (const auto& s : standings(state, now)) providers.push_back(market::to_json(s));
  return {{"now", std::to_string(now)}, {"providers", std::move(providers)}};
}

class Recorder {
 public:
  AuditWorld w;
  json::array steps;

  Hash run(const Operation& operation) {
    const auto result = w.run(operation);
    json::object step;
    step["time"] = std::to_string(w.time);
    step["operation"] = market::to_json(operation);
    step["id"] = to_hex(operation_id(w.domain(), operation));
    step["result"] = result ? std::string("applied") : std::string(to_string(result.error().code));
    step["state"] = to_hex(w.state.totals.state);
    steps.push_back(step);
    return operation_id(w.domain(), operation);
  }
  void fund() {
    for (const auto& [to, amount] :
         {std::pair(w.buyer, 100'000'000), std::pair(w.provider, 10'000'000),
          std::pair(w.other, 5'000'000)})
      run(w.sign(Deposit{to.address, amount, w.nonce()}, w.host));
    run(w.sign(protocol::Stake{w.provider.address, 10'000'000, w.nonce()}, w.provider));
  }
  std::string text(std::string_view about) const {
    const World fresh;
    json::object out;
    out["about"] = about;
    out["info"] = market::to_json(fresh.state.info);
    out["genesis"] = to_hex(fresh.state.totals.state);
    out["steps"] = steps;
    out["totals"] = market::to_json(w.state.totals);
    out["snapshot"] = to_hex(snapshot_hash(w.state));
    out["standings"] = standings_text(w.state);
    return json::dump_pretty(out) + "\n";
  }
};

std::string payments() {
  Recorder r;
  auto& w = r.w;
  r.fund();
  r.run(w.sign(Transfer{w.buyer.address, w.other.address, 1'000'000, 1}, w.buyer));
  r.run(w.sign(Withdraw{w.other.address, 6'000'001, 1}, w.other));  // refused
  r.run(w.sign(Withdraw{w.other.address, 500'000, 1}, w.other));
  const auto lease = r.run(w.open_lease(5'000'000));
  r.run(w.sign(protocol::Settlement{lease, 2'000'000}, w.buyer));
  r.run(w.sign(protocol::Settlement{lease, 1'000'000}, w.buyer));  // stale
  r.run(w.sign(TopUp{w.buyer.address, lease, 1'000'000, 2}, w.buyer));
  w.time += 10;
  r.run(w.sign(Unbond{w.provider.address, 5'000'000, 1}, w.provider));
  r.run(w.sign(Close{w.buyer.address, lease}, w.buyer));  // too early
  r.run(w.sign(Close{w.provider.address, lease}, w.provider));
  w.time += 600;
  r.run(w.sign(Release{w.provider.address, 1}, w.provider));
  return r.text("deposits, a lease, settlements, closing, unbonding");
}

std::string claims() {
  Recorder r;
  auto& w = r.w;
  r.fund();
  const auto lease = r.run(w.open_lease(5'000'000));
  const std::vector<ClaimLeaf> leaves{w.leaf(lease, 1, 100'000), w.leaf(lease, 2, 200'000)};
  const auto claim = r.run(w.claim(lease, leaves, w.provider));
  const auto contest = r.run(
      ContestClaim{w.sign(Dispute{w.buyer.address, lease, claim, 100'000, w.nonce()}, w.buyer)});
  r.run(OpenClaim{w.sign(Answer{w.provider.address, contest}, w.provider), {leaves[0]}});
  r.run(OpenClaim{w.sign(Answer{w.provider.address, contest}, w.provider), leaves});
  r.run(w.sign(Finalize{w.provider.address, claim}, w.provider));  // too early
  w.time += 100;
  r.run(w.sign(Finalize{w.provider.address, claim}, w.provider));
  const auto phantom = r.run(w.sign(Claim{lease, {}, 4'000'000, 9}, w.provider));
  r.run(
      ContestClaim{w.sign(Dispute{w.buyer.address, lease, phantom, 100'000, w.nonce()}, w.buyer)});
  w.time += 100;
  r.run(w.sign(Finalize{w.buyer.address, phantom}, w.buyer));
  return r.text("a contested claim that is opened and paid, a phantom claim that is voided");
}

// What follows without a referee: deadlines, arithmetic, two stories. games.json has moves
// (settle/dispute_referee_test).
std::string disputes() {
  Recorder r;
  auto& w = r.w;
  r.fund();
  const auto committed = [&](auto op, const Party& by) {
    r.run(w.commitment(op, by));
    return r.run(op);
  };
  const auto lease = r.run(w.open_lease(5'000'000));
  const auto leaf = w.leaf(lease, 1, 100'000);
  r.run(w.sign(protocol::Settlement{lease, 1'000'000}, w.buyer));
  r.run(w.dispute(lease, leaf, w.buyer, 100'000));  // not committed
  const auto slow = committed(w.dispute(lease, leaf, w.buyer, 100'000), w.buyer);
  const auto second = committed(w.dispute(lease, leaf, w.other, 100'001), w.other);
  r.run(w.timeout(slow, w.other));  // too early
  w.time += 20;
  r.run(w.timeout(second, w.buyer));
  r.run(w.timeout(slow, w.buyer));  // convicted meanwhile
  r.run(w.timeout(slow, w.buyer));  // once
  r.run(w.sign(Deposit{w.provider.address, 20'000'000, 70}, w.host));
  r.run(w.sign(protocol::Stake{w.provider.address, 9'000'001, 71}, w.provider));
  const auto third = r.run(w.open_lease(3'000'000));
  const auto request = w.request(third, 1, w.buyer);
  committed(w.equivocation(third, request, w.receipt(request, 7, w.provider, 1),
                           w.receipt(request, 7, w.provider, 2), w.other),
            w.other);
  r.run(w.sign(protocol::Stake{w.provider.address, 9'000'001, 72}, w.provider));
  const auto fourth = r.run(w.open_lease(2'000'000));
  auto dear = w.leaf(fourth, 1, 9);
  ++dear.receipt.message.amount;
  dear.receipt = w.sign(dear.receipt.message, w.provider);
  committed(w.dispute(fourth, dear, w.other, 100'000), w.other);
  return r.text(
      "a provider that does not move, a second challenger that was slower, an equivocation, a "
      "wrong amount");
}

std::string deliveries() {
  Recorder r;
  auto& w = r.w;
  r.fund();
  const auto lease = r.run(w.open_lease(5'000'000));
  const auto stock = [&](const Hash& of, std::uint64_t sequence) {
    return sold(w, of, sequence, 5, w.buyer, w.provider, 1);
  };
  const auto first = stock(lease, 1);
  r.run(demand(w, first, w.other));  // not the buyer
  const auto served = r.run(demand(w, first, w.buyer));
  const auto right = deliver(w, served, sealed(first, served), w.provider);
  r.run(deliver(w, served, {1, 2, 3}, w.provider));  // another length
  r.run(right);
  r.run(report(w, served, right, first.secret, w.buyer));  // it is what was signed for
  r.run(w.timeout(served, w.other));                       // too early
  r.run(w.timeout(served, w.buyer));                       // the buyer is content
  r.run(demand(w, first, w.buyer));                        // once for ever
  // In the last second of a claim's window, left unreported.
  const auto second = stock(lease, 2);
  const std::vector<ClaimLeaf> leaves{first.leaf, second.leaf};
  const auto claim = r.run(w.claim(lease, leaves, w.provider));
  w.time += 99;
  const auto late = r.run(demand(w, second, w.buyer));
  r.run(deliver(w, late, sealed(second, late), w.provider));
  w.time += 20;
  r.run(demand(w, stock(lease, 3), w.buyer));                      // the claim's window is over
  r.run(w.sign(Finalize{w.provider.address, claim}, w.provider));  // waits
  r.run(w.timeout(late, w.provider));
  r.run(w.sign(Finalize{w.provider.address, claim}, w.provider));
  // Something else than the answer; another lease's answer that never comes.
  const auto third = stock(lease, 3);
  const auto cheated = r.run(demand(w, third, w.buyer));
  auto bytes = sealed(third, cheated);
  bytes[4] ^= 1;
  const auto garbage = deliver(w, cheated, bytes, w.provider);
  r.run(garbage);
  r.run(report(w, cheated, garbage, third.secret, w.buyer));
  r.run(w.sign(Deposit{w.provider.address, 9'000'001, 70}, w.host));
  r.run(w.sign(protocol::Stake{w.provider.address, 9'000'001, 71}, w.provider));
  const auto other = r.run(w.open_lease(3'000'000));
  const auto silent = r.run(demand(w, stock(other, 1), w.buyer));
  w.time += 20;
  r.run(w.timeout(silent, w.other));
  return r.text("answers demanded: delivered, left unreported, another one delivered, none");
}

// Registration, draw, verdicts, a leaked key, a canary whose pass is not defended, fees.
std::string audits() {
  Recorder r;
  auto& w = r.w;
  r.fund();
  for (std::uint8_t i = 0; i < 4; ++i) {
    const auto a = w.auditor(i);
    r.run(w.sign(Deposit{a.address, 9'000'000, w.nonce()}, w.host));
    r.run(w.sign(protocol::Stake{a.address, (i + 1) * 2'000'000, w.nonce()}, a));
    r.run(w.registration(a, kFee + i));
  }
  r.run(w.sign(Unbond{w.auditor(0).address, 1, 1}, w.auditor(0)));  // registered
  ++w.time;
  const auto lease = r.run(w.open_lease(5'000'000));
  const auto leaf = w.leaf(lease, 1, 100'000), canary = w.leaf(lease, 2, 7);
  const auto shown = w.canary(lease, canary, w.buyer, w.provider);
  r.run(w.commitment(shown, w.buyer));
  ++w.time;
  const auto first = r.run(w.request_audit(lease, leaf, 3, kFee + 9, w.buyer));
  const auto second = r.run(w.request_audit(lease, canary, 1, kFee + 9, w.buyer));
  const auto nobody = r.run(w.request_audit(lease, leaf, 1, kFee - 1, w.buyer));
  r.run(w.settlement(nobody, w.other));  // too early
  r.run(w.beacon());
  r.run(w.beacon());
  EXPECT_EQ(w.audit_of(first).drawn.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) r.run(w.audit_commitment(first, w.drawn(first, i)));
  r.run(w.audit_commitment(second, w.drawn(second)));
  const auto report = w.report(first, w.drawn(first, 2), w.other);
  r.run(w.commitment(report, w.other));
  w.time += 20;
  r.run(report);
  r.run(w.verdict(first, w.drawn(first, 0), AuditVerdict::pass));
  r.run(w.verdict(first, w.drawn(first, 1), AuditVerdict::unauditable));
  r.run(w.verdict(first, w.drawn(first, 2), AuditVerdict::fail));  // convicted
  const auto pass = r.run(w.verdict(second, w.drawn(second), AuditVerdict::pass));
  w.time += 40;
  r.run(w.settlement(first, w.other));
  r.run(shown);
  const auto dispute = w.pass_dispute(lease, canary, pass, w.buyer, 100'000);
  r.run(w.commitment(dispute, w.buyer));
  const auto id = r.run(dispute);
  w.time += 20;
  r.run(w.timeout(id, w.other));
  r.run(w.settlement(second, w.other));
  return r.text(
      "auditors registered and drawn, three verdicts and a key given away, a canary that somebody "
      "passed and did not defend");
}

// Three buyers about one provider, one of them twice; what is refused.
std::string latency() {
  Recorder r;
  auto& w = r.w;
  r.fund();
  const auto lease = [&](const Party& buyer, Micros paid) {
    const auto id = r.run(w.open_lease(5'000'000, buyer, w.provider, w.payout));
    ++w.time;
    if (paid > 0) r.run(w.sign(protocol::Settlement{id, paid}, buyer));
    return id;
  };
  const auto third = party(6);
  for (const auto& buyer : {w.other, third})
    r.run(w.sign(Deposit{buyer.address, 20'000'000, w.nonce()}, w.host));
  const auto first = lease(w.buyer, 3'000'000);  // counts for 1.00
  r.run(w.speed(first, 40, 900, 90, w.buyer, w.time));
  r.run(w.speed(first, 41, 800, 80, w.buyer, w.time));  // no later than the last
  ++w.time;
  r.run(w.speed(first, 41, 800, 80, w.buyer, w.time));  // nothing paid since
  r.run(w.sign(protocol::Settlement{first, 3'000'001}, w.buyer));
  r.run(w.speed(first, 41, 800, 80, w.buyer, w.time));
  const auto second = lease(w.other, 700'000);
  r.run(w.speed(second, 9, 300, 35, w.buyer, w.time));        // another's lease
  r.run(w.speed(second, 9, 300, 35, w.other, w.time + 601));  // not yet
  r.run(w.speed(second, 9, 300, 35, w.other, w.time));
  const auto cheap = lease(third, 3);
  r.run(w.speed(cheap, 4, 9'000, 1, third, w.time));  // more answers than were paid
  r.run(w.speed(cheap, 3, 9'000, 1, third, w.time));
  const auto unpaid = lease(third, 0);
  r.run(w.speed(unpaid, 1, 9'000, 1, third, w.time));
  r.run(w.sign(Close{w.provider.address, second}, w.provider));
  w.time += 101;
  r.run(w.sign(protocol::Settlement{second, 700'001}, w.other));  // it is over
  r.run(w.speed(second, 9, 200, 25, w.other, w.time));
  return r.text("what buyers say about a provider's speed, by what each paid");
}

// Whoever has only the file gets the same states.
void replay(const std::string& text) {
  const auto document = *json::parse(text);
  const auto& o = document.as_object();
  const ToyReferee referee;
  auto state = *genesis(*ledger_info_from_json(**json::get_object(o, "info")), referee);
  EXPECT_EQ(to_hex(state.totals.state), *json::get_string(o, "genesis"));
  for (const auto& v : **json::get_array(o, "steps")) {
    const auto& step = v.as_object();
    const auto operation = operation_from_json(**json::get_object(step, "operation"));
    ASSERT_TRUE(operation) << operation.error().message;
    EXPECT_EQ(json::dump(market::to_json(*operation)),
              json::dump(**json::get_object(step, "operation")));
    const auto result = apply(state, *operation, *json::get_u64(step, "time"));
    EXPECT_EQ(*json::get_string(step, "result"),
              result ? "applied" : to_string(result.error().code));
    EXPECT_EQ(to_hex(state.totals.state), *json::get_string(step, "state"));
  }
  EXPECT_EQ(to_hex(snapshot_hash(state)), *json::get_string(o, "snapshot"));
  EXPECT_EQ(json::dump(standings_text(state)), json::dump(**json::get_object(o, "standings")));
}

void check(const std::string& name, const std::string& text) {
  const std::filesystem::path folder = std::string(ASSAY_SOURCE_DIR) + "/spec/vectors/ledger";
  const auto path = folder / (name + ".json");
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) {
    std::filesystem::create_directories(folder);
    std::ofstream(path, std::ios::binary) << text;
  }
  std::stringstream committed;
  committed << std::ifstream(path, std::ios::binary).rdbuf();
  ASSERT_EQ(committed.str(), text) << path << " (ASSAY_WRITE_VECTORS=1 writes it)";
  replay(committed.str());
}

TEST(LedgerVectors, Payments) { check("payments", payments()); }
TEST(LedgerVectors, Claims) { check("claims", claims()); }
TEST(LedgerVectors, Disputes) { check("disputes", disputes()); }
TEST(LedgerVectors, Deliveries) { check("deliveries", deliveries()); }
TEST(LedgerVectors, Latency) { check("latency", latency()); }
TEST(LedgerVectors, Audits) { check("audits", audits()); }

TEST(OperationJson, RefusesWhatIsNotExactlyOneForm) {
  World w;
  const auto good = market::to_json(Operation(w.sign(Deposit{w.buyer.address, 5, 1}, w.host)));
  EXPECT_TRUE(operation_from_json(good));
  const auto bad = [&](auto change) {
    auto o = good;
    change(o);
    return !operation_from_json(o).has_value();
  };
  EXPECT_TRUE(bad([](json::object& o) { o["kind"] = "mint"; }));
  EXPECT_TRUE(bad([](json::object& o) { o["kind"] = "withdraw_all"; }));
  EXPECT_TRUE(bad([](json::object& o) { o.erase("signature"); }));
  EXPECT_TRUE(bad([](json::object& o) { o["extra"] = 1; }));
  EXPECT_TRUE(bad([](json::object& o) { o["message"].as_object()["amount"] = 5; }));
  EXPECT_TRUE(bad([](json::object& o) { o["message"].as_object()["amount"] = "-5"; }));
  EXPECT_TRUE(bad([](json::object& o) { o["message"].as_object()["amount"] = "05"; }));
  EXPECT_TRUE(bad([](json::object& o) { o["message"].as_object().erase("nonce"); }));
}

TEST(ViewJson, ComesBackAsItWas) {
  World w;
  w.fund();
  const auto lease = w.lease(5'000'000);
  const std::vector<ClaimLeaf> leaves{w.leaf(lease, 1, 1'000)};
  ASSERT_TRUE(w.run(w.claim(lease, leaves, w.provider)));
  ASSERT_TRUE(w.run(w.sign(Unbond{w.provider.address, 1'000'000, 7}, w.provider)));
  const auto dispute = w.run(w.committed(w.dispute(lease, leaves[0], w.other, 100'000), w.other));
  ASSERT_TRUE(dispute);
  const auto same = [](const auto& view, auto read) {
    const auto o = market::to_json(view);
    const auto back = read(o);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(json::dump(market::to_json(*back)), json::dump(o));
  };
  same(w.state.info, ledger_info_from_json);
  same(w.account(w.provider), account_view_from_json);
  same(w.lease_of(lease), lease_view_from_json);
  same(*dispute_view(w.state, dispute->id), dispute_view_from_json);
  same(w.state.totals, totals_from_json);
  same(*dispute, applied_from_json);
}

}  // namespace
}  // namespace assay::market::test
