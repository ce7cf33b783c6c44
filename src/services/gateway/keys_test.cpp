// API keys: who is let in, how often, and for how much.
#include <thread>

#include "crypto/tls_key.hpp"
#include "io/pinned_url.hpp"
#include "io/sqlite.hpp"
#include "services/gateway/gatekeeper.hpp"
#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

struct KeysTest : GatewayTest {
  // The secret of a new key.
  std::string add_key(ApiKey key) {
    const auto store = Store::open_beside(options.data_directory, true);
    EXPECT_TRUE(store) << store.error().message;
    key.id = new_api_key_id();
    key.created_s = clock.now_s();
    const std::string secret = new_api_key();
    EXPECT_TRUE((*store)->add_api_key(key, api_key_hash(secret)));
    return secret;
  }
  io::HttpReply ask(const std::string& secret, const json::object& body) {
    io::HttpClient client;
    return *client.post_json(gateway->url() + "/v1/chat/completions", json::dump(body),
                             {{"Authorization", "Bearer " + secret}});
  }
  json::object look(const std::string& secret, const std::string& path) {
    io::HttpClient client;
    return parse_object(
        client.get(gateway->url() + path, {{"Authorization", "Bearer " + secret}})->body);
  }
};

TEST_F(KeysTest, FromTheFirstKeyOnNobodyIsLetInWithoutOne) {
  add_provider({});
  start();
  ASSERT_EQ(post(chat_body()).status, 200);
  const std::string secret = add_key({.id = {}, .name = "ci"});
  const io::HttpReply none = post(chat_body());
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(error_code(none), "missing_api_key");
  const io::HttpReply wrong = ask("sk-assay-guess", chat_body());
  EXPECT_EQ(wrong.status, 401);
  EXPECT_EQ(error_code(wrong), "invalid_api_key");
  EXPECT_EQ(get("/v1/models").at("error").at("code"), "missing_api_key");
  EXPECT_EQ(get("/assay/receipts").at("error").at("code"), "missing_api_key");
  EXPECT_EQ(ask(secret, chat_body()).status, 200);

  ASSERT_TRUE((*Store::open_beside(options.data_directory))->revoke_api_key("ci", clock.now_s()));
  const io::HttpReply revoked = ask(secret, chat_body());
  EXPECT_EQ(revoked.status, 401);
  EXPECT_NE(revoked.body.find("was revoked"), std::string::npos);
  // Revoking the last key opens nothing.
  EXPECT_EQ(post(chat_body()).status, 401);
}

TEST_F(KeysTest, OnlyTheHashIsOnDisk) {
  const std::string secret = add_key({.id = {}, .name = "ci"});
  const std::string file = *io::read_file(options.data_directory + "/gateway.db");
  const auto wal = io::read_file(options.data_directory + "/gateway.db-wal");
  EXPECT_EQ((file + wal.value_or("")).find(secret.substr(9)), std::string::npos);
  EXPECT_EQ(secret.size(), std::string_view("sk-assay-").size() + 64);
}

TEST_F(KeysTest, ANameInUseIsTakenAndFreeAgainOnceRevoked) {
  add_key({.id = {}, .name = "ci"});
  const auto store = *Store::open_beside(options.data_directory);
  const ApiKey again{.id = new_api_key_id(), .name = "ci"};
  EXPECT_EQ(store->add_api_key(again, api_key_hash("x")).error().code, Errc::conflict);
  ASSERT_TRUE(store->revoke_api_key("ci", 5));
  EXPECT_EQ(store->revoke_api_key("ci", 5).error().code, Errc::not_found);
  EXPECT_TRUE(store->add_api_key(again, api_key_hash("x")));
  EXPECT_EQ((*store->api_keys()).size(), 2u);
}

