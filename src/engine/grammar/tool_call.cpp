#include "engine/grammar/tool_call.hpp"

#include <algorithm>

#include "engine/grammar/json_schema.hpp"

namespace assay::engine {
namespace {

constexpr std::string_view kProbeName = "assay_probe", kProbeKey = "assay_key",
                           kProbeValue = "assay_value";

json::array probe_tools() {
  const json::object member{{"type", "string"}};
  json::object parameters{{"type", "object"}};
  parameters["properties"] = json::object{{kProbeKey, member}};
  parameters["required"] = json::array{json::value(kProbeKey)};
  json::object function{{"name", kProbeName}, {"description", "A probe."}};
  function["parameters"] = std::move(parameters);
  json::object tool{{"type", "function"}};
  tool["function"] = std::move(function);
  json::array out;
  out.push_back(std::move(tool));
  return out;
}

json::object probe_call() {
  json::object function{{"name", kProbeName}};
  function["arguments"] = json::object{{kProbeKey, kProbeValue}};
  json::object call{{"id", "call_000000000"}, {"type", "function"}};
  call["function"] = std::move(function);
  json::array calls;
  calls.push_back(std::move(call));
  json::object out;
  out["tool_calls"] = std::move(calls);
  return out;
}

std::unexpected<Error> cannot(std::string_view why) {
  return fail(Errc::unsupported, "this model's chat template {}: ask without tools", why);
}

Result<std::string> text_of(const ChatTemplate& chat, const Tokenizer& tokenizer,
                            const Conversation& conversation) {
  TRY(const auto runs, chat.render(conversation, ChatTokens::of(tokenizer)));
  std::string out;
  for (const TextRun& run : runs) out += run.text;
  return out;
}

bool has_control(const Tokenizer& tokenizer, const std::string& text) {
  return std::ranges::any_of(tokenizer.encode(text, {.add_bos = false}), [&](Token token) {
    return tokenizer.piece(token).empty() && !tokenizer.text(token).empty();
  });
}

// What tells a call from other text: no character of a text that is none.
std::string trigger_of(const ToolFormat& format) {
  const std::size_t end = format.before.find_first_of(" \t\n\"{");
  return format.before.substr(0, std::max<std::size_t>(1, std::min(end, format.before.size())));
}

}  // namespace

Result<ToolFormat> tool_format(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  const ChatMessage question{"user", "?"};
  Conversation asked = Conversation::of({&question, 1});
  TRY(const std::string plain, text_of(chat, tokenizer, asked));
  asked.tools = probe_tools();
  TRY(const std::string prompt, text_of(chat, tokenizer, asked));
  if (prompt == plain || !prompt.contains(kProbeName))
    return cannot("does not show tools to the model");

  const ChatMessage turns[] = {question, {"assistant", "", probe_call()}};
  Conversation answered = Conversation::of(turns);
  answered.tools = asked.tools;
  answered.add_generation_prompt = false;
  const auto rendered = text_of(chat, tokenizer, answered);
  if (!rendered || !rendered->starts_with(prompt))
    return cannot("does not show how calls are written");
  const std::string turn = rendered->substr(prompt.size());
  const std::size_t name = turn.find(kProbeName), key = turn.find(kProbeKey),
                    value = turn.find(kProbeValue);
  if (name == std::string::npos || key == std::string::npos || value == std::string::npos ||
      name > key)
    return cannot("does not write a call's name and then its arguments");
  const std::size_t begin = turn.rfind('{', key), end = turn.find('}', value);
  if (begin == std::string::npos || end == std::string::npos || begin < name + kProbeName.size() ||
      !json::parse(turn.substr(begin, end + 1 - begin)))
    return cannot("does not write a call's arguments as JSON");
  std::size_t over = std::string::npos;
  for (const Token stop : tokenizer.stop_tokens())
    over = std::min(over, turn.find(tokenizer.text(stop), end));
  if (over == std::string::npos) return cannot("does not end a turn with one of the stop tokens");
  ToolFormat out{.before = turn.substr(0, name),
                 .between = turn.substr(name + kProbeName.size(), begin - name - kProbeName.size()),
                 .after = turn.substr(end + 1, over - end - 1)};
  if (out.before.empty() || out.between.empty())
    return cannot("does not tell a call's name from other text");
  for (const std::string& part : {out.before, out.between, out.after})
    if (has_control(tokenizer, part)) return cannot("writes calls with control tokens");
  return out;
}

Result<canon::Automaton> tool_automaton(const ToolFormat& format, std::span<const Tool> tools,
                                        bool required) {
  Regular language;
  JsonText text(language);
  const Regular::State call = language.text(Regular::kStart, format.before);
  for (const Tool& tool : tools) {
    const Regular::State arguments = language.text(language.text(call, tool.name), format.between);
    const auto last = JsonSchema(language, tool.parameters).add(arguments);
    if (!last) return fail_in(fmt::format("tool '{}'", tool.name), last.error());
    language.accept(language.text(*last, format.after));
  }
  if (!required) {
    const Regular::State other = language.state();
    language.accept(other);
    text.anything(other, other);
    Regular::State at = Regular::kStart;
    for (const char c : trigger_of(format)) {
      const auto byte = static_cast<std::uint8_t>(c);
      if (byte >= 0x80)
        return fail(Errc::unsupported,
                    "this model's calls begin with other characters than ASCII: set tool_choice to "
                    "'required', 'none' or a function");
      language.accept(at);
      if (byte > 0) language.byte(at, 0, static_cast<std::uint8_t>(byte - 1), other);
      if (byte < 0x7f) language.byte(at, static_cast<std::uint8_t>(byte + 1), 0x7f, other);
      text.beyond_ascii(at, other);
      const Regular::State next = language.state();
      language.byte(at, byte, byte, next);
      at = next;
    }
  }
  return language.minimal();
}

std::vector<ToolCallReader::Part> ToolCallReader::push(std::string_view text) {
  using Kind = Part::Kind;
  std::vector<Part> out;
  held_ += text;
  if (mode_ == Mode::undecided) {
    const std::string_view start = format_.before;
    if (std::string_view(held_).starts_with(start)) {
      held_.erase(0, start.size());
      mode_ = Mode::name;
    } else if (!required_ && !start.starts_with(held_)) {
      mode_ = Mode::text;
    }
  }
  if (mode_ == Mode::name)
    if (const std::size_t end = held_.find(format_.between); end != std::string::npos) {
      out.push_back({Kind::name, held_.substr(0, end)});
      held_.erase(0, end + format_.between.size());
      mode_ = Mode::arguments;
    }
  if (mode_ == Mode::arguments) {
    // The rest of the call follows the object's last brace.
    if (std::string object = object_part(std::exchange(held_, {})); !object.empty())
      out.push_back({Kind::arguments, std::move(object)});
  } else if (mode_ == Mode::text && !held_.empty()) {
    out.push_back({Kind::text, std::exchange(held_, {})});
  }
  return out;
}

std::string ToolCallReader::object_part(std::string text) {
  if (ended_) return {};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (escaped_) {
      escaped_ = false;
    } else if (quoted_) {
      escaped_ = c == '\\';
      quoted_ = c != '"';
    } else if (c == '"') {
      quoted_ = true;
    } else if (c == '{') {
      ++depth_;
    } else if (c == '}' && --depth_ == 0) {
      ended_ = true;
      text.resize(i + 1);
    }
  }
  return text;
}

std::vector<ToolCallReader::Part> ToolCallReader::finish() {
  if (mode_ != Mode::undecided || required_ || held_.empty()) return {};
  return {{Part::Kind::text, std::exchange(held_, {})}};
}

}  // namespace assay::engine
