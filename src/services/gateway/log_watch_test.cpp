// Receipts that a provider puts into the log, keeps out of it, or replaces there.
#include "services/gateway/log_watch.hpp"

#include "services/gateway/gateway_testutil.hpp"
#include "tlog/receipt_entry.hpp"
#include "tlog/tlog_testutil.hpp"

namespace assay::services {
namespace {

struct LogWatchTest : GatewayTest {
  std::mutex mutex;
  tlog::MemoryLog log;
  std::unique_ptr<io::HttpServer> server;
  crypto::SecretKey provider_key = test_key(10);

  void SetUp() override {
    GatewayTest::SetUp();
    io::Router router;
    router.get("/checkpoint", [this](io::HttpRequest&, io::HttpResponse& response) {
      const std::lock_guard lock(mutex);
      response.send(200, "text/plain", log.checkpoint());
    });
    router.get("/{path*}", [this](io::HttpRequest& request, io::HttpResponse& response) {
      const std::lock_guard lock(mutex);
      const auto file = log.tiles.files.find(std::string(request.param("path")));
      if (file == log.tiles.files.end())
        return void(response.send_error(404, "no such tile", "none"));
      response.send(200, "application/octet-stream", std::string(text(file->second)));
    });
    server = *io::HttpServer::start({}, router.handler());
    log.grow(300);
    options.log_url = server->url();
    options.log_key = log.key.verifier().to_string();
    options.log_within_s = 1;
    add_provider({});
    start();
  }
  void TearDown() override {
    GatewayTest::TearDown();
    server->stop();
  }

  // The id of one more receipt.
  std::string buy() { return receipt_of(parse_object(post(chat_body()).body)); }
  protocol::ReceiptFile file(const std::string& receipt) {
    return *protocol::receipt_file_from_text(
        *io::read_file(fmt::format("{}/receipts/{}.json", options.data_directory, receipt)));
  }
  // What an honest provider appends; `honest` false: a void under the same number.
  void append(const std::string& receipt, bool honest = true) {
    const auto f = file(receipt);
    const auto opening = *protocol::opening_from_text(
        *io::read_file(fmt::format("{}/openings/{}.json", options.data_directory, receipt)));
    const tlog::LogEntry place = tlog::place_of(f);
    const Hash commitment =
        honest ? tlog::receipt_commitment(tlog::entry_salt(f, opening.salt_secret),
                                          protocol::digest(f.domain, f.receipt.message))
               : tlog::void_commitment(Hash{1}, place.number);
    const std::lock_guard lock(mutex);
    log.append({tlog::sign_entry(place.ledger, place.number, commitment, provider_key).to_bytes()});
    log.grow(3);
  }
  std::string state(const std::string& receipt) {
    const json::object listed = get("/assay/receipts");
    for (const auto& row : listed.at("data").as_array())
      if (row.at("receipt").as_string() == std::string_view(receipt))
        return std::string(row.at("log").as_string());
    return "";
  }
  bool becomes(const std::string& receipt, const std::string& wanted) {
    return soon([&] { return state(receipt) == wanted; });
  }
};

TEST_F(LogWatchTest, WhatIsInTheLogIsProvenAndTheRestIsAnAlarm) {
  const std::string good = buy();
  EXPECT_EQ(state(good), "waiting");
  append(good);
  EXPECT_TRUE(becomes(good, "included"));
  // The proof is for anybody, offline.
  const auto proof = tlog::parse_proof_file(
      *io::read_file(fmt::format("{}/proofs/{}.tlog-proof", options.data_directory, good)));
  ASSERT_TRUE(proof);
  EXPECT_EQ(proof->index, 300u);
  EXPECT_TRUE(tlog::verify_proof_file(*proof, crypto::leaf_hash(*proof->extra), log.policy()));

  const std::string replaced = buy(), late = buy();
  append(replaced, false);
  EXPECT_TRUE(becomes(replaced, "contradicted"));
  EXPECT_EQ(state(late), "waiting");
  clock.ms += 3000;
  EXPECT_TRUE(becomes(late, "missing"));
  append(late);
  EXPECT_TRUE(becomes(late, "included"));
  EXPECT_EQ(state(replaced), "contradicted");

  // A restart knows what it has proofs of, and looks again for the rest.
  start();
  EXPECT_EQ(state(good), "included");
  EXPECT_EQ(state(late), "included");
  EXPECT_TRUE(becomes(replaced, "contradicted"));
}

// Tiles that do not make the signed root prove nothing, whatever is in them.
TEST_F(LogWatchTest, ALogThatLiesIsNotBelieved) {
  const std::string receipt = buy();
  {
    const std::lock_guard lock(mutex);
    log.key = tlog::test_key("another log");
  }
  append(receipt);
  clock.ms += 3000;
  std::this_thread::sleep_for(std::chrono::milliseconds(700));  // more than two rounds
  EXPECT_EQ(state(receipt), "waiting");
  {
    const std::lock_guard lock(mutex);
    log.key = tlog::test_key("example.com/log");
    log.edge.append(Hash{1});  // signed, and not what the tiles hold
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  EXPECT_NE(state(receipt), "included");
}

TEST_F(LogWatchTest, WithoutALogNothingIsSaid) {
  options.log_url.clear();
  start();
  const std::string receipt = buy();
  EXPECT_TRUE(get("/assay/receipts").at("data").at(0).at("log").is_null());
}

TEST_F(LogWatchTest, AKeyThatIsNoneIsRefused) {
  options.log_key = "key";
  gateway.reset();
  const auto started = GatewayService::start(options, test_key(2), *ledger, *ledger, clock);
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("--log-key"), std::string::npos);
}

}  // namespace
}  // namespace assay::services
