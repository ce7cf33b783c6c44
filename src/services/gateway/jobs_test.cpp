// Requests with an Idempotency-Key: one answer and one bill, whatever happens in between. And
// several answers to one request.
#include "services/gateway/jobs.hpp"

#include <filesystem>
#include <set>
#include <thread>

#include "io/sqlite.hpp"
#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

struct JobsTest : GatewayTest {
  io::HttpReply ask(const std::string& key, const json::object& body) {
    io::HttpClient client;
    return *client.post_json(gateway->url() + "/v1/chat/completions", json::dump(body),
                             {{"Idempotency-Key", key}});
  }
  json::object sampled() {
    json::object body = chat_body();
    body["temperature"] = 1;
    body["max_tokens"] = 12;
    return body;
  }
  void forget_answers() {
    for (const auto& file :
         std::filesystem::directory_iterator(options.data_directory + "/answers"))
      std::filesystem::remove(file);
  }
};

TEST_F(JobsTest, TheSameKeyIsTheSameAnswerAndOneBillAlsoAfterARestart) {
  ScriptedProvider& provider = add_provider({});
  start();
  const json::object body = sampled();  // no seed: without the key, each answer is another
  const io::HttpReply first = ask("order-1", body);
  ASSERT_EQ(first.status, 200) << first.body;
  EXPECT_FALSE(first.headers.contains("idempotent-replayed"));
  const io::HttpReply second = ask("order-1", body);
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(second.headers.at("idempotent-replayed"), "true");
  EXPECT_EQ(second.headers.at("x-assay-receipt"), first.headers.at("x-assay-receipt"));
  start();
  EXPECT_EQ(ask("order-1", body).body, first.body);
  EXPECT_EQ(provider.calls(), 1);
  EXPECT_NE(ask("order-2", body).body, first.body);
  EXPECT_EQ(provider.calls(), 2);
}

TEST_F(JobsTest, AnotherBodyUnderTheKeyIsAConflict) {
  ScriptedProvider& provider = add_provider({});
  start();
  ASSERT_EQ(ask("order-1", chat_body()).status, 200);
  json::object other = chat_body();
  other["max_tokens"] = 5;
  const io::HttpReply reply = ask("order-1", other);
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(error_code(reply), "idempotency_key_reused");
  EXPECT_EQ(provider.calls(), 1);
  EXPECT_EQ(error_code(ask("with space", other)), "invalid_idempotency_key");
  EXPECT_EQ(error_code(ask(std::string(256, 'a'), other)), "invalid_idempotency_key");
}

TEST_F(JobsTest, AKeyUnderWhichNothingWasSignedIsFreeAgain) {
  start();  // no provider
  EXPECT_EQ(error_code(ask("order-1", chat_body())), "no_provider_fits");
  json::object wrong = chat_body();
  wrong["model"] = "nope";
  EXPECT_EQ(ask("order-1", wrong).status, 404);
  add_provider({});
  EXPECT_EQ(ask("order-1", chat_body()).status, 200);
}

TEST_F(JobsTest, AStreamIsReplayedByteForByte) {
  ScriptedProvider& provider = add_provider({});
  start();
  json::object body = talkative_body();
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const int before = provider.calls();
  const io::HttpReply first = ask("order-1", body);
  ASSERT_TRUE(parse_stream(first.body).done) << first.body;
  const io::HttpReply second = ask("order-1", body);
  EXPECT_EQ(second.body, first.body);
  EXPECT_TRUE(second.headers.at("content-type").starts_with("text/event-stream"));
  EXPECT_EQ(provider.calls(), before + 1);
}

TEST_F(JobsTest, TwoAtOnceAreOneRequest) {
  ScriptedProvider& provider = add_provider({});
  start();
  const json::object body = sampled();
  std::vector<std::string> answers(4);
  {
    std::vector<std::jthread> clients;
    for (std::string& answer : answers)
      clients.emplace_back([&] { answer = ask("order-1", body).body; });
  }
  EXPECT_EQ(std::set<std::string>(answers.begin(), answers.end()).size(), 1u) << answers[0];
  EXPECT_EQ(provider.calls(), 1);
}

TEST_F(JobsTest, AClientThatLeavesFindsItsAnswerLater) {
  ScriptedProvider& provider = add_provider({});
  start();
  json::object body = talkative_body();
  body["stream"] = true;
  const int before = provider.calls();
  io::HttpClient client;
  const auto left =
      client.post_stream(gateway->url() + "/v1/chat/completions", json::dump(body),
                         [](std::string_view) { return false; }, {{"Idempotency-Key", "order-1"}});
  EXPECT_EQ(left.error().code, Errc::cancelled);
  const io::HttpReply again = ask("order-1", body);
  const Streamed whole = parse_stream(again.body);
  EXPECT_TRUE(whole.done) << again.body;
  body["stream"] = false;
  EXPECT_EQ(whole.text, text_of(parse_object(post(body).body)));
  EXPECT_EQ(provider.calls(), before + 2);  // one for the key, one without it
}

