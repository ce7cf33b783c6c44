// Answers held to a form, from a client's body to settled receipts: Tern, with a chat template that
// shows tools.
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>

#include "services/gateway/gateway_testutil.hpp"

namespace assay::services {
namespace {

using testing::HasSubstr;

constexpr std::string_view kTemplate =
    "{{tools}}{%for m in messages%}<|{{m.role}}|>{{m.content}}{%for c in m.tool_calls or []%}"
    "!{{c.function.name}} {{c.function.arguments|tojson}}{%endfor%}<|end|>{%endfor%}"
    "{%if add_generation_prompt%}<|assistant|>{%endif%}";

// The file with another template. Tensors lie at multiples of 32 bytes after the metadata: it grows
// by as many.
Bytes with_template(std::string file, std::string text) {
  const std::string old = *engine::Gguf::parse(view(file))->string("tokenizer.chat_template");
  text += "{#";
  while ((text.size() + 2 - old.size()) % 32 != 0) text += ' ';
  text += "#}";
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
  file.replace(file.find(old) - 8, 8 + old.size(), length + text);
  return {file.begin(), file.end()};
}

const Toy& tern() {
  static const Toy toy = [] {
    std::ifstream in(ASSAY_SOURCE_DIR "/models/tern-q8_0.gguf", std::ios::binary);
    Toy out;
    out.file = with_template({std::istreambuf_iterator<char>(in), {}}, std::string(kTemplate));
    out.model = *engine::Model::load(out.file);
    ThreadPool pool(1);
    out.execution = *verify::execution_id(*out.model, pool);
    return out;
  }();
  return toy;
}

struct ShapeTest : GatewayTest {
  ScriptedProvider* provider = nullptr;
  void serve() {
    ASSERT_TRUE(io::write_file_atomic(folder.file("models/toy.gguf"), tern().file));
    provider = &add_provider({.sells = &tern(), .computes = &tern()});
    start();
  }
  static json::object body(std::string_view more) {
    json::object out{{"model", "toy"}, {"seed", 3}, {"max_tokens", 60}};
    out["messages"] = json::parse(R"([{"role":"user","content":"Which city?"}])").value();
    const json::value members = json::parse(more).value();
    for (const auto& [key, member] : members.as_object()) out[key] = member;
    return out;
  }
  json::object answered(const json::object& asked) {
    const io::HttpReply reply = post(asked);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return parse_object(reply.body);
  }
};

constexpr std::string_view kSchema =
    R"({"response_format":{"type":"json_schema","json_schema":{"name":"city","strict":true,)"
    R"("schema":{"type":"object","properties":{"name":{"type":"string","maxLength":8},"port":)"
    R"({"type":"boolean"}},"required":["name","port"],"additionalProperties":false}}}})";

TEST_F(ShapeTest, AnswersUnderASchemaAreAuditedAndSettled) {
  serve();
  json::object asked = body(kSchema);
  const json::object whole = answered(asked);
  const auto value = json::parse(text_of(whole));
  ASSERT_TRUE(value) << text_of(whole);
  EXPECT_TRUE(value->at("name").is_string());
  EXPECT_TRUE(value->at("port").is_bool());
  EXPECT_EQ(whole.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_NE(provider->requests().back().constraint, Hash{});
  EXPECT_EQ(await_stage(receipt_of(whole), "settled").at("audit"), "match");
  asked["stream"] = true;
  EXPECT_EQ(parse_stream(post(asked).body).text, text_of(whole));
}

TEST_F(ShapeTest, AnotherProviderGoesOnInTheSameState) {
  ASSERT_TRUE(io::write_file_atomic(folder.file("models/toy.gguf"), tern().file));
  add_provider({.sells = &tern(), .computes = &tern(), .price_out = 1'000'000, .die_after = 5});
  add_provider({.sells = &tern(), .computes = &tern()});
  start();
  const json::object reply = answered(body(kSchema));
  EXPECT_TRUE(json::parse(text_of(reply))) << text_of(reply);
  EXPECT_TRUE(reply.at("assay").as_object().contains("earlier"));
}

TEST_F(ShapeTest, WhatCannotBeHeldIsRefusedBeforeAnythingIsBought) {
  serve();
  const auto refused =
      post(body(R"({"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":)"
                R"({"type":"object","properties":{"n":{"type":"integer","minimum":1}}}}}})"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(error_code(refused), "unsupported_schema");
  EXPECT_THAT(refused.body, HasSubstr("/properties/n/minimum"));
  EXPECT_TRUE(provider->requests().empty());
}

constexpr std::string_view kTools =
    R"({"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object",)"
    R"("properties":{"city":{"enum":["Ostra","Belmar"]},"days":{"type":"integer"}},"required":)"
    R"(["city","days"],"additionalProperties":false}}},{"type":"function","function":)"
    R"({"name":"now"}}],"tool_choice":{"type":"function","function":{"name":"weather"}}})";

TEST_F(ShapeTest, ToolsAreCalled) {
  serve();
  json::object asked = body(kTools);
  const json::object whole = answered(asked);
  const json::object& choice = whole.at("choices").at(0).as_object();
  ASSERT_EQ(choice.at("finish_reason"), "tool_calls") << json::dump(whole);
  EXPECT_TRUE(choice.at("message").at("content").is_null());
  const json::object& call = choice.at("message").at("tool_calls").at(0).as_object();
  EXPECT_EQ(call.at("function").at("name"), "weather");
  const std::string arguments(call.at("function").at("arguments").as_string());
  const auto value = json::parse(arguments);
  ASSERT_TRUE(value) << arguments;
  EXPECT_TRUE(value->at("days").is_int64());

  asked["stream"] = true;
  std::string name, streamed, finish;
  for (const json::object& chunk : parse_stream(post(asked).body).chunks)
    for (const json::value& piece : chunk.at("choices").as_array()) {
      if (piece.at("finish_reason").is_string()) finish = piece.at("finish_reason").as_string();
      const json::object& delta = piece.at("delta").as_object();
      if (!delta.contains("tool_calls")) continue;
      const json::object& part = delta.at("tool_calls").at(0).at("function").as_object();
      if (part.contains("name")) name = part.at("name").as_string();
      streamed += part.at("arguments").as_string();
    }
  EXPECT_EQ(name, "weather");
  EXPECT_EQ(streamed, arguments);
  EXPECT_EQ(finish, "tool_calls");

  // The result goes back; with "none" the answer is text again, under no constraint.
  json::object next = body(kTools);
  next["tool_choice"] = "none";
  next["max_tokens"] = 5;
  json::array& messages = next["messages"].as_array();
  messages.push_back(choice.at("message"));
  messages.push_back(
      json::object{{"role", "tool"}, {"tool_call_id", call.at("id")}, {"content", "sunny"}});
  const json::object after = answered(next);
  EXPECT_FALSE(after.at("choices").at(0).at("message").as_object().contains("tool_calls"));
  EXPECT_EQ(provider->requests().back().constraint, Hash{});

  json::object any = body(kTools);
  any["tool_choice"] = "required";
  EXPECT_EQ(answered(any).at("choices").at(0).at("message").as_object().count("tool_calls"), 1u);
  any["tool_choice"] = "auto";
  answered(any);
}

TEST_F(GatewayTest, ToolsNeedATemplateThatShowsThem) {
  add_provider({});
  start();
  json::object asked = chat_body();
  asked["tools"] = json::parse(R"([{"type":"function","function":{"name":"now"}}])").value();
  const auto refused = post(asked);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("does not show tools"));
  asked.erase("tools");
  // Its vocabulary has no braces.
  asked["response_format"] = json::object{{"type", "json_object"}};
  EXPECT_THAT(post(asked).body, HasSubstr("vocabulary cannot write"));
}

}  // namespace
}  // namespace assay::services
