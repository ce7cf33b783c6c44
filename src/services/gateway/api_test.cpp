#include <bit>
#include <gtest/gtest.h>

#include "protocol/typed.hpp"
#include "services/gateway/api_render.hpp"
#include "services/gateway/api_request.hpp"

namespace assay::services {
namespace {

constexpr std::string_view kBase = R"("model":"tern","messages":[{"role":"user","content":"hi"}])";

ApiResult<ApiRequest> chat(std::string_view more) {
  return parse_chat_request(fmt::format("{{{}{}{}}}", kBase, more.empty() ? "" : ",", more));
}

TEST(ApiRequest, DefaultsAreOpenAIs) {
  const auto request = chat("");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "tern");
  protocol::Request nothing;
  nothing.temperature_bits = std::bit_cast<std::uint32_t>(1.0f);
  EXPECT_EQ(protocol::struct_hash(request->sampling), protocol::struct_hash(nothing));
  EXPECT_FALSE(request->seed || request->max_tokens || request->stream);
  const auto& messages = std::get<0>(request->prompt);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].content, "hi");
}

TEST(ApiRequest, ReadsWhatAClientSends) {
  const auto request = chat(
      R"("temperature":0.5,"top_p":0.9,"seed":-1,"max_completion_tokens":7,"stop":["a","b"],
         "stream":true,"stream_options":{"include_usage":true},"n":1,"user":"u","store":true,
         "metadata":{"k":"v"},"tools":[],"logprobs":false,"frequency_penalty":0,
         "response_format":{"type":"text"},"verification":"verify-before-stream",
         "provider":{"max_price":{"prompt":0.1,"completion":"2.50"},"min_vram_gb":24,
           "regions":["eu"],"only":["0x00000000000000000000000000000000000000aa"],
           "allow_fallbacks":false,"max_latency_ms":300,"quantizations":["Q8_0"],
           "min_stake":"2.5","sort":"throughput"})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(std::bit_cast<float>(request->sampling.temperature_bits), 0.5f);
  EXPECT_EQ(std::bit_cast<float>(request->sampling.top_p_bits), 0.9f);
  EXPECT_EQ(request->sampling.logprobs, 0u);
  EXPECT_EQ(request->seed, 0xffffffffffffffffu);
  EXPECT_EQ(request->max_tokens, 7u);
  EXPECT_EQ(request->stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(request->stream && request->include_usage);
  EXPECT_EQ(request->delivery, Delivery::verify_before_stream);
  EXPECT_EQ(request->routing.max_price_in, 100'000);
  EXPECT_EQ(request->routing.max_price_out, 2'500'000);
  EXPECT_EQ(request->routing.min_vram_mib, 24u * 1024);
  EXPECT_EQ(request->routing.only.size(), 1u);
  EXPECT_FALSE(request->routing.allow_fallbacks);
  EXPECT_EQ(request->routing.max_latency_ms, 300u);
  EXPECT_EQ(request->routing.quantizations, std::vector<std::string>{"Q8_0"});
  EXPECT_EQ(request->routing.min_stake, 2'500'000);
  EXPECT_EQ(request->routing.sort, market::Sort::throughput);
}

TEST(ApiRequest, VerificationIsOneSetting) {
  const auto proof = [](std::string_view text) {
    return chat(fmt::format(R"("provider":{{"verification":"{}"}})", text))->routing.proof;
  };
  EXPECT_TRUE(proof("audit").always_audited);
  EXPECT_TRUE(proof("tee").evidence);
  EXPECT_EQ(proof("replicate:3").replicas, 3u);
  EXPECT_EQ(proof("verify-before-stream").delivery, Delivery::verify_before_stream);
  EXPECT_EQ(chat(R"("provider":{"verification":"stream-then-verify"})")->delivery,
            Delivery::stream_then_verify);
  EXPECT_EQ(chat(R"("verification":"replicate:2")")->routing.proof.replicas, 2u);
  const auto latency = chat(R"("provider":{"max_latency_ms":{"first_token":9,"per_token":4}})");
  EXPECT_EQ(latency->routing.max_latency_ms, 9u);
  EXPECT_EQ(latency->routing.max_per_token_ms, 4u);
}

TEST(ApiRequest, GreedyIsTemperatureZeroAndWhatRoundsToIt) {
  EXPECT_EQ(chat(R"("temperature":0)")->sampling.temperature_bits, 0u);
  EXPECT_EQ(chat(R"("temperature":-0.0)")->sampling.temperature_bits, 0u);
  EXPECT_EQ(chat(R"("temperature":1e-8)")->sampling.temperature_bits, 0u);
}

// What is read is what is signed: every field, both spellings, nothing in two forms.
TEST(ApiRequest, Sampling) {
  const auto all = chat(
      R"("top_k":40,"min_p":0.05,"repetition_penalty":1.1,"presence_penalty":-2,
         "frequency_penalty":0.25,"logit_bias":{"7":-100,"3":1.5,"12":0},"logprobs":true,
         "top_logprobs":5)");
  ASSERT_TRUE(all) << all.error().message;
  const protocol::Request& s = all->sampling;
  EXPECT_EQ(s.top_k, 40u);
  EXPECT_EQ(std::bit_cast<float>(s.min_p_bits), 0.05f);
  EXPECT_EQ(std::bit_cast<float>(s.repetition_penalty_bits), 1.1f);
  EXPECT_EQ(std::bit_cast<float>(s.presence_penalty_bits), -2.0f);
  EXPECT_EQ(std::bit_cast<float>(s.frequency_penalty_bits), 0.25f);
  EXPECT_EQ(s.logit_bias,
            (std::vector<protocol::LogitBias>{{3, std::bit_cast<std::uint32_t>(1.5f)},
                                              {7, std::bit_cast<std::uint32_t>(-100.0f)}}));
  EXPECT_EQ(s.logprobs, 6u);
  EXPECT_EQ(chat(R"("logprobs":true)")->sampling.logprobs, 1u);
  EXPECT_EQ(chat(R"("logprobs":null,"top_logprobs":0)")->sampling.logprobs, 0u);
  EXPECT_EQ(chat(R"("top_k":-1)")->sampling.top_k, 0u);
  EXPECT_EQ(chat(R"("repeat_penalty":1.5)")->sampling.repetition_penalty_bits,
            std::bit_cast<std::uint32_t>(1.5f));
  EXPECT_TRUE(chat(R"("repeat_penalty":1.5,"repetition_penalty":1.5)"));
  for (const char* zero : {"min_p", "presence_penalty", "frequency_penalty"})
    EXPECT_EQ(protocol::struct_hash(chat(fmt::format(R"("{}":-0.0)", zero))->sampling),
              protocol::struct_hash(chat("")->sampling));
  const auto text = [](std::string_view logprobs) {
    return parse_text_request(
        fmt::format(R"({{"model":"m","prompt":"a","logprobs":{}}})", logprobs));
  };
  EXPECT_EQ(text("0")->sampling.logprobs, 1u);
  EXPECT_EQ(text("20")->sampling.logprobs, 21u);
  EXPECT_EQ(text("null")->sampling.logprobs, 0u);
  EXPECT_EQ(text("21").error().param, "logprobs");
  EXPECT_EQ(text("true").error().param, "logprobs");
}

TEST(ApiRequest, TextPartsAreJoinedAndDeveloperIsSystem) {
  const auto request = parse_chat_request(
      R"({"model":"m","messages":[{"role":"developer","content":[{"type":"text","text":"a"},
         {"type":"text","text":"b"}]},{"role":"assistant","content":"x","refusal":null,
         "tool_calls":null,"annotations":[]}]})");
  ASSERT_TRUE(request) << request.error().message;
  const auto& messages = std::get<0>(request->prompt);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[0].content, "ab");
}