// Killed after the receipt came and before the answer was kept: nothing is bought again.
TEST_F(JobsTest, AReceiptThatIsThereIsTheAnswer) {
  ScriptedProvider& provider = add_provider({});
  start();
  const json::object body = sampled();
  const json::object first = parse_object(ask("order-1", body).body);
  gateway.reset();
  forget_answers();
  start();
  const json::object second = parse_object(ask("order-1", body).body);
  EXPECT_EQ(provider.calls(), 1);
  EXPECT_EQ(text_of(second), text_of(first));
  EXPECT_EQ(second.at("id"), first.at("id"));
  EXPECT_EQ(receipt_of(second), receipt_of(first));
  EXPECT_EQ(second.at("usage"), first.at("usage"));
}

// Killed in mid-answer, by what is on disk then: a signed request, its secrets, some tokens. The
// provider has finished it meanwhile, or has died; either way the text is the one it would have
// been.
TEST_F(JobsTest, AnAnswerCutOffContinues) {
  add_provider({});
  start();
  json::object body = talkative_body();
  const std::string whole = text_of(parse_object(post(body).body));
  for (const bool finished : {true, false}) {
    SCOPED_TRACE(finished);
    // Cheaper than all before it: asked first.
    add_provider({.price_in = finished ? 900'000 : 800'000,
                  .die_after = 3,
                  .lose_receipt = finished,
                  .forget_receipt = !finished});
    options.attempts = 1;
    start();
    const std::string key = finished ? "finished" : "died";
    const io::HttpReply cut = ask(key, body);
    if (cut.status == 200) {
      EXPECT_EQ(text_of(parse_object(cut.body)), whole);
      continue;
    }
    EXPECT_GE(cut.status, 500) << cut.body;
    add_provider({});
    options.attempts = 4;
    start();
    const io::HttpReply reply = ask(key, body);
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(text_of(parse_object(reply.body)), whole);
    EXPECT_EQ(ask(key, body).body, reply.body);
  }
  EXPECT_TRUE(ledger->totals()->conserved());
}

TEST_F(JobsTest, AProviderThatIsGoneIsWaitedForTwoMinutes) {
  add_provider({});
  start();
  json::object body = talkative_body();
  body["provider"] = {{"sort", "price"}};
  const std::string whole = text_of(parse_object(post(body).body));
  ScriptedProvider& gone = add_provider({.price_in = 900'000, .die_after = 1});
  options.attempts = 1;
  options.pick_up_ms = 100;
  start();
  EXPECT_GE(ask("gone", body).status, 500);
  gone.stop();
  options.attempts = 4;
  start();
  const int before = providers[0]->calls();
  const io::HttpReply pending = ask("gone", body);
  EXPECT_EQ(error_code(pending), "earlier_try_pending");
  EXPECT_NE(pending.body.find("in 121 s another one is asked"), std::string::npos) << pending.body;
  EXPECT_EQ(providers[0]->calls(), before);
  clock.ms += 121'000;
  const io::HttpReply reply = ask("gone", body);
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(text_of(parse_object(reply.body)), whole);
}

TEST_F(JobsTest, SeveralAnswersAreSeveralRequestsWithSeedsInOrder) {
  ScriptedProvider& provider = add_provider({});
  start();
  json::object body = sampled();
  body["seed"] = 7;
  body["n"] = 3;
  const json::object answer = parse_object(post(body).body);
  const json::array& choices = answer.at("choices").as_array();
  ASSERT_EQ(choices.size(), 3u) << json::dump(answer);
  EXPECT_EQ(provider.calls(), 3);
  body["n"] = 1;
  std::int64_t completion = 0, prompt = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    body["seed"] = 7 + i;
    const json::object alone = parse_object(post(body).body);
    EXPECT_EQ(choices[i].at("message").at("content"), json::value(text_of(alone)));
    EXPECT_EQ(choices[i].at("index").to_number<std::size_t>(), i);
    EXPECT_EQ(choices[i].at("finish_reason"), alone.at("choices").at(0).at("finish_reason"));
    completion += alone.at("usage").at("completion_tokens").to_number<std::int64_t>();
    prompt += alone.at("usage").at("prompt_tokens").to_number<std::int64_t>();
    EXPECT_TRUE(answer.at("assay").at("choices").at(i).at("receipt").is_string());
  }
  EXPECT_EQ(answer.at("usage").at("completion_tokens").to_number<std::int64_t>(), completion);
  EXPECT_EQ(answer.at("usage").at("prompt_tokens").to_number<std::int64_t>(), prompt);
}

TEST_F(JobsTest, SeveralStreamsAreToldApartByIndex) {
  add_provider({});
  start();
  json::object body = talkative_body();
  body["n"] = 3;
  const json::object whole = parse_object(post(body).body);
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  const Streamed streamed = parse_stream(post(body).body);
  ASSERT_TRUE(streamed.done);
  std::vector<std::string> texts(3);
  int ended = 0;
  for (const json::object& chunk : streamed.chunks)
    for (const json::value& choice : chunk.at("choices").as_array()) {
      const auto index = choice.at("index").to_number<std::size_t>();
      const json::object& delta = choice.at("delta").as_object();
      if (const auto* content = delta.if_contains("content"))
        texts.at(index) += std::string_view(content->as_string());
      ended += choice.at("finish_reason").is_string() ? 1 : 0;
    }
  EXPECT_EQ(ended, 3);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(json::value(texts[i]), whole.at("choices").at(i).at("message").at("content"));
  EXPECT_EQ(streamed.chunks.back().at("usage"), whole.at("usage"));
}

}  // namespace
}  // namespace assay::services