TEST_F(KeysTest, ABudgetHoldsAlsoForManyAtOnce) {
  ScriptedProvider& provider = add_provider({});
  start();
  const json::object priced = parse_object(post(chat_body()).body);
  const protocol::Micros cap = provider.requests().back().cap;
  // Room for two requests' caps, not for three.
  const std::string secret = add_key({.id = {}, .name = "ci", .budget = 3 * cap - 1});
  std::vector<int> statuses(4);
  {
    std::vector<std::jthread> clients;
    for (int& status : statuses)
      clients.emplace_back([&] { status = ask(secret, chat_body()).status; });
  }
  EXPECT_GE(std::ranges::count(statuses, 200), 1);
  EXPECT_EQ(std::ranges::count(statuses, 200) + std::ranges::count(statuses, 429), 4);
  const auto store = *Store::open_beside(options.data_directory);
  const std::string id = store->api_keys()->front().id;
  EXPECT_LE(*store->spent({.api_key = id}), 3 * cap - 1);

  while (true) {
    const io::HttpReply reply = ask(secret, chat_body());
    if (reply.status == 200) continue;
    EXPECT_EQ(reply.status, 429);
    EXPECT_EQ(error_code(reply), "insufficient_quota");
    EXPECT_EQ(reply.headers.at("x-should-retry"), "false");
    break;
  }
  EXPECT_LE(*store->spent({.api_key = id}), 3 * cap - 1);
  // Another's requests are not counted, nor those of an earlier period.
  EXPECT_EQ(*store->spent({.api_key = "key_other"}), 0);
  EXPECT_EQ(*store->spent({.api_key = id, .since_s = clock.now_s() + 1}), 0);
}

// Several answers, or several providers', are bought all or none.
TEST_F(KeysTest, WhatABudgetDoesNotCoverAsAWholeIsNotBegun) {
  ScriptedProvider& a = add_provider({});
  ScriptedProvider& b = add_provider({});
  start();
  ASSERT_EQ(post(chat_body()).status, 200);
  const protocol::Micros cap = (a.calls() > 0 ? a : b).requests().back().cap;
  const std::string secret = add_key({.id = {}, .name = "ci", .budget = 3 * cap - 1});
  const auto store = *Store::open_beside(options.data_directory);
  const std::string id = store->api_keys()->front().id;
  json::object three = chat_body();
  three["n"] = 3;
  json::object replicas = chat_body();
  replicas["n"] = 2;
  replicas["verification"] = "replicate:2";
  for (const json::object& body : {three, replicas}) {
    const io::HttpReply reply = ask(secret, body);
    EXPECT_EQ(reply.status, 429) << reply.body;
    EXPECT_EQ(error_code(reply), "insufficient_quota");
    EXPECT_EQ(*store->spent({.api_key = id}), 0);
  }
  EXPECT_EQ(a.calls() + b.calls(), 1);
  // Without a limit they share what is there.
  json::object open = chat_body();
  open.erase("max_tokens");
  open["n"] = 2;
  const io::HttpReply both = ask(secret, open);
  EXPECT_EQ(both.status, 200) << both.body;
  EXPECT_EQ(a.calls() + b.calls(), 3);
  EXPECT_LE(*store->spent({.api_key = id}), 3 * cap - 1);
}

// Nor is one replica where the account can only open a lease with one provider.
TEST_F(KeysTest, ReplicasThatCannotAllBePaidAreNotBegun) {
  ScriptedProvider& a = add_provider({});
  ScriptedProvider& b = add_provider({});
  start();
  const auto buyer = crypto::address_of(test_key(2));
  ASSERT_TRUE(ledger->submit(
      sign(protocol::Withdraw{.account = buyer,
                              .amount = 9'000'000 - ledger->info()->parameters.dispute_bond,
                              .nonce = ++nonce},
           2)));
  json::object body = chat_body();
  body["verification"] = "replicate:2";
  const io::HttpReply reply = post(body);
  EXPECT_EQ(reply.status, 402) << reply.body;
  EXPECT_EQ(a.calls() + b.calls(), 0);
}

TEST_F(KeysTest, AReservationIsKeptFromOthersAndUsedUpByItsOwn) {
  start();
  const auto store = *Store::open_beside(options.data_directory);
  const Spender key{.api_key = "key_x", .budget = 10};
  {
    const protocol::Micros amounts[] = {4, 5};
    auto kept = store->reserve(key, amounts);
    ASSERT_TRUE(kept);
    EXPECT_EQ(*store->spent(key), 9);
    Spender own = key;
    own.reserved = kept->front();
    EXPECT_EQ(*store->spent(own), 5);
    EXPECT_EQ(store->reserve(key, std::span(amounts).first(1)).error().code, Errc::refused);
  }
  EXPECT_EQ(*store->spent(key), 0);
}