TEST(ApiRequest, RefusesByName) {
  struct Case {
    std::string_view body, param, code;
  };
  for (const Case& c : {
           Case{R"("tools":[{"type":"web_search"}])", "tools[0].type", "unsupported_value"},
           Case{R"("tools":[{"type":"function","function":{"name":"a b"}}])",
                "tools[0].function.name", "invalid_value"},
           Case{R"("tool_choice":"required")", "tool_choice", "invalid_value"},
           Case{R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":)"
                R"({"type":"function","function":{"name":"g"}})",
                "tool_choice", "invalid_value"},
           Case{R"("tools":[{"type":"function","function":{"name":"f"}}],"response_format":)"
                R"({"type":"json_object"})",
                "response_format", "unsupported_parameter"},
           Case{R"("logprobs":1)", "logprobs", "invalid_value"},
           Case{R"("top_logprobs":2)", "top_logprobs", "invalid_value"},
           Case{R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "invalid_value"},
           Case{R"("logprobs":true,"top_logprobs":-1)", "top_logprobs", "invalid_value"},
           Case{R"("presence_penalty":2.1)", "presence_penalty", "invalid_value"},
           Case{R"("frequency_penalty":"much")", "frequency_penalty", "invalid_value"},
           Case{R"("repetition_penalty":0)", "repetition_penalty", "invalid_value"},
           Case{R"("repetition_penalty":10.5)", "repetition_penalty", "invalid_value"},
           Case{R"("repetition_penalty":1e-60)", "repetition_penalty", "invalid_value"},
           Case{R"("repetition_penalty":1,"repeat_penalty":2)", "repeat_penalty", "invalid_value"},
           Case{R"("top_k":-2)", "top_k", "invalid_value"},
           Case{R"("top_k":1.5)", "top_k", "invalid_value"},
           Case{R"("min_p":1.5)", "min_p", "invalid_value"},
           Case{R"("logit_bias":[1])", "logit_bias", "invalid_value"},
           Case{R"("logit_bias":{"1":101})", "logit_bias", "invalid_value"},
           Case{R"("logit_bias":{"one":1})", "logit_bias", "invalid_value"},
           Case{R"("logit_bias":{"01":1})", "logit_bias", "invalid_value"},
           Case{R"("logit_bias":{"-1":1})", "logit_bias", "invalid_value"},
           Case{R"("logit_bias":{"4294967296":1})", "logit_bias", "invalid_value"},
           Case{R"("logit_bias":{"1":"x"})", "logit_bias", "invalid_value"},
           Case{R"("response_format":{"type":"xml"})", "response_format.type", "invalid_value"},
           Case{R"("response_format":{"type":"json_schema"})", "response_format.json_schema",
                "missing_required_parameter"},
           Case{R"("n":17)", "n", "invalid_value"},
           Case{R"("nonsense":1)", "nonsense", "unknown_parameter"},
           Case{R"("prompt":"x")", "prompt", "unknown_parameter"},
           Case{R"("temperature":2.5)", "temperature", "invalid_value"},
           Case{R"("temperature":"hot")", "temperature", "invalid_value"},
           Case{R"("top_p":0)", "top_p", "invalid_value"},
           Case{R"("max_tokens":0)", "max_tokens", "invalid_value"},
           Case{R"("max_tokens":1.5)", "max_tokens", "invalid_value"},
           Case{R"("max_tokens":3,"max_completion_tokens":4)", "max_completion_tokens",
                "invalid_value"},
           Case{R"("seed":1.5)", "seed", "invalid_value"},
           Case{R"("stop":["a","b","c","d","e"])", "stop", "array_above_max_length"},
           Case{R"("stop":"")", "stop", "invalid_value"},
           Case{R"("stream_options":{"include_usage":true})", "stream_options", "invalid_value"},
           Case{R"("stream":"yes")", "stream", "invalid_value"},
           Case{R"("provider":{"speed":1})", "provider.speed", "unknown_parameter"},
           Case{R"("web_search_options":{})", "web_search_options", "unsupported_parameter"},
           Case{R"("provider":{"only":[]})", "provider.only", "invalid_value"},
           Case{R"("provider":{"regions":[]})", "provider.regions", "invalid_value"},
           Case{R"("provider":{"only":["bob"]})", "provider.only", "invalid_value"},
           Case{R"("provider":{"max_price":{"prompt":-1}})", "provider.max_price.prompt",
                "invalid_value"},
           Case{R"("verification":"never")", "verification", "invalid_value"},
           Case{R"("verification":"replicate:1")", "verification", "invalid_value"},
           Case{R"("verification":"replicate:9")", "verification", "invalid_value"},
           Case{R"("provider":{"verification":"replicate:x"})", "provider.verification",
                "invalid_value"},
           Case{R"("verification":"audit","provider":{"verification":"tee"})", "verification",
                "invalid_value"},
           Case{R"("provider":{"sort":"best"})", "provider.sort", "invalid_value"},
           Case{R"("provider":{"max_latency_ms":{"p99":1}})", "provider.max_latency_ms.p99",
                "unknown_parameter"},
           Case{R"("provider":{"max_latency_ms":0})", "provider.max_latency_ms", "invalid_value"},
       }) {
    const auto request = chat(c.body);
    ASSERT_FALSE(request) << c.body;
    EXPECT_EQ(request.error().status, 400) << c.body;
    EXPECT_EQ(request.error().param, c.param) << c.body;
    EXPECT_EQ(request.error().code, c.code) << c.body;
  }
}

