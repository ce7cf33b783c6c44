#include <gtest/gtest.h>

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
  EXPECT_EQ(request->temperature, 1.0f);
  EXPECT_EQ(request->top_p, 1.0f);
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
           "allow_fallbacks":false,"max_latency_ms":300})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->temperature, 0.5f);
  EXPECT_EQ(request->top_p, 0.9f);
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
}

TEST(ApiRequest, GreedyIsTemperatureZeroAndWhatRoundsToIt) {
  EXPECT_EQ(chat(R"("temperature":0)")->temperature, 0.0f);
  EXPECT_EQ(chat(R"("temperature":1e-8)")->temperature, 0.0f);
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
           Case{R"("tools":[{"type":"function"}])", "tools", "unsupported_parameter"},
           Case{R"("logprobs":true)", "logprobs", "unsupported_parameter"},
           Case{R"("presence_penalty":0.5)", "presence_penalty", "unsupported_parameter"},
           Case{R"("response_format":{"type":"json_object"})", "response_format",
                "unsupported_parameter"},
           Case{R"("n":2)", "n", "unsupported_value"},
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
           Case{R"("provider":{"only":["bob"]})", "provider.only", "invalid_value"},
           Case{R"("provider":{"max_price":{"prompt":-1}})", "provider.max_price.prompt",
                "invalid_value"},
           Case{R"("verification":"never")", "verification", "invalid_value"},
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
  EXPECT_EQ(message(R"({"role":"tool","content":"x"})").error().param, "messages[0].role");
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
  EXPECT_EQ(json::dump(chat.whole("hi", "stop", {2, 3}, assay)),
            R"({"id":"chatcmpl-1","object":"chat.completion","created":9,"model":"tern","choices":)"
            R"([{"index":0,"message":{"role":"assistant","content":"hi","refusal":null},)"
            R"("logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,)"
            R"("completion_tokens":3,"total_tokens":5},"assay":{"receipt":"0x1"}})");
  EXPECT_EQ(json::dump(chat.opening_chunk(true)),
            R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":9,"model":"tern",)"
            R"("choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,)"
            R"("finish_reason":null}],"usage":null})");
  EXPECT_EQ(json::dump(chat.text_chunk("x", false).at("choices")),
            R"([{"index":0,"delta":{"content":"x"},"logprobs":null,"finish_reason":null}])");
  EXPECT_EQ(json::dump(chat.final_chunk("length", false, assay).at("choices")),
            R"([{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}])");
  EXPECT_EQ(json::dump(chat.usage_chunk({2, 3}, assay).at("choices")), "[]");

  const ApiRenderer text(ApiRequest::Kind::text, "1", "tern", 9);
  EXPECT_EQ(json::dump(text.whole("hi", "stop", {2, 3}, assay).at("choices")),
            R"([{"index":0,"text":"hi","logprobs":null,"finish_reason":"stop"}])");
  EXPECT_EQ(text.text_chunk("x", false).at("object"), "text_completion");
}

TEST(ApiError, BodyIsOpenAIs) {
  const auto error = api_fail(404, "model_not_found", "model", "no model '{}'", "x").error();
  EXPECT_EQ(json::dump(to_json(error)),
            R"({"error":{"message":"no model 'x'","type":"invalid_request_error","param":"model",)"
            R"("code":"model_not_found"}})");
}

}  // namespace
}  // namespace assay::services