TEST_F(KeysTest, RequestsAMinuteAreCountedAndAnnounced) {
  add_provider({});
  start();
  const std::string secret = add_key({.id = {}, .name = "ci", .requests_per_min = 2});
  const io::HttpReply first = ask(secret, chat_body());
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.headers.at("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(first.headers.at("x-ratelimit-remaining-requests"), "1");
  EXPECT_EQ(ask(secret, chat_body()).status, 200);
  const io::HttpReply third = ask(secret, chat_body());
  EXPECT_EQ(third.status, 429);
  EXPECT_EQ(error_code(third), "rate_limit_exceeded");
  EXPECT_EQ(third.headers.at("x-should-retry"), "true");
  EXPECT_GE(std::stoi(third.headers.at("retry-after")), 1);
}

TEST_F(KeysTest, TokensOverrunAreMadeUpFor) {
  add_provider({});
  start();
  const std::string secret = add_key({.id = {}, .name = "ci", .tokens_per_min = 3});
  EXPECT_EQ(ask(secret, chat_body()).status, 200);  // more than 3 tokens, known afterwards
  const io::HttpReply second = ask(secret, chat_body());
  EXPECT_EQ(error_code(second), "rate_limit_exceeded");
  EXPECT_NE(second.body.find("3 tokens a minute"), std::string::npos) << second.body;
}

TEST_F(KeysTest, EachSeesWhatItBoughtAndTheReportAddsUp) {
  ScriptedProvider& provider = add_provider({});
  options.audit_rate = 1;
  start();
  const std::string a = add_key({.id = {}, .name = "a"}), b = add_key({.id = {}, .name = "b"});
  const std::string receipt = receipt_of(parse_object(ask(a, chat_body()).body));
  ASSERT_EQ(ask(b, chat_body()).status, 200);
  ASSERT_EQ(ask(b, chat_body()).status, 200);
  EXPECT_EQ(look(a, "/assay/receipts").at("data").as_array().size(), 1u);
  EXPECT_EQ(look(b, "/assay/receipts").at("data").as_array().size(), 2u);
  EXPECT_EQ(look(a, "/assay/receipts/" + receipt).at("assay"), "receipt/0");
  EXPECT_EQ(look(b, "/assay/receipts/" + receipt).at("error").at("code"), "not_found");
  EXPECT_EQ(look(b, "/assay/openings/" + receipt).at("error").at("code"), "not_found");

  const auto store = *Store::open_beside(options.data_directory);
  ASSERT_TRUE(soon([&] {
    const auto rows = *store->spending(SpendingBy::provider, 0);
    return rows.size() == 1 && rows[0].owed == 0 && rows[0].open == 0;
  }));
  const auto by_provider = *store->spending(SpendingBy::provider, 0);
  EXPECT_EQ(by_provider[0].of, provider.address().to_string());
  EXPECT_EQ(by_provider[0].answers, 3u);
  EXPECT_EQ(by_provider[0].verified, 3u);
  EXPECT_TRUE(soon([&] { return paid(provider) == by_provider[0].settled; }));
  EXPECT_EQ(*per_verified(by_provider[0]), (by_provider[0].settled + 2) / 3);
  std::uint64_t in = 0, out = 0;
  for (const auto& outcome : provider.outcomes()) {
    in += outcome.call.prompt.size();
    out += outcome.answer.size();
  }
  EXPECT_EQ(by_provider[0].tokens_in, in);
  EXPECT_EQ(by_provider[0].tokens_out, out);
  const auto by_key = *store->spending(SpendingBy::key, 0);
  ASSERT_EQ(by_key.size(), 2u);
  EXPECT_EQ(by_key[0].answers + by_key[1].answers, 3u);
  EXPECT_EQ(by_key[0].settled + by_key[1].settled, by_provider[0].settled);
  EXPECT_EQ((*store->spending(SpendingBy::model, 0))[0].of, "toy");
  EXPECT_TRUE((*store->spending(SpendingBy::model, clock.now_s() + 1)).empty());
}

struct DoorTest : KeysTest {
  Result<std::unique_ptr<GatewayService>> try_start(std::uint8_t key = 2) {
    gateway.reset();
    return GatewayService::start(options, test_key(key), *ledger, *ledger, clock);
  }
};

TEST_F(DoorTest, WhereOthersCanConnectAKeyComesFirst) {
  options.address = "0.0.0.0";
  const auto open = try_start();
  ASSERT_FALSE(open);
  EXPECT_EQ(open.error().code, Errc::refused);
  EXPECT_NE(open.error().message.find("--allow-anyone"), std::string::npos);
  EXPECT_NE(open.error().message.find("keys add --data " + options.data_directory),
            std::string::npos);
  options.allow_anyone = true;
  EXPECT_TRUE(try_start());
  options.allow_anyone = false;
  add_key({.id = {}, .name = "ci"});
  EXPECT_TRUE(try_start());
}

TEST_F(DoorTest, ACertificateOfItsOwn) {
  const auto own = *crypto::tls_certificate(Hash{9});
  options.tls_cert_file = folder.file("cert.pem");
  options.tls_key_file = folder.file("key.pem");
  ASSERT_TRUE(io::write_file_atomic(options.tls_cert_file, view(own.certificate_pem)));
  ASSERT_TRUE(io::write_file_atomic(options.tls_key_file, view(own.key_pem)));
  start();
  ASSERT_TRUE(gateway->url().starts_with("https://")) << gateway->url();
  io::HttpClient client;
  const auto reply = client.get(io::pinned(gateway->url(), own.key_hash) + "/v1/models");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 200);
}

