#include "engine/jinja/template.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "engine/chat_template.hpp"
#include "engine/jinja/parser.hpp"

namespace assay::engine::jinja {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string text_of(std::string_view source) {
  const auto parsed = Template::parse(source);
  if (!parsed) return parsed.error().message;
  const auto text = parsed->render({});
  return text ? text->bytes() : text.error().message;
}

// jinja2's own rendering of the public models' templates (tools/model/render_templates.py).
TEST(Jinja, PublicTemplatesAsJinja2) {
  const fs::path root = ASSAY_SOURCE_DIR "/tests/templates";
  const json::value conversations = *json::parse(read(root / "conversations.json"));
  const json::value expected = *json::parse(read(root / "expected.json"));
  std::size_t compared = 0, refused_by_both = 0;
  for (const auto& [name_view, texts] : expected.get_object()) {
    const std::string name = name_view;
    const auto chat = ChatTemplate::from_source(read(root / (name + ".jinja")));
    for (const auto& [which, wanted] : texts.get_object()) {
      const json::object& fields = conversations.at(which).get_object();
      Conversation c;
      c.messages = fields.at("messages").get_array();
      if (const auto* tools = fields.if_contains("tools")) c.tools = *tools;
      if (const auto* more = fields.if_contains("variables")) c.variables = more->get_object();
      if (const auto* prompt = fields.if_contains("add_generation_prompt"))
        c.add_generation_prompt = prompt->get_bool();
      c.now = Date{2024, 7, 26};
      const auto runs = chat.render(c, {"<s>", "</s>"});
      ++compared;
      if (wanted.is_null()) {
        EXPECT_FALSE(runs) << name << ": " << std::string(which);
        ++refused_by_both;
        continue;
      }
      ASSERT_TRUE(runs) << name << ": " << std::string(which) << ": " << runs.error().message;
      std::string text;
      for (const TextRun& run : *runs) text += run.text;
      EXPECT_EQ(text, std::string(wanted.get_string())) << name << ": " << std::string(which);
    }
  }
  EXPECT_GE(compared, 400u);
  EXPECT_LT(refused_by_both, compared / 4);
}

TEST(Jinja, RefusesWithThePlace) {
  EXPECT_EQ(text_of("a\n b {% include 'x' %}"), "line 2, column 7: tag 'include' is not supported");
  EXPECT_EQ(text_of("{{ x is frozen }}"), "line 1, column 9: test 'frozen' is not supported");
  EXPECT_EQ(text_of("{{ x.zfill(3) }}"), "line 1, column 6: method 'zfill' is not supported");
  EXPECT_EQ(text_of("{% if x %}"), "line 1, column 11: the template ends where 'endif' belongs");
  EXPECT_EQ(text_of("{{ x.y.z }}"), "line 1, column 6: 'x' is undefined");
  EXPECT_EQ(text_of("{{ raise_exception('no\nway') }}"),
            "line 1, column 4: the template refuses this conversation: no?way");
}

TEST(Jinja, HostileTemplatesEndInErrors) {
  const auto fails = [](const std::string& source, std::string_view why) {
    const std::string text = text_of(source);
    EXPECT_NE(text.find(why), std::string::npos) << text.substr(0, 200);
  };
  const auto times = [](std::string_view s, std::size_t n) {
    std::string out;
    for (std::size_t i = 0; i < n; ++i) out += s;
    return out;
  };
  const std::string loops =
      "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}";
  fails(loops, "more steps");
  fails("{{ range(100001) }}", "a range of more than");
  fails(
      "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(40) %}{% set n.s = n.s ~ n.s %}"
      "{% endfor %}",
      "more steps");
  fails(
      "{% set n = namespace(s=[]) %}{% for i in range(999) %}{% set n.s = [n.s, n.s] %}"
      "{% endfor %}",
      "nest deeper");
  fails(
      "{% set n = namespace(s=[1]) %}{% for i in range(60) %}{% set n.s = [n.s, n.s] %}"
      "{% endfor %}{{ n.s }}",
      "more steps");
  fails("{{ 'x' * 9999999999 }}", "more steps");
  fails("{{ [1] * 9223372036854775807 }}", "too large");
  fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nest too deeply");
  fails("{% set n = namespace() %}{% set n.n = n %}", "not supported");
  fails("{{ " + times("(", 5000) + "1" + times(")", 5000) + " }}", "nests deeper");
  fails("{{ " + times("not ", 5000) + "x }}", "nests deeper");
  fails("{{ " + times("-", 5000) + "1 }}", "nests deeper");
  fails("{{ 1" + times("+1", 5000) + " }}", "nests deeper");
  fails("{{ x" + times("|trim", 5000) + " }}", "nests deeper");
  fails(times("{% if x %}", 5000), "nest deeper");
  fails(std::string(kMaxTemplateBytes + 1, 'x'), "at most");
  fails("\xff", "not UTF-8");
}

}  // namespace
}  // namespace assay::engine::jinja
