// A gateway that starts on what a killed one left behind, at every stage: each receipt is paid
// once, no sequence is used twice.
#include <filesystem>
#include <thread>

#include "io/sqlite.hpp"
#include "market/money.hpp"
#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

// The ledger through a connection that loses some operations: before they arrive, or the reply.
struct ForgetfulLedger : FarLedger {
  using FarLedger::FarLedger;
  Result<market::Applied> submit(const market::Operation& operation) override {
    const bool settlement =
        std::holds_alternative<protocol::Signed<protocol::Settlement>>(operation);
    if (settlement && lose == Lose::request) return fail(Errc::unavailable, "lost on the way");
    auto applied = inner.submit(operation);
    if (settlement && lose == Lose::reply) return fail(Errc::unavailable, "the reply was lost");
    return applied;
  }
  enum class Lose { nothing, request, reply };
  std::atomic<Lose> lose{Lose::request};
};

struct RecoveryTest : GatewayTest {
  ForgetfulLedger* lossy() {
    if (!lossy_) lossy_ = std::make_unique<ForgetfulLedger>(*ledger);
    return lossy_.get();
  }
  // One answer whose payment does not reach the ledger; then the gateway is gone.
  json::object answer_unpaid(ScriptedProvider& provider) {
    start(lossy());
    const io::HttpReply reply = post(chat_body());
    EXPECT_EQ(reply.status, 200) << reply.body;
    const json::object answer = parse_object(reply.body);
    row = await_stage(std::string(answer.at("assay").at("receipt").as_string()), "settled");
    gateway.reset();
    EXPECT_EQ(paid(provider), 0);
    return row;
  }
  void sql(const std::string& text) {
    auto db = io::Database::open(options.data_directory + "/gateway.db", io::OpenMode::read_write);
    ASSERT_TRUE(db);
    const Status done = (*db)->exec(text);
    ASSERT_TRUE(done) << done.error().message;
  }
  void expect_paid_once(ScriptedProvider& provider, const std::string& audit) {
    start();
    const json::object after = await_stage(std::string(row.at("receipt").as_string()), "settled");
    EXPECT_EQ(text_at(after, "audit"), audit);
    const auto amount = *market::parse_money(std::string(row.at("amount").as_string()));
    for (int i = 0; i < 500 && paid(provider) == 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(paid(provider), amount);
    start();  // once more: nothing is left to do
    ASSERT_EQ(post(chat_body()).status, 200);
    std::vector<std::uint64_t> sequences;
    for (const auto& request : provider.requests()) sequences.push_back(request.sequence);
    EXPECT_EQ(sequences, (std::vector<std::uint64_t>{1, 2}));
    await_stage("", "settled");
    EXPECT_TRUE(ledger->totals()->conserved());
  }
  json::object row;

 private:
  std::unique_ptr<ForgetfulLedger> lossy_;
};

constexpr const char* kUnsettle = "UPDATE leases SET cumulative = 0, settlement = '';";

TEST_F(RecoveryTest, SettlementSignedButNotSubmitted) {
  ScriptedProvider& provider = add_provider({});
  answer_unpaid(provider);
  expect_paid_once(provider, "match");
}

TEST_F(RecoveryTest, SettlementAppliedButTheReplyWasLost) {
  ScriptedProvider& provider = add_provider({});
  lossy()->lose = ForgetfulLedger::Lose::reply;
  start(lossy());
  const json::object answer = parse_object(post(chat_body()).body);
  row = await_stage(std::string(answer.at("assay").at("receipt").as_string()), "settled");
  expect_paid_once(provider, "match");
}

TEST_F(RecoveryTest, AuditedButNotSettled) {
  ScriptedProvider& provider = add_provider({});
  answer_unpaid(provider);
  sql(std::string(kUnsettle) + "UPDATE requests SET stage = 'audited'");
  expect_paid_once(provider, "match");
}

TEST_F(RecoveryTest, ReceiptedButNotAudited) {
  ScriptedProvider& provider = add_provider({});
  answer_unpaid(provider);
  sql(std::string(kUnsettle) +
      "UPDATE requests SET stage = 'receipted', audit = 'pending', reason = ''");
  expect_paid_once(provider, "match");
}

TEST_F(RecoveryTest, SignedButTheReceiptNeverArrived) {
  ScriptedProvider& provider = add_provider({});
  answer_unpaid(provider);
  const std::string receipt(row.at("receipt").as_string()), request(row.at("request").as_string());
  const std::string& data = options.data_directory;
  std::filesystem::rename(data + "/openings/" + receipt + ".json",
                          data + "/pending/" + request + ".json");
  std::filesystem::remove(data + "/receipts/" + receipt + ".json");
  sql(std::string(kUnsettle) +
      "UPDATE requests SET stage = 'signed', statement_kind = '', statement = '', amount = 0, "
      "audit = 'none', statement_id = zeroblob(32)");
  expect_paid_once(provider, "match");
}

TEST_F(RecoveryTest, ReceiptIsPickedUpAfterTheConnectionBroke) {
  ScriptedProvider& provider = add_provider({.lose_receipt = true});
  start();
  const io::HttpReply reply = post(chat_body());
  ASSERT_EQ(reply.status, 200) << reply.body;
  await_stage("", "settled");
  EXPECT_TRUE(soon([&] { return paid(provider) > 0; }));
}

// Killed between the last token and the receipt: the answer is whole and says what it lacks, and
// what progress was signed for is owed.
TEST_F(RecoveryTest, AnAnswerWhoseReceiptDidNotComeSaysSo) {
  ScriptedProvider& provider = add_provider({.lose_receipt = true, .forget_receipt = true});
  options.pick_up_ms = 200;
  start();
  const io::HttpReply reply = post(chat_body());
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_FALSE(reply.headers.contains("x-assay-receipt"));
  const json::object assay = parse_object(reply.body).at("assay").as_object();
  EXPECT_TRUE(assay.at("receipt").is_null());
  EXPECT_EQ(assay.at("progress").at("count"), 4);
  EXPECT_NE(text_at(assay, "reason").find("closed the connection"), std::string::npos)
      << reply.body;
  EXPECT_NE(text_at(assay, "amount"), "0.00");
  clock.ms += 120'000;
  EXPECT_EQ(text_at(await_stage("", "settled"), "amount"), text_at(assay, "amount"));
  EXPECT_TRUE(soon([&] { return paid(provider) > 0; }));
}

TEST_F(RecoveryTest, WhatNeverGotAReceiptExpiresUnpaid) {
  ScriptedProvider& provider = add_provider({.refuse = true});
  start();
  EXPECT_EQ(post(chat_body()).status, 503);
  const auto free_of = [&] { return get("/assay/leases").at("data").at(0).at("free"); };
  const json::value before = free_of();
  EXPECT_NE(before, "1.00") << "the cap stays open while the request may still be answered";
  clock.ms += 1'000'000;
  for (int i = 0; i < 500 && free_of() == before; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(free_of(), "1.00");
  EXPECT_EQ(paid(provider), 0);
}

TEST_F(RecoveryTest, ADirectoryOfAnotherLedgerIsRefused) {
  start();
  gateway.reset();
  sql("UPDATE meta SET value = '{}'");
  const auto started = GatewayService::start(options, test_key(2), *ledger, *ledger, clock);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Errc::conflict);
}

}  // namespace
}  // namespace assay::services