TEST(ApiRequest, RefusesBrokenBodiesAndMessages) {
  EXPECT_EQ(parse_chat_request("{").error().code, "invalid_json");
  EXPECT_EQ(parse_chat_request("[]").error().code, "invalid_type");
  EXPECT_EQ(parse_chat_request(R"({"messages":[]})").error().param, "model");
  EXPECT_EQ(parse_chat_request(R"({"model":"m"})").error().param, "messages");
  EXPECT_EQ(parse_chat_request(R"({"model":"m","messages":[]})").error().param, "messages");
  const auto message = [](std::string_view m) {
    return parse_chat_request(fmt::format(R"({{"model":"m","messages":[{}]}})", m));
  };
  EXPECT_EQ(message(R"({"role":"critic","content":"x"})").error().param, "messages[0].role");
  EXPECT_EQ(message(R"({"role":"tool","content":"x"})").error().param, "messages[0].tool_call_id");
  EXPECT_EQ(message(R"({"role":"assistant","tool_calls":[{"id":"1","type":"function","function":)"
                    R"({"name":"f","arguments":"no"}}]})")
                .error()
                .param,
            "messages[0].tool_calls[0].function.arguments");
  EXPECT_EQ(message(R"({"role":"user"})").error().param, "messages[0].content");
  EXPECT_EQ(message(R"({"role":"user","content":7})").error().param, "messages[0].content");
  EXPECT_EQ(message(R"({"role":"user","content":[{"type":"image_url"}]})").error().code,
            "unsupported_value");
  EXPECT_EQ(message(R"({"role":"user","content":"x","name":"bob"})").error().param, "messages[0]");
}

