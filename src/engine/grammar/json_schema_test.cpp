#include "engine/grammar/json_schema.hpp"

#include <gtest/gtest.h>

#include "canon/canon_testutil.hpp"

namespace assay::engine {
namespace {

using canon::Automaton;
using canon::test::Random;

bool accepts(const Automaton& a, std::string_view text) {
  std::uint32_t state = 0;
  for (const char c : text) state = a.next(state, static_cast<std::uint8_t>(c));
  return a.accepting(state);
}

Automaton of(std::string_view schema) {
  auto out = schema_automaton(json::parse(schema).value());
  EXPECT_TRUE(out) << schema << ": " << out.error().message;
  return out ? *out : Automaton();
}

std::string error_of(std::string_view schema) {
  const auto out = schema_automaton(json::parse(schema).value());
  return out ? "" : out.error().message;
}

void expect(const Automaton& a, std::initializer_list<std::string_view> in,
            std::initializer_list<std::string_view> out) {
  for (const std::string_view text : in) EXPECT_TRUE(accepts(a, text)) << text;
  for (const std::string_view text : out) EXPECT_FALSE(accepts(a, text)) << text;
}

// A text of the language, or nothing where the walk got too long.
std::optional<std::string> drawn(const Automaton& a, Random& random) {
  std::string text;
  for (std::uint32_t state = 0; text.size() < 600;) {
    std::vector<std::uint8_t> ways;
    for (unsigned byte = 0; byte < 256; ++byte)
      if (a.next(state, static_cast<std::uint8_t>(byte)) != canon::kDead)
        ways.push_back(static_cast<std::uint8_t>(byte));
    if (a.accepting(state) && (ways.empty() || random.below(4) == 0)) return text;
    if (ways.empty()) return std::nullopt;
    // Structure is rare among the bytes a string may have.
    const std::uint8_t byte = random.below(3) == 0 && std::ranges::find(ways, '"') != ways.end()
                                  ? '"'
                                  : ways[random.below(static_cast<std::uint32_t>(ways.size()))];
    text += static_cast<char>(byte);
    state = a.next(state, byte);
  }
  return std::nullopt;
}

TEST(JsonSchema, Objects) {
  const Automaton a = of(R"({"type":"object","properties":{"name":{"type":"string"},
      "age":{"type":"integer"},"note":{"type":["string","null"]}},
      "required":["name","age"],"additionalProperties":false})");
  expect(a,
         {R"({"name":"x","age":3})", R"({"name": "x", "age": -3, "note": null})",
          R"({"name":"","age":0,"note":"\u00e9\ud83d\ude00\n"})"},
         {R"({"name":"x"})", R"({"age":3,"name":"x"})", R"({"name":"x","age":3,})",
          R"({"name":"x","age":3.5})", R"({"name":"x","age":03})", R"({"name":"x","age":3} )",
          R"({"name":"x",  "age":3})", R"({"name":"x","age":3,"other":1})", "", "{}"});
  const Automaton open = of(R"({"properties":{"ab":{"type":"null"},"é":{"type":"null"}},
      "additionalProperties":{"type":"boolean"}})");
  expect(open,
         {"{}", R"({"ab":null})", R"({"a":true})", R"({"abc":true,"x":false})", R"({"":true})",
          R"({"ab":null,"b":true})"},
         {R"({"ab":true})", R"({"\u0061b":true})", R"({"é":true})", R"({"a":1})"});
}

TEST(JsonSchema, StringsAreWellFormedUtf8WithWholeSurrogatePairs) {
  const Automaton a = of(R"({"type":"string"})");
  expect(
      a,
      {"\"\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"", R"("\"\\\/\b\f\n\r\t")", R"("\uD83D\uDE00")",
       R"("\ud7ff\ue000\u0000")"},
      {"\"\xc3\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\n\"",
       R"("\ud83d")", R"("\ude00")", R"("\ud83d\u0041")", R"("\x")", R"("\u12g4")", "\"a", "a\""});
  const Automaton some = of(R"({"type":"string","minLength":2,"maxLength":3})");
  expect(some, {R"("ab")", R"("é\ud83d\ude00a")", "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\""},
         {R"("a")", R"("abcd")", R"("\ud83d\ude00")"});
}

TEST(JsonSchema, Numbers) {
  expect(of(R"({"type":"number"})"),
         {"0", "-0", "12", "1.5", "0.25", "1e5", "1E+05", "-1.5e-9", "123456789012345"},
         {"01", "1.", ".5", "+1", "1e", "1e999", "1234567890123456", "--1", "NaN", "0x1", "1 "});
  expect(of(R"({"type":"integer"})"), {"0", "-7"}, {"1.0", "1e2", "", "-"});
}

TEST(JsonSchema, ArraysCountTheirItems) {
  expect(of(R"({"type":"array","items":{"type":"boolean"}})"),
         {"[]", "[true]", "[true, false,true]"}, {"[,]", "[true,]", "[1]", "[true"});
  expect(of(R"({"items":{"type":"null"},"minItems":2,"maxItems":3})"),
         {"[null,null]", "[null,null,null]"}, {"[]", "[null]", "[null,null,null,null]"});
  expect(of(R"({"items":{"type":"null"},"minItems":2})"), {"[null,null,null,null]"}, {"[null]"});
  expect(of(R"({"items":{"type":"null"},"maxItems":0})"), {"[]"}, {"[null]"});
}