TEST_F(DoorTest, AFolderBelongsToOneBuyer) {
  add_provider({});
  start();
  ASSERT_EQ(post(chat_body()).status, 200);
  const auto refused = [&] {
    const auto other = try_start(9);
    return other ? "it starts" : other.error().message;
  };
  const std::string mine = crypto::address_of(test_key(2)).to_string(),
                    other = crypto::address_of(test_key(9)).to_string();
  EXPECT_NE(refused().find("belongs to the account " + mine), std::string::npos) << refused();
  EXPECT_NE(refused().find("the key is " + other), std::string::npos) << refused();
  // One written before folders named their buyer has leases that do.
  {
    const auto db =
        *io::Database::open(options.data_directory + "/gateway.db", io::OpenMode::read_write);
    ASSERT_TRUE(db->exec("DELETE FROM meta WHERE key = 'buyer'"));
  }
  EXPECT_NE(refused().find("belongs to the account " + mine), std::string::npos) << refused();
  EXPECT_TRUE(try_start());
}

TEST_F(DoorTest, BesideNoGatewayNothingIsMade) {
  const std::string typo = folder.file("typo");
  const auto store = Store::open_beside(typo);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::not_found);
  EXPECT_NE(store.error().message.find("no gateway was ever run in " + typo), std::string::npos);
  EXPECT_FALSE(io::path_exists(typo));
}

TEST_F(DoorTest, ReadyOnceThereIsMoney) {
  gateway = *try_start(9);
  io::HttpClient client;
  const auto ready = [&] { return *client.get(gateway->url() + "/ready"); };
  EXPECT_EQ(ready().status, 503);
  const auto poor = crypto::address_of(test_key(9));
  EXPECT_NE(ready().body.find("the account " + poor.to_string() + " has 0.00 available"),
            std::string::npos)
      << ready().body;
  EXPECT_NE(ready().body.find("deposit "), std::string::npos);
  deposit(poor, 3'000'000);
  EXPECT_EQ(ready().status, 200) << ready().body;
}

TEST_F(DoorTest, AFullGatewayStillSaysHowItIs) {
  options.streams = 1;
  ScriptedProvider& slow = add_provider({.waits_ms = 1'500});
  start();
  std::thread first([&] { EXPECT_EQ(post(chat_body()).status, 200); });
  EXPECT_TRUE(soon([&] { return slow.calls() > 0; }));
  const io::HttpReply refused = post(chat_body());
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.body.find("--streams"), std::string::npos) << refused.body;
  EXPECT_EQ(refused.headers.at("assay-wire"), "1");
  io::HttpClient client;
  for (const char* path : {"/health", "/ready", "/metrics"})
    EXPECT_EQ(client.get(gateway->url() + path)->status, 200) << path;
  first.join();
}

TEST(Allowance, FillsUpOverAMinuteAndNoFurther) {
  Allowance allowance(60, 0);
  allowance.use(60, 0);
  EXPECT_EQ(allowance.wait_ms(1, 0), 1000);
  EXPECT_EQ(allowance.wait_ms(1, 1000), 0);
  EXPECT_DOUBLE_EQ(allowance.left(30'000), 30);
  EXPECT_DOUBLE_EQ(allowance.left(600'000), 60);
  allowance.use(180, 600'000);  // overrun
  EXPECT_EQ(allowance.wait_ms(1, 600'000), 121'000);
}

TEST(Period, DaysAndMonthsAreUtc) {
  constexpr std::int64_t kMoment = 1'772'323'200 + 86'399;  // 2026-03-01T23:59:59Z
  EXPECT_EQ(period_start(Period::ever, kMoment), 0);
  EXPECT_EQ(period_start(Period::day, kMoment), 1'772'323'200);
  EXPECT_EQ(period_start(Period::month, kMoment + 5 * 86'400), 1'772'323'200);
  EXPECT_EQ(period_start(Period::month, 1'772'323'199), 1'769'904'000);  // 2026-02-01
}

}  // namespace
}  // namespace assay::services
