// That operations pay for what they do: steps charged, not time.
#include "engine/jinja/work.hpp"

#include <gtest/gtest.h>

#include "engine/jinja/library.hpp"
#include "engine/jinja/operators.hpp"
#include "engine/jinja/template.hpp"

namespace assay::engine::jinja {
namespace {

constexpr std::uint64_t kPlenty = std::uint64_t{1} << 40;
constexpr std::size_t kLong = 64'000;  // a thousand steps to read once

Value text(std::size_t size, char c = 'x') { return Text::content(std::string(size, c)); }

Value tuple(std::size_t count, const Value& item) {
  return *make_list(std::vector<Value>(count, item), List::Kind::tuple);
}

Value list(std::size_t count, const Value& item) {
  return *make_list(std::vector<Value>(count, item));
}

template <class F>
std::uint64_t steps(F&& f) {
  Work work(kPlenty);
  const auto done = f(work);
  EXPECT_TRUE(done) << done.error().message;
  return kPlenty - work.left();
}

std::uint64_t method(const char* name, const Value& object, std::vector<Value> given) {
  return steps(
      [&](Work& work) { return call_method({object, name}, {std::move(given), {}}, work); });
}

std::uint64_t filter(const char* name, const Value& value, const Arguments& given) {
  return steps([&](Work& work) { return apply_filter(name, value, given, work); });
}

TEST(JinjaWork, StrippingPaysForItsSetOfCharacters) {
  for (const char* name : {"strip", "lstrip", "rstrip"})
    EXPECT_GE(method(name, text(1), {text(kLong, 'y')}), kLong / 16) << name;
  EXPECT_GE(filter("trim", text(1), {{text(kLong, 'y')}, {}}), kLong / 16);
  // An ordinary one costs next to nothing.
  EXPECT_LE(method("strip", text(kLong), {text(1, '\n')}), 2 * kLong / 64 + 10);
}

TEST(JinjaWork, AffixesPayForEachComparison) {
  for (const char* name : {"startswith", "endswith"}) {
    EXPECT_GE(method(name, text(kLong), {tuple(100, text(kLong - 1))}), 999u);
    Value::TextPtr bent = std::make_shared<const Text>(
        Text::content(std::string(kLong / 2, 'x') + 'y' + std::string(kLong / 2, 'x')));
    EXPECT_GE(method(name, text(kLong), {tuple(100, Value(bent))}), 99'000u) << name;
  }
}

TEST(JinjaWork, AttributePathsAreCutOnceAndPaidFor) {
  std::string path = "a";
  for (int i = 0; i < 999; ++i) path += ".a";
  const Value attribute = Text::literal(path);
  for (const char* name : {"map", "sort", "join"})
    EXPECT_GE(filter(name, list(0, text(1)), {{}, {{"attribute", attribute}}}), 4000u) << name;
  const Value item = *make_dict({{Text::literal("k"), Value(std::int64_t{1})}});
  EXPECT_GE(filter("map", list(1, item), {{}, {{"attribute", Text::literal("k")}}}), 4u);
  EXPECT_LE(filter("map", list(1000, item), {{}, {{"attribute", Text::literal("k")}}}), 4000u);
}

TEST(JinjaWork, PiecesArePaidForAsTheyAreMade) {
  EXPECT_GE(method("split", text(kLong, ','), {text(1, ',')}), 4 * kLong);
  EXPECT_GE(method("rsplit", text(kLong, ','), {text(1, ',')}), 4 * kLong);
  EXPECT_GE(method("splitlines", text(kLong, '\n'), {}), 4 * kLong);
  EXPECT_GE(method("replace", text(kLong), {text(1), text(640)}), kLong * 10);
  EXPECT_GE(method("replace", text(kLong), {text(0), text(640)}), kLong * 10);
  EXPECT_GE(method("count", text(kLong), {text(1)}), kLong);
  std::string words;
  for (int i = 0; i < 1000; ++i) words += "x ";
  EXPECT_GE(method("split", Text::content(words), {}), 4000u);
  EXPECT_GE(steps([](Work& work) {
              return arithmetic(Op::multiply, text(1), Value(static_cast<std::int64_t>(kLong)),
                                work);
            }),
            kLong);
  // Nothing is made that is not paid for: this would be a million pieces.
  Work little(1000);
  const auto refused = call_method({text(1'000, ','), "split"}, {{text(1, ',')}, {}}, little);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  EXPECT_EQ(little.left(), 0u);
}

// The product of the lengths, 10^12 and more, would not end in anybody's lifetime.
TEST(JinjaWork, SearchingIsLinearInTextAndNeedle) {
  const std::size_t n = 4'000'000, m = 2'000'000;
  const Value hay = text(n, 'a');
  for (const std::string& needle : {std::string(m, 'a') + 'b', 'b' + std::string(m, 'a'),
                                    std::string(m / 2, 'a') + 'b' + std::string(m / 2, 'a'),
                                    std::string(200, 'a') + 'b', 'b' + std::string(200, 'a')}) {
    const Value wanted = Text::content(needle);
    const std::uint64_t least = (n + needle.size()) / 64;
    for (const char* name : {"find", "rfind", "count", "split", "rsplit"})
      EXPECT_GE(method(name, hay, {wanted}), least) << name;
    EXPECT_GE(method("replace", hay, {wanted, text(1)}), least);
    EXPECT_GE(steps([&](Work& work) { return contains(hay, wanted, work); }), least);
  }
}

TEST(JinjaWork, SearchesFindWhatTheyShould) {
  const std::string s = "abcabcab";
  EXPECT_EQ(find_in(s, "cab"), 2u);
  EXPECT_EQ(find_in(s, "cab", 3), 5u);
  EXPECT_EQ(find_in(s, "x"), s.npos);
  EXPECT_EQ(find_in(s, "", 8), 8u);
  EXPECT_EQ(find_in(s, "", 9), s.npos);
  EXPECT_EQ(rfind_in(s, "cab"), 5u);
  EXPECT_EQ(rfind_in(s, "abc"), 3u);
  EXPECT_EQ(rfind_in(s, ""), 8u);
  EXPECT_EQ(rfind_in(s, "abcabcabc"), s.npos);
}

TEST(JinjaWork, LongKeysNamesAndSeparatorsCost) {
  const Value key = text(kLong);
  const Value dict = *make_dict({{*key.text(), Value(std::int64_t{1})}});
  EXPECT_GE(steps([&](Work& work) { return subscript(dict, key, work); }), 1000u);
  EXPECT_GE(steps([&](Work& work) { return contains(dict, key, work); }), 1000u);
  EXPECT_GE(steps([&](Work& work) { return iterate(dict, work); }), 1000u);
  EXPECT_GE(method("get", dict, {key}), 1000u);
  EXPECT_GE(method("keys", dict, {}), 1000u);
  EXPECT_GE(steps([&](Work& work) { return attribute(dict, key.text()->bytes(), work); }), 1000u);
  const Value separators = tuple(2, text(kLong));
  EXPECT_GE(filter("tojson", list(100, Value(true)), {{}, {{"separators", separators}}}), 100'000u);
  EXPECT_GE(filter("tojson", list(100, Value(true)), {{}, {{"indent", text(kLong)}}}), 100'000u);
}

TEST(JinjaWork, HostileTemplatesEndInTheErrorOfTheBudget) {
  const auto outcome = [](const std::string& source) {
    const auto parsed = Template::parse(source);
    if (!parsed) return parsed.error().message;
    const auto out = parsed->render({});
    return out ? "it ends in text" : out.error().message;
  };
  const std::string forever = "{% for i in range(99999) %}{% for j in range(99999) %}";
  const std::string ends = "{% endfor %}{% endfor %}";
  const std::string name(100'000, 'n');
  std::string deep, deep_end, parameters, arguments;
  for (int i = 0; i < 80; ++i) {
    deep += "{% for a in [1] %}";
    deep_end += "{% endfor %}";
  }
  for (int i = 0; i < 5000; ++i) {
    parameters += (i > 0 ? ", p" : "p") + std::to_string(i);
    arguments += (i > 0 ? ", p" : "p") + std::to_string(4999 - i) + "=1";
  }
  for (const std::string& source : std::vector<std::string>{
           "{% set s = 'é' * 1000 * 500 %}" + forever + "{% set x = ''.strip(s) %}" + ends,
           "{% set s = 'x' * 1000 * 500 %}{% set t = (s ~ 'y',) * 1000 %}" + forever +
               "{% set x = (s ~ 'z').startswith(t) %}" + ends,
           "{% set s = 'x' * 1000 * 500 %}{% set d = {s: 1} %}" + forever + "{% set x = d[s] %}" +
               ends,
           "{% set s = 'x' * 1000 * 500 %}" + forever + "{% set x = {s: 1} %}" + ends,
           "{% set s = 'x' * 1000 * 900 %}" + forever + "{% set x = (s[:300000] ~ 'y') in s %}" +
               ends,
           "{{ range(99999) | list | tojson(separators=('x' * 1000 * 900, 'y')) }}",
           "{{ ('\x01' * 1000 * 900) | tojson }}{% set x = ('\x01' * 1000 * 900) | tojson %}" +
               forever + "{% set x = ('\x01' * 1000 * 900) | tojson %}" + ends,
           forever + "{% set x = {} %}{% if x." + name + " is defined %}{% endif %}" + ends,
           forever + "{% if " + name + " is defined %}{% endif %}" + ends,
           deep +
               "{% for i in range(99999) %}{% for j in range(99999) %}{% if nothing is defined "
               "%}{% endif %}" +
               ends + deep_end,
           "{% macro m(" + parameters + ") %}{% endmacro %}" + forever + "{{ m(" + arguments +
               ") }}" + ends,
           forever + "{% set x = range(0) | map(attribute='" + std::string(1000, '.') + "') %}" +
               ends,
       })
    EXPECT_NE(outcome(source).find("more steps than a chat may"), std::string::npos)
        << source.substr(0, 120) << ": " << outcome(source).substr(0, 200);
}

}  // namespace
}  // namespace assay::engine::jinja
