// The gateway against providers that really compute, over HTTP, and an embedded ledger.
#include "services/gateway/gateway.hpp"

#include <sys/stat.h>
#include <thread>

#include "base/hex.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "protocol/files.hpp"
#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

TEST_F(GatewayTest, AnswersAuditsAndPays) {
  ScriptedProvider& provider = add_provider({});
  start();
  const io::HttpReply reply = post(chat_body());
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object answer = parse_object(reply.body);
  EXPECT_EQ(answer.at("object"), "chat.completion");
  EXPECT_EQ(answer.at("assay").at("provider"), json::value(provider.address().to_string()));
  EXPECT_EQ(answer.at("assay").at("audit"), "pending");
  EXPECT_EQ(reply.headers.at("x-assay-receipt"), receipt_of(answer));

  const json::object row = await_stage(receipt_of(answer), "settled");
  EXPECT_EQ(row.at("audit"), "match");
  const auto amount = *market::parse_money(std::string(row.at("amount").as_string()));
  EXPECT_GT(amount, 0);
  EXPECT_TRUE(soon([&] { return paid(provider) == amount; })) << paid(provider);
  EXPECT_EQ(answer.at("assay").at("amount"), row.at("amount"));
  EXPECT_TRUE(ledger->totals()->conserved());

  const auto file =
      protocol::receipt_file_from_text(json::dump(get("/assay/receipts/" + receipt_of(answer))));
  ASSERT_TRUE(file) << file.error().message;
  const std::string opening_path =
      options.data_directory + "/openings/" + receipt_of(answer) + ".json";
  struct stat info{};
  ASSERT_EQ(::stat(opening_path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0600u);
  EXPECT_EQ(get("/assay/openings/" + receipt_of(answer)).at("assay"), "opening/0");
}

// Where the client names no limit, the cap that is signed does not grow with the context.
TEST_F(GatewayTest, WithoutALimitAnAnswerIsBoundedByTheDefaultAndTheContext) {
  json::object body = chat_body();
  body.erase("max_tokens");
  {
    ScriptedProvider& small = add_provider({});
    start();
    ASSERT_EQ(post(body).status, 200);
    const protocol::Request r = small.requests().back();
    EXPECT_EQ(r.max_tokens, 64 - r.prompt_count);
    gateway.reset();
  }
  ASSERT_TRUE(io::write_file_atomic(folder.file("models/toy.gguf"), roomy_toy().file));
  ScriptedProvider& roomy = add_provider({.sells = &roomy_toy(), .computes = &roomy_toy()});
  start();
  ASSERT_EQ(post(body).status, 200);
  EXPECT_EQ(roomy.requests().back().max_tokens, 4096u);
  body["max_tokens"] = 5000;
  ASSERT_EQ(post(body).status, 200);
  EXPECT_EQ(roomy.requests().back().max_tokens, 5000u);
}

TEST_F(GatewayTest, OneLeaseCarriesManyRequestsInSequence) {
  ScriptedProvider& provider = add_provider({});
  start();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(post(chat_body()).status, 200);
  const auto requests = provider.requests();
  ASSERT_EQ(requests.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(requests[i].lease, requests[0].lease);
    EXPECT_EQ(requests[i].sequence, i + 1);
  }
}

TEST_F(GatewayTest, StreamsTheSameText) {
  add_provider({});
  start();
  const std::string whole = text_of(parse_object(post(chat_body()).body));
  json::object body = chat_body();
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const io::HttpReply reply = post(body);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_TRUE(reply.headers.at("content-type").starts_with("text/event-stream"));
  const Streamed streamed = parse_stream(reply.body);
  EXPECT_TRUE(streamed.done);
  EXPECT_EQ(streamed.text, whole);
  ASSERT_GE(streamed.chunks.size(), 3u);
  EXPECT_EQ(streamed.chunks.front().at("choices").at(0).at("delta").at("role"), "assistant");
  const json::object& last = streamed.chunks.back();
  EXPECT_EQ(last.at("choices").as_array().size(), 0u);
  EXPECT_EQ(last.at("usage").at("total_tokens").to_number<int>(),
            last.at("usage").at("prompt_tokens").to_number<int>() +
                last.at("usage").at("completion_tokens").to_number<int>());
  EXPECT_TRUE(last.at("assay").at("receipt").is_string());
  for (const json::object& chunk : streamed.chunks)
    EXPECT_EQ(chunk.at("object"), "chat.completion.chunk");
}

TEST_F(GatewayTest, SeedsDecideSampledAnswers) {
  ScriptedProvider& provider = add_provider({});
  start();
  json::object body = chat_body();
  body["temperature"] = 1;
  body["seed"] = 42;
  const std::string first = text_of(parse_object(post(body).body));
  EXPECT_EQ(text_of(parse_object(post(body).body)), first);
  body.erase("seed");
  ASSERT_EQ(post(body).status, 200);
  ASSERT_EQ(post(body).status, 200);
  const auto requests = provider.requests();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(requests[0].seed, 42u);
  EXPECT_NE(requests[2].seed, requests[3].seed);
}

TEST_F(GatewayTest, StopStringsAreTrimmedAndTheRestIsNotPaidFor) {
  add_provider({});
  start();
  json::object body = talkative_body();
  const std::string whole = text_of(parse_object(post(body).body));
  const std::string stop = whole.substr(2, 2);
  body["stop"] = stop;
  const json::object answer = parse_object(post(body).body);
  EXPECT_EQ(text_of(answer), whole.substr(0, whole.find(stop)));
  EXPECT_EQ(answer.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(await_stage(receipt_of(answer), "settled").at("audit"), "match");
}

TEST_F(GatewayTest, TextCompletionsTakeTextAndIds) {
  add_provider({});
  start();
  const json::object text{
      {"model", "toy"}, {"prompt", "abc"}, {"max_tokens", 3}, {"temperature", 0}};
  const io::HttpReply reply = post(text, "/v1/completions");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object answer = parse_object(reply.body);
  EXPECT_EQ(answer.at("object"), "text_completion");
  EXPECT_TRUE(answer.at("choices").at(0).at("text").is_string());
  EXPECT_EQ(
      post({{"model", "toy"}, {"prompt", json::array{1, 8}}, {"max_tokens", 3}}, "/v1/completions")
          .status,
      200);
  EXPECT_EQ(error_code(post({{"model", "toy"}, {"prompt", json::array{1, 99}}}, "/v1/completions")),
            "invalid_value");
}

TEST_F(GatewayTest, MismatchIsDisputedNamedAndNotUsedAgain) {
  ScriptedProvider& cheat =
      add_provider({.computes = &worse_toy(), .price_in = 100'000, .price_out = 200'000});
  ScriptedProvider& honest = add_provider({});
  start();
  const json::object answer = parse_object(post(chat_body()).body);
  EXPECT_EQ(answer.at("assay").at("provider"), json::value(cheat.address().to_string()));
  const json::object refunded = await_stage(receipt_of(answer), "refunded");
  EXPECT_EQ(refunded.at("audit"), "mismatch");
  EXPECT_TRUE(refunded.at("divergence").at("position").is_number());
  EXPECT_TRUE(refunded.at("divergence").at("layer").is_number()) << json::dump(refunded);
  const json::object opening = get("/assay/openings/" + receipt_of(answer));
  EXPECT_FALSE(opening.at("position_roots").as_array().empty());
  EXPECT_EQ(opening.at("positions").as_array().size(), 1u);
  // The provider played its own lie to the end: one operation convicted it, without its host.
  const auto dispute =
      ledger->dispute(*array_from_hex<32>(std::string(refunded.at("dispute").as_string())));
  ASSERT_TRUE(dispute) << dispute.error().message;
  EXPECT_NE(dispute->reason.find("position"), std::string::npos) << dispute->reason;
  EXPECT_EQ(paid(cheat), 0);
  EXPECT_EQ(ledger->account(cheat.address())->convictions, 1u);
  EXPECT_TRUE(ledger->totals()->conserved());

  const json::object second = parse_object(post(chat_body()).body);
  EXPECT_EQ(second.at("assay").at("provider"), json::value(honest.address().to_string()));
  EXPECT_EQ(cheat.calls(), 1);
}

// It plays along and falls silent, at once or half way: the ledger's clock convicts it.
TEST_F(GatewayTest, SilenceInADisputeIsConvictedByTheClock) {
  for (const std::size_t moves : {std::size_t{0}, std::size_t{3}}) {
    ScriptedProvider& cheat = add_provider({.computes = &worse_toy(),
                                            .price_in = 100'000,
                                            .price_out = 200'000,
                                            .silent_after = moves});
    start();
    const json::object answer = parse_object(post(chat_body()).body);
    EXPECT_EQ(answer.at("assay").at("provider"), json::value(cheat.address().to_string()));
    await_stage(receipt_of(answer), "disputed");
    const auto open = ledger->account(cheat.address())->open_disputes;
    ASSERT_EQ(open.size(), 1u);
    EXPECT_EQ(ledger->game(open.front())->transcript.size(), 2 * moves);
    clock.ms += (static_cast<std::int64_t>(ledger->info()->parameters.move_s) + 1) * 1'000;
    await_stage(receipt_of(answer), "refunded");
    EXPECT_EQ(ledger->account(cheat.address())->convictions, 1u);
    EXPECT_EQ(paid(cheat), 0);
    EXPECT_TRUE(ledger->totals()->conserved());
  }
}

// What was not drawn waits for the hold, and is looked at when its provider is convicted meanwhile.
TEST_F(GatewayTest, WhatWasNotDrawnIsHeld) {
  ScriptedProvider& provider = add_provider({});
  options.audit_rate = 0.0;
  options.settle_hold_s = 100;
  start();
  const json::object answer = parse_object(post(chat_body()).body);
  await_stage(receipt_of(answer), "receipted");
  clock.ms += 99'000;
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_EQ(await_stage(receipt_of(answer), "receipted").at("audit"), "not_drawn");
  EXPECT_EQ(paid(provider), 0);
  // From when it was first looked at, which may have been after the clock was put forward.
  clock.ms += 100'000;
  await_stage(receipt_of(answer), "settled");
}

TEST_F(GatewayTest, VerifyBeforeStreamShowsOnlyWhatMatched) {
  ScriptedProvider& cheat =
      add_provider({.computes = &worse_toy(), .price_in = 100'000, .price_out = 200'000});
  ScriptedProvider& honest = add_provider({});
  options.audit_rate = 0.0;
  start();
  json::object body = chat_body();
  body["verification"] = "verify-before-stream";
  const json::object answer = parse_object(post(body).body);
  EXPECT_EQ(answer.at("assay").at("provider"), json::value(honest.address().to_string()));
  EXPECT_EQ(answer.at("assay").at("audit"), "match");
  EXPECT_EQ(answer.at("assay").at("earlier").at(0).at("provider"),
            json::value(cheat.address().to_string()));
  EXPECT_EQ(answer.at("assay").at("earlier").at(0).at("audit"), "mismatch");
  const std::string shown = text_of(answer);
  EXPECT_EQ(text_of(parse_object(post(chat_body()).body)), shown);
}

TEST_F(GatewayTest, NotDrawnIsPaidWithoutAudit) {
  ScriptedProvider& provider = add_provider({});
  options.audit_rate = 0.0;
  start();
  const json::object answer = parse_object(post(chat_body()).body);
  EXPECT_EQ(answer.at("assay").at("audit"), "not_drawn");
  await_stage(receipt_of(answer), "settled");
  EXPECT_TRUE(soon([&] { return paid(provider) > 0; }));
}

TEST_F(GatewayTest, UnreachableAndRefusingProvidersAreReplaced) {
  ScriptedProvider& gone = add_provider({.price_in = 100'000, .price_out = 100'000});
  ScriptedProvider& busy =
      add_provider({.price_in = 200'000, .price_out = 200'000, .refuse = true});
  ScriptedProvider& good = add_provider({});
  gone.stop();
  start();
  const io::HttpReply reply = post(chat_body());
  ASSERT_EQ(reply.status, 200) << reply.body;
  const json::object answer = parse_object(reply.body);
  EXPECT_EQ(answer.at("assay").at("provider"), json::value(good.address().to_string()));
  EXPECT_EQ(answer.at("assay").at("earlier").as_array().size(), 2u);
  EXPECT_EQ(busy.calls(), 1);

  // Who failed just now is not asked again at once.
  ASSERT_EQ(post(chat_body()).status, 200);
  EXPECT_EQ(busy.calls(), 1);

  json::object pinned = chat_body();
  pinned["provider"] = {{"order", json::array{busy.address().to_string()}},
                        {"allow_fallbacks", false}};
  const io::HttpReply refused = post(pinned);
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_EQ(busy.calls(), 2);
  // Nothing was begun: a client library may repeat it by itself, but not at once.
  EXPECT_EQ(refused.headers.at("x-should-retry"), "true");
  EXPECT_EQ(refused.headers.at("retry-after"), "2");
  pinned["provider"] = {{"order", json::array{gone.address().to_string()}},
                        {"allow_fallbacks", false}};
  EXPECT_EQ(post(pinned).headers.at("x-should-retry"), "false");
}

TEST_F(GatewayTest, AnotherProviderContinuesMidStream) {
  ScriptedProvider& whole = add_provider({});
  start();
  json::object body = talkative_body();
  const std::string expected = text_of(parse_object(post(body).body));
  const protocol::Request alone = whole.requests().back();

  ScriptedProvider& dies =
      add_provider({.price_in = 100'000, .price_out = 100'000, .die_after = 3});
  body["stream"] = true;
  const io::HttpReply reply = post(body);
  const Streamed streamed = parse_stream(reply.body);
  EXPECT_TRUE(streamed.done) << reply.body;
  EXPECT_EQ(streamed.text, expected);
  EXPECT_EQ(dies.calls(), 1);
  const protocol::Request rest = whole.requests().back();
  EXPECT_EQ(rest.continuation, 3u);
  EXPECT_EQ(rest.prompt_count, alone.prompt_count + 3);
  EXPECT_EQ(rest.max_tokens, 9u);
  EXPECT_EQ(rest.seed, alone.seed);
  const json::value& earlier = streamed.chunks.back().at("assay").at("earlier").at(0);
  EXPECT_TRUE(earlier.at("receipt").is_null());
  EXPECT_EQ(earlier.at("progress").at("count"), 2);
  EXPECT_NE(earlier.at("amount"), "0.00");
  // Both parts are owed: the receipt at once, the progress once its provider stays away.
  EXPECT_EQ(await_stage("", "settled").at("audit"), "match");
  clock.ms += 120'000;
  const std::int64_t deadline_ms = io::steady_ms() + 60'000;
  while (paid(dies) == 0 && io::steady_ms() < deadline_ms)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GT(paid(dies), 0);
}

TEST_F(GatewayTest, DeathWithoutASuccessorIsAnErrorEvent) {
  ScriptedProvider& provider = add_provider({});
  start();
  json::object body = talkative_body();
  provider.script.die_after = 3;
  body["stream"] = true;
  const Streamed streamed = parse_stream(post(body).body);
  EXPECT_FALSE(streamed.done);
  EXPECT_FALSE(streamed.error.empty());
}

TEST_F(GatewayTest, NoProviderFitsSaysWhyAndWhatWouldHelp) {
  add_provider({.vram_mib = 8192});
  add_provider({.sells = &worse_toy(), .computes = &worse_toy()});
  start();
  json::object body = chat_body();
  body["provider"] = {{"min_vram_gb", 24}};
  const io::HttpReply reply = post(body);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(error_code(reply), "no_provider_fits");
  EXPECT_EQ(reply.headers.at("x-should-retry"), "false");
  const json::object parsed = parse_object(reply.body);
  const auto& error = parsed.at("error").as_object();
  ASSERT_TRUE(error.at("relaxation").is_object()) << reply.body;
  const auto& refused = error.at("refused").as_array();
  ASSERT_EQ(refused.size(), 2u);
  std::string all = json::dump(refused);
  EXPECT_NE(all.find("\"vram\""), std::string::npos) << all;
  EXPECT_NE(all.find("other weights"), std::string::npos) << all;
  EXPECT_EQ(error.at("relaxation").at("change").at("min_vram_mib").to_number<int>(), 8192);

  const json::object screen = get("/assay/screen?model=toy&max_price_out=0.50");
  EXPECT_EQ(screen.at("fitting").as_array().size(), 0u);
  ASSERT_TRUE(screen.at("relaxation").is_object()) << json::dump(screen);
  EXPECT_EQ(screen.at("relaxation").at("change").at("max_price").at("completion"), "2.00");
  EXPECT_EQ(get("/assay/screen?model=toy").at("fitting").as_array().size(), 1u);
}

TEST_F(GatewayTest, ScreeningRefusesWhatItDoesNotKnow) {
  add_provider({});
  ASSERT_TRUE(io::write_file_atomic(folder.file("models/other.gguf"), worse_toy().file));
  start();
  const auto error = [&](const std::string& query) {
    const json::object reply = get("/assay/screen" + query);
    const auto* said = reply.if_contains("error");
    return said == nullptr ? json::object{} : said->as_object();
  };
  const json::object unknown = error("?model=toy&max_price=1");
  EXPECT_EQ(unknown.at("code"), "unknown_parameter");
  EXPECT_NE(text_at(unknown, "message").find("max_price_in, max_price_out"), std::string::npos);
  EXPECT_EQ(error("").at("code"), "missing_required_parameter");
  EXPECT_EQ(error("?model=nosuch").at("code"), "model_not_found");
  EXPECT_EQ(error("?model=toy&verification=foo").at("param"), "verification");
  const auto reason = [&](const std::string& query) {
    return get("/assay/screen?model=toy" + query)
        .at("refused")
        .at(0)
        .at("reasons")
        .at(0)
        .at("code");
  };
  EXPECT_EQ(reason("&min_vram_gb=24"), "vram");
  EXPECT_EQ(reason("&verification=tee"), "evidence");
}

TEST_F(GatewayTest, MoneyThatIsShortSaysHowMuchIsNeeded) {
  add_provider({});
  options.escrow = 5;
  start();
  const io::HttpReply small = post(chat_body());
  EXPECT_EQ(small.status, 402) << small.body;
  EXPECT_EQ(error_code(small), "escrow_too_small");
  EXPECT_TRUE(parse_object(small.body).at("error").at("needed").is_string());

  options.escrow = 1'000'000;
  ASSERT_TRUE(ledger->submit(sign(
      protocol::Withdraw{
          .account = crypto::address_of(test_key(2)), .amount = 9'999'995, .nonce = ++nonce},
      2)));
  start();
  const io::HttpReply poor = post(chat_body());
  EXPECT_EQ(poor.status, 402) << poor.body;
  EXPECT_EQ(error_code(poor), "account_too_small");
}

// The account has no more than a dispute's bond; one provider's lease has room.
TEST_F(GatewayTest, MoneyInALeaseIsSpentWhereThereIsNoneForAnother) {
  ScriptedProvider& cheap = add_provider({.price_in = 100'000, .price_out = 100'000});
  ScriptedProvider& leased = add_provider({});
  options.attempts = 1;
  start();
  json::object body = chat_body();
  body["provider"] = {{"only", json::array{leased.address().to_string()}}};
  ASSERT_EQ(post(body).status, 200);
  const auto buyer = crypto::address_of(test_key(2));
  ASSERT_TRUE(ledger->submit(sign(
      protocol::Withdraw{
          .account = buyer, .amount = ledger->account(buyer)->available - 1, .nonce = ++nonce},
      2)));
  const io::HttpReply reply = post(chat_body());
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(parse_object(reply.body).at("assay").at("provider"),
            json::value(leased.address().to_string()));

  // Nobody else will do: what is held where, and what a lease takes.
  body["provider"] = {{"only", json::array{cheap.address().to_string()}}};
  const io::HttpReply refused = post(body);
  EXPECT_EQ(refused.status, 402) << refused.body;
  const json::object error = parse_object(refused.body).at("error").as_object();
  EXPECT_GT(*market::parse_money(text_at(error, "held_in_leases")), 900'000);
  const auto deposit_advised = *market::parse_money(text_at(error, "deposit"));
  EXPECT_EQ(deposit_advised, 1'000'000 + ledger->info()->parameters.dispute_bond - 1);
  EXPECT_EQ(cheap.calls(), 0);
  deposit(buyer, deposit_advised);
  EXPECT_EQ(post(body).status, 200);
  EXPECT_EQ(ledger->lease(cheap.requests()[0].lease)->terms.escrow, 1'000'000);
}

TEST_F(GatewayTest, ASmallLeaseIsToppedUp) {
  ScriptedProvider& provider = add_provider({});
  options.escrow = 60;
  start();
  for (int i = 0; i < 6; ++i) {
    const io::HttpReply reply = post(chat_body());
    ASSERT_EQ(reply.status, 200) << reply.body;
    await_stage(receipt_of(parse_object(reply.body)), "settled");
  }
  const auto requests = provider.requests();
  EXPECT_EQ(requests.front().lease, requests.back().lease);
  const auto lease = ledger->lease(requests.front().lease);
  ASSERT_TRUE(lease);
  EXPECT_GT(lease->paid, 60);
}

TEST_F(GatewayTest, ModelsAndErrorsInOpenAIsShape) {
  start();
  const json::object models = get("/v1/models");
  EXPECT_EQ(models.at("object"), "list");
  EXPECT_EQ(models.at("data").at(0).at("id"), "toy");
  EXPECT_EQ(get("/v1/models/toy").at("object"), "model");
  EXPECT_EQ(get("/v1/models/nope").at("error").at("code"), "model_not_found");
  json::object body = chat_body();
  body["model"] = "nope";
  EXPECT_EQ(post(body).status, 404);
  body = chat_body();
  body["max_tokens"] = 1000;
  EXPECT_EQ(error_code(post(body)), "context_length_exceeded");
  EXPECT_EQ(error_code(post(chat_body())), "no_provider_fits");
  EXPECT_EQ(get("/health").at("status"), "ok");
}

TEST_F(GatewayTest, WebPagesOfOtherOriginsAreRefused) {
  start();
  io::HttpClient client;
  EXPECT_EQ(client.get(gateway->url() + "/v1/models", {{"Origin", "https://evil.example"}})->status,
            403);
  EXPECT_EQ(
      client.get(gateway->url() + "/v1/models", {{"Origin", "http://localhost:3000"}})->status,
      200);
}

}  // namespace
}  // namespace assay::services