TEST(JsonSchema, GivenValuesChoicesAndReferences) {
  expect(of(R"({"enum":["a\"\n",1,1.5,null,{"k":[true]}]})"),
         {R"("a\"\n")", "1", "1.5", "null", R"({"k":[true]})"}, {"\"a\"", "2", "1.50"});
  expect(of(R"({"type":"string","enum":["a",1]})"), {"\"a\""}, {"1"});
  expect(of(R"({"anyOf":[{"const":"x"},{"type":"integer"}]})"), {"\"x\"", "4"}, {"\"y\""});
  const Automaton tree = of(R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object",
      "properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/node"}}},
      "required":["v","kids"]}}})");
  expect(tree, {R"({"v":1,"kids":[]})", R"({"v":1,"kids":[{"v":2,"kids":[{"v":3,"kids":[]}]}]})"},
         {R"({"v":1})", R"({"v":1,"kids":[1]})"});
  // Followed so often and no further.
  std::string deep = "[]";
  for (unsigned i = 0; i <= kRefDepthMax; ++i) {
    EXPECT_TRUE(accepts(tree, R"({"v":1,"kids":)" + deep + "}")) << i;
    deep = R"([{"v":1,"kids":)" + deep + "}]";
  }
  EXPECT_FALSE(accepts(tree, R"({"v":1,"kids":)" + deep + "}"));
}

TEST(JsonSchema, WhatItDoesNotHoldAnAnswerToIsRefusedByItsPath) {
  EXPECT_TRUE(error_of(R"({"properties":{"a/b":{"type":"integer","minimum":3}}})")
                  .starts_with("/properties/a~1b/minimum: 'minimum'"));
  EXPECT_TRUE(error_of(R"({"type":"string","pattern":"a+"})").starts_with("/pattern: "));
  EXPECT_TRUE(error_of(R"({"oneOf":[{}]})").starts_with("/oneOf: "));
  EXPECT_TRUE(error_of(R"({"anyOf":[{}],"type":"null"})").starts_with("/type: "));
  EXPECT_TRUE(error_of(R"({"required":["x"]})").starts_with("/required: "));
  EXPECT_TRUE(error_of(R"({"$ref":"http://x/y"})").starts_with("/$ref: "));
  EXPECT_TRUE(error_of(R"({"type":"thing"})").starts_with("/type: "));
  EXPECT_TRUE(error_of(R"(false)").starts_with("/: "));
  EXPECT_TRUE(error_of(R"([1])").starts_with("/: "));
  EXPECT_EQ(error_of(R"({"$ref":"#"})"), "there is no answer that fits");
  EXPECT_EQ(error_of(R"({"type":"string","enum":[1]})"), "there is no answer that fits");
  EXPECT_TRUE(error_of(R"({"type":"string","maxLength":60000})").contains("smaller"));
  EXPECT_TRUE(error_of(R"({"items":{"items":{"items":{"type":"string"},"maxItems":300},
      "maxItems":300},"maxItems":300})")
                  .contains("smaller"));
}

TEST(JsonSchema, ObjectsWithoutASchema) {
  const auto a = json_automaton();
  ASSERT_TRUE(a) << a.error().message;
  std::string deep = "0";
  for (unsigned i = 0; i < kJsonDepth; ++i) {
    deep = (i % 2 == 0 ? R"({"a":)" : "[") + deep + (i % 2 == 0 ? "}" : "]");
    if (deep.front() == '{') {
      EXPECT_TRUE(accepts(*a, deep)) << deep;
    }
  }
  expect(*a, {"{}", R"({"a": [1, "x", {}, []]})"},
         {"[]", "1", "", "{", R"({"a":})", R"({"a":)" + ("[" + deep + "]") + "}"});
  EXPECT_LE(canon::encode(*a).size(), canon::kAutomatonBytesMax);
  RecordProperty("states", static_cast<int>(a->states()));
  RecordProperty("bytes", static_cast<int>(canon::encode(*a).size()));
}

// What a schema's automaton accepts is JSON; it is the same however the language was built.
TEST(JsonSchema, WhatIsAcceptedIsJson) {
  Random random(7);
  for (
      const auto schema :
      {R"({})", R"({"type":["string","number","boolean"]})", R"({"additionalProperties":true})",
       R"({"type":"object","properties":{"a":{},"b":{"type":"array","items":{"type":"string"}}}})"}) {
    const Automaton a = of(schema);
    int texts = 0;
    for (int i = 0; i < 400; ++i)
      if (const auto text = drawn(a, random)) {
        EXPECT_TRUE(json::parse(*text)) << *text;
        ++texts;
      }
    EXPECT_GT(texts, 50) << schema;
  }
  EXPECT_EQ(of(R"({"anyOf":[{"type":"null"},{"type":"boolean"}]})"),
            of(R"({"enum":[true,null,false,true]})"));
}

TEST(Automaton, EncodingIsCanonical) {
  Random random(3);
  for (const auto schema : {R"({"type":"string"})", R"({"properties":{"a":{},"b":{}}})"}) {
    const Automaton a = of(schema);
    const Bytes bytes = canon::encode(a);
    EXPECT_EQ(canon::decode_automaton(bytes).value(), a);
    EXPECT_FALSE(canon::decode_automaton(ByteView(bytes).first(bytes.size() - 1)));
    int changed = 0;
    for (std::size_t i = 0; i < 2000; ++i) {
      Bytes other = bytes;
      other[random.below(static_cast<std::uint32_t>(other.size()))] ^=
          static_cast<std::uint8_t>(1 + random.below(255));
      if (random.below(4) == 0) other.push_back(0);
      const auto read = canon::decode_automaton(other);
      if (!read) continue;
      EXPECT_EQ(canon::encode(*read), other);
      EXPECT_NE(*read, a);
      ++changed;
    }
    EXPECT_GT(changed, 0);
  }
  EXPECT_FALSE(canon::decode_automaton({}));
  EXPECT_FALSE(canon::decode_automaton(Bytes(canon::kAutomatonBytesMax + 1)));
}

}  // namespace
}  // namespace assay::engine
