#include "engine/grammar/tool_call.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <map>

#include "engine/gguf_testutil.hpp"

namespace assay::engine {
namespace {

using Kind = ToolCallReader::Part::Kind;

// Every byte, the stop tokens of the templates, and what some write calls with.
Tokenizer tokenizer() {
  std::vector<std::string> tokens{"<unk>",      "<s>",          "</s>",       "<|im_end|>",
                                  "<|eot_id|>", "[TOOL_CALLS]", "<tool_call>"};
  std::vector<std::int32_t> kinds{2, 3, 3, 3, 3, 3, 4};
  for (unsigned b = 0; b < 256; ++b) {
    tokens.push_back(fmt::format("<0x{:02X}>", b));
    kinds.push_back(6);
  }
  GgufBuilder b;
  b.string("tokenizer.ggml.model", "llama")
      .strings("tokenizer.ggml.tokens", tokens)
      .f32s("tokenizer.ggml.scores", std::vector<float>(tokens.size()))
      .i32s("tokenizer.ggml.token_type", kinds)
      .u32("tokenizer.ggml.bos_token_id", 1)
      .u32("tokenizer.ggml.eos_token_id", 2)
      .boolean("tokenizer.ggml.add_space_prefix", false);
  const Bytes file = b.build();
  return *Tokenizer::from(*Gguf::parse(file));
}

Result<ToolFormat> format_of(const std::string& name) {
  std::ifstream in(ASSAY_SOURCE_DIR "/tests/templates/" + name + ".jinja", std::ios::binary);
  return tool_format(ChatTemplate::from_source({std::istreambuf_iterator<char>(in), {}}),
                     tokenizer());
}

bool takes(const canon::Automaton& a, std::string_view text) {
  std::uint32_t state = 0;
  for (const char c : text) state = a.next(state, static_cast<std::uint8_t>(c));
  return a.accepting(state);
}

std::vector<Tool> tools() {
  return {{"weather", json::parse(R"({"type":"object","properties":{"city":{"type":"string"}},)"
                                  R"("required":["city"],"additionalProperties":false})")
                          .value()},
          {"now", json::parse(R"({"type":"object","additionalProperties":false})").value()}};
}

TEST(ToolCall, FormatsAreThoseOfTheTemplates) {
  const auto qwen = format_of("Qwen-Qwen2.5-7B-Instruct");
  ASSERT_TRUE(qwen) << qwen.error().message;
  EXPECT_EQ(qwen->before, "<tool_call>\n{\"name\": \"");
  EXPECT_EQ(qwen->between, "\", \"arguments\": ");
  EXPECT_EQ(qwen->after, "}\n</tool_call>");
  const auto llama = format_of("meta-llama-Llama-3.1-8B-Instruct");
  ASSERT_TRUE(llama) << llama.error().message;
  EXPECT_EQ(llama->before, "{\"name\": \"");
  EXPECT_EQ(llama->between, "\", \"parameters\": ");
  EXPECT_EQ(llama->after, "}");
}

TEST(ToolCall, WhatCannotBeToldIsRefused) {
  for (const auto& [name, why] : {std::pair{"tern", "does not show tools"},
                                  {"Phi-3-mini", "does not show tools"},
                                  {"mistralai-Mistral-Nemo-Instruct-2407", "chat template"}}) {
    const auto format = format_of(name);
    ASSERT_FALSE(format) << name;
    EXPECT_TRUE(format.error().message.contains(why)) << name << ": " << format.error().message;
  }
}

TEST(ToolCall, OneCallOrAnythingThatDoesNotBeginAsOne) {
  const ToolFormat format = *format_of("Qwen-Qwen2.5-7B-Instruct");
  const std::string call =
      "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rom\"}}\n</tool_call>";
  const std::string other = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  for (const bool required : {true, false}) {
    const auto a = tool_automaton(format, tools(), required);
    ASSERT_TRUE(a) << a.error().message;
    EXPECT_TRUE(takes(*a, call));
    EXPECT_TRUE(takes(*a, other));
    EXPECT_FALSE(takes(*a, call + call));
    EXPECT_FALSE(takes(*a, "<tool_call>\n{\"name\": \"no\", \"arguments\": {}}\n</tool_call>"));
    EXPECT_FALSE(takes(*a, "<tool_call> hm"));
    for (const char* text : {"", "It rains.\n", "<tool", "<b>é</b>", "{\"name\": 1}"})
      EXPECT_EQ(takes(*a, text), !required) << text;
  }
  const std::vector<Tool> wrong{
      {"f", json::parse(R"({"properties":{"x":{"pattern":"a"}}})").value()}};
  const auto refused = tool_automaton(format, wrong, true);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.contains("tool 'f'"));
  EXPECT_TRUE(refused.error().message.contains("/properties/x/pattern"));
}

// However the text is cut into pieces.
TEST(ToolCall, ReaderTellsTheParts) {
  const ToolFormat format = *format_of("Qwen-Qwen2.5-7B-Instruct");
  const auto read = [&](const std::string& text, bool required, std::size_t step) {
    ToolCallReader reader(format, required);
    std::map<Kind, std::string> out;
    const auto take = [&](const std::vector<ToolCallReader::Part>& parts) {
      for (const auto& part : parts) {
        EXPECT_EQ(valid_utf8(part.text), part.text);
        out[part.kind] += part.text;
      }
    };
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = std::min(text.size(), at + step);
      while (end < text.size() && (text[end] & 0xc0) == 0x80) ++end;
      take(reader.push(text.substr(at, end - at)));
      at = end;
    }
    take(reader.finish());
    return out;
  };
  const std::string call =
      "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Röm €\"}}\n</tool_call>";
  for (std::size_t step = 1; step <= call.size(); ++step) {
    SCOPED_TRACE(step);
    for (const bool required : {true, false}) {
      auto out = read(call, required, step);
      EXPECT_EQ(out[Kind::name], "weather");
      EXPECT_EQ(out[Kind::arguments], "{\"city\": \"Röm €\"}");
      EXPECT_EQ(out[Kind::text], "");
    }
    EXPECT_EQ(read("It is <tool>.", false, step)[Kind::text], "It is <tool>.");
    EXPECT_EQ(read("<tool", false, step)[Kind::text], "<tool");
    // Cut short: what there is of the arguments.
    auto cut = read(call.substr(0, call.size() - 13), true, step);
    EXPECT_EQ(cut[Kind::name], "weather");
    EXPECT_EQ(cut[Kind::arguments], "{\"city\": \"Röm €\"}");  // nothing of what follows them
    auto within = read(call.substr(0, call.size() - 20), true, step);
    EXPECT_EQ(within[Kind::arguments], "{\"city\": \"Röm");
  }
}

}  // namespace
}  // namespace assay::engine
