#include "engine/grammar/json_text.hpp"

#include <fmt/format.h>
#include <map>

namespace assay::engine {
namespace {

constexpr std::string_view kEscaped = "\"\\/bfnrt";

}  // namespace

void JsonText::continuation(State from, unsigned count, State to) {
  for (; count > 1; --count) {
    const State next = to_.state();
    byte(from, 0x80, 0xbf, next);
    from = next;
  }
  byte(from, 0x80, 0xbf, to);
}

// Well-formed UTF-8 from U+0080 on: Unicode table 3-7.
void JsonText::beyond_ascii(State from, State to) {
  const auto lead = [&](unsigned first, unsigned last, unsigned low, unsigned high, unsigned more) {
    const State second = to_.state();
    byte(from, first, last, second);
    if (more == 0) return byte(second, low, high, to);
    const State rest = to_.state();
    byte(second, low, high, rest);
    continuation(rest, more, to);
  };
  lead(0xc2, 0xdf, 0x80, 0xbf, 0);
  lead(0xe0, 0xe0, 0xa0, 0xbf, 1);
  lead(0xe1, 0xec, 0x80, 0xbf, 1);
  lead(0xed, 0xed, 0x80, 0x9f, 1);
  lead(0xee, 0xef, 0x80, 0xbf, 1);
  lead(0xf0, 0xf0, 0x90, 0xbf, 2);
  lead(0xf1, 0xf3, 0x80, 0xbf, 2);
  lead(0xf4, 0xf4, 0x80, 0x8f, 2);
}

void JsonText::anything(State from, State to) {
  byte(from, 0, 0x7f, to);
  beyond_ascii(from, to);
}

void JsonText::plain(State from, State to) {
  byte(from, 0x20, '"' - 1, to);
  byte(from, '"' + 1, '\\' - 1, to);
  byte(from, '\\' + 1, 0x7f, to);
  beyond_ascii(from, to);
}

Regular::State JsonText::hex(State from) {
  const State to = to_.state();
  byte(from, '0', '9', to);
  byte(from, 'a', 'f', to);
  byte(from, 'A', 'F', to);
  return to;
}

void JsonText::character(State from, State to) {
  plain(from, to);
  const State escape = to_.text(from, "\\");
  for (const char c : kEscaped)
    byte(escape, static_cast<unsigned char>(c), static_cast<unsigned char>(c), to);
  const State u = to_.text(escape, "u");
  const State first = to_.state(), d = to_.state();
  byte(u, '0', '9', first);
  for (const auto& [a, b] : {std::pair{'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}})
    byte(u, static_cast<unsigned>(a), static_cast<unsigned>(b), first);
  to_.skip(hex(hex(hex(first))), to);
  byte(u, 'd', 'd', d);
  byte(u, 'D', 'D', d);
  const State below = to_.state(), high = to_.state();  // U+D7FF and below; a high surrogate
  byte(d, '0', '7', below);
  to_.skip(hex(hex(below)), to);
  for (const auto& [a, b] : {std::pair{'8', '9'}, {'a', 'b'}, {'A', 'B'}})
    byte(d, static_cast<unsigned>(a), static_cast<unsigned>(b), high);
  const State low = to_.text(hex(hex(high)), "\\u"), low_d = to_.state(), low_rest = to_.state();
  byte(low, 'd', 'd', low_d);
  byte(low, 'D', 'D', low_d);
  byte(low_d, 'c', 'f', low_rest);
  byte(low_d, 'C', 'F', low_rest);
  to_.skip(hex(hex(low_rest)), to);
}

Regular::State JsonText::string_rest(State from, std::size_t least,
                                     std::optional<std::size_t> most) {
  const State end = to_.state();
  std::size_t count = 0;
  for (; count < most.value_or(least) && !to_.too_large(); ++count) {
    if (count >= least) to_.text(from, "\"", end);
    const State next = to_.state();
    character(from, next);
    from = next;
  }
  if (!most) {
    const State loop = to_.state();
    to_.skip(from, loop);
    character(loop, loop);
    from = loop;
  }
  to_.text(from, "\"", end);
  return end;
}

Regular::State JsonText::digits(State from, std::size_t first, std::size_t most) {
  const State end = to_.state();
  State at = to_.state();
  byte(from, static_cast<unsigned>('0' + first), '9', at);
  to_.skip(at, end);
  if (most == 0) byte(at, '0', '9', at);
  for (std::size_t i = 1; i < most; ++i) {
    const State next = to_.state();
    byte(at, '0', '9', next);
    to_.skip(next, end);
    at = next;
  }
  return end;
}

Regular::State JsonText::number(State from, std::size_t most, bool integer) {
  const State whole = to_.state(), end = to_.state();
  to_.skip(from, whole);
  to_.text(from, "-", whole);
  const State point = digits(whole, 1, most);
  to_.text(whole, "0", point);
  to_.skip(point, end);
  if (integer) return end;
  const State exponent = digits(to_.text(point, "."), 0, most);
  to_.skip(exponent, end);
  const State e = to_.state(), sign = to_.state();
  for (const State s : {point, exponent}) {
    to_.text(s, "e", e);
    to_.text(s, "E", e);
  }
  to_.skip(e, sign);
  to_.text(e, "+", sign);
  to_.text(e, "-", sign);
  to_.skip(digits(sign, 0, 2), end);
  return end;
}

Regular::State JsonText::then(State from, char separator) {
  const State to = to_.text(from, std::string_view(&separator, 1));
  const State spaced = to_.state();
  to_.skip(to, spaced);
  to_.text(to, " ", spaced);
  return spaced;
}

Regular::State JsonText::any(State from, unsigned depth) {
  const State end = to_.state();
  for (const std::string_view word : {"null", "true", "false"}) to_.text(from, word, end);
  to_.skip(string(from), end);
  to_.skip(number(from, 0), end);
  if (depth == 0) return end;
  to_.skip(object(from, depth), end);
  const State array = to_.text(from, "["), element = to_.state();
  to_.text(array, "]", end);
  to_.skip(array, element);
  const State last = any(element, depth - 1);
  to_.skip(then(last, ','), element);
  to_.text(last, "]", end);
  return end;
}

Regular::State JsonText::object(State from, unsigned depth) {
  const State end = to_.state(), open = to_.text(from, "{"), key = to_.state();
  to_.text(open, "}", end);
  to_.skip(open, key);
  const State member = any(then(string(key), ':'), depth - 1);
  to_.skip(then(member, ','), key);
  to_.text(member, "}", end);
  return end;
}

Regular::State JsonText::other_key(State from, const std::vector<std::string>& names) {
  // The names as a tree of characters: what leaves it is another key. A character beyond ASCII may
  // leave it only where no name goes on with one.
  struct Node {
    std::map<std::string, std::size_t> next;
    bool name = false;
  };
  std::vector<Node> tree(1);
  for (const std::string& name : names) {
    std::size_t at = 0;
    for (std::size_t i = 0; i < name.size();) {
      std::size_t length = 1;
      while (i + length < name.size() && (name[i + length] & 0xc0) == 0x80) ++length;
      const auto [it, fresh] = tree[at].next.try_emplace(name.substr(i, length), tree.size());
      at = it->second;  // before the tree moves
      if (fresh) tree.emplace_back();
      i += length;
    }
    tree[at].name = true;
  }
  const State end = to_.state(), other = to_.state(), open = to_.text(from, "\"");
  plain(other, other);
  to_.text(other, "\"", end);
  std::vector<State> states{open};
  while (states.size() < tree.size()) states.push_back(to_.state());
  for (std::size_t n = 0; n < tree.size(); ++n) {
    std::string ascii;
    bool beyond = false;
    for (const auto& [text, child] : tree[n].next) {
      if (text.size() > 1) beyond = true;
      if (text.size() == 1) ascii += text;
      if (text != "\"" && text != "\\" && static_cast<unsigned char>(text[0]) >= 0x20)
        to_.text(states[n], text, states[child]);
    }
    for (unsigned c = 0x20; c < 0x80; ++c)
      if (c != '"' && c != '\\' && ascii.find(static_cast<char>(c)) == std::string::npos)
        byte(states[n], c, c, other);
    if (!beyond) beyond_ascii(states[n], other);
    if (!tree[n].name) to_.text(states[n], "\"", end);
  }
  return end;
}

std::string JsonText::spelling(const json::value& value) {
  std::string out;
  if (const json::array* list = value.if_array()) {
    for (const json::value& v : *list) out += (out.empty() ? "" : ",") + spelling(v);
    return "[" + out + "]";
  }
  if (const json::object* o = value.if_object()) {
    for (const auto& [k, v] : *o)
      out += (out.empty() ? "" : ",") + json::dump(json::value(k)) + ":" + spelling(v);
    return "{" + out + "}";
  }
  if (const double* d = value.if_double()) return fmt::format("{}", *d);
  return json::dump(value);
}

}  // namespace assay::engine