TEST(ApiRequest, TextPrompts) {
  EXPECT_EQ(std::get<1>(parse_text_request(R"({"model":"m","prompt":"a"})")->prompt), "a");
  EXPECT_EQ(std::get<1>(parse_text_request(R"({"model":"m","prompt":["a"]})")->prompt), "a");
  EXPECT_EQ(std::get<2>(parse_text_request(R"({"model":"m","prompt":[1,2]})")->prompt),
            (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(parse_text_request(R"({"model":"m","prompt":["a","b"]})").error().param, "prompt");
  EXPECT_EQ(parse_text_request(R"({"model":"m"})").error().param, "prompt");
  EXPECT_EQ(parse_text_request(R"({"model":"m","prompt":"a","echo":true})").error().param, "echo");
  EXPECT_EQ(parse_text_request(R"({"model":"m","prompt":"a","best_of":2})").error().param,
            "best_of");
}

TEST(ApiRender, ShapesAreExact) {
  const ApiRenderer chat(ApiRequest::Kind::chat, "1", "tern", 9);
  const json::object assay{{"receipt", "0x1"}};
  EXPECT_EQ(json::dump(chat.whole({chat.choice(0, "hi", nullptr, "stop")}, {2, 3}, assay)),
            R"({"id":"chatcmpl-1","object":"chat.completion","created":9,"model":"tern","choices":)"
            R"([{"index":0,"message":{"role":"assistant","content":"hi","refusal":null},)"
            R"("logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,)"
            R"("completion_tokens":3,"total_tokens":5},"assay":{"receipt":"0x1"}})");
  EXPECT_EQ(json::dump(chat.opening_chunk(0, true)),
            R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":9,"model":"tern",)"
            R"("choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,)"
            R"("finish_reason":null}],"usage":null})");
  EXPECT_EQ(json::dump(chat.text_chunk(0, "x", nullptr, false).at("choices")),
            R"([{"index":0,"delta":{"content":"x"},"logprobs":null,"finish_reason":null}])");
  EXPECT_EQ(json::dump(chat.final_chunk(0, "length", false, assay).at("choices")),
            R"([{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}])");
  EXPECT_EQ(json::dump(chat.usage_chunk({2, 3}, assay).at("choices")), "[]");

  const ApiRenderer text(ApiRequest::Kind::text, "1", "tern", 9);
  EXPECT_EQ(
      json::dump(text.whole({text.choice(0, "hi", nullptr, "stop")}, {2, 3}, assay).at("choices")),
      R"([{"index":0,"text":"hi","logprobs":null,"finish_reason":"stop"}])");
  EXPECT_EQ(text.text_chunk(0, "x", nullptr, false).at("object"), "text_completion");
}

TEST(ApiError, BodyIsOpenAIs) {
  const auto error = api_fail(404, "model_not_found", "model", "no model '{}'", "x").error();
  EXPECT_EQ(json::dump(to_json(error)),
            R"({"error":{"message":"no model 'x'","type":"invalid_request_error","param":"model",)"
            R"("code":"model_not_found"}})");
}

}  // namespace
}  // namespace assay::services
