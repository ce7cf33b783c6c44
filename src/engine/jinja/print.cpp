#include "engine/jinja/print.hpp"

#include <charconv>
#include <cmath>

namespace assay::engine::jinja {
namespace {

// Characters that repr() escapes although they are not ASCII controls;
// unassigned code points are not among them.
bool unprintable(char32_t c) {
  return (c >= 0x7f && c <= 0xa0) || c == 0xad || c == 0x1680 || (c >= 0x2000 && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202f) || (c >= 0x205f && c <= 0x206f) || c == 0x3000 ||
         (c >= 0xe000 && c <= 0xf8ff) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
         c >= 0xe0000;
}

// Not with fmt: a hostile text may consist of nothing else.
void write_hex(std::string& out, std::uint32_t n, int digits) {
  for (int i = digits - 1; i >= 0; --i) out += "0123456789abcdef"[n >> (4 * i) & 15];
}

void write_escaped(std::string& out, char32_t c) {
  const auto n = static_cast<std::uint32_t>(c);
  const int digits = c < 0x100 ? 2 : c < 0x10000 ? 4 : 8;
  out += digits == 2 ? "\\x" : digits == 4 ? "\\u" : "\\U";
  write_hex(out, n, digits);
}

void write_repr(std::string& out, std::string_view s) {
  const bool apostrophe = s.find('\'') != s.npos, quote = s.find('"') != s.npos;
  const char around = apostrophe && !quote ? '"' : '\'';
  out += around;
  for (std::size_t at = 0; at < s.size();) {
    const std::size_t begin = at;
    const char32_t c = next_character(s, at);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\\' || c == static_cast<char32_t>(around)) {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20 || unprintable(c)) {
      write_escaped(out, c);
    } else {
      out += s.substr(begin, at - begin);
    }
  }
  out += around;
}

Status write_value(std::string& out, const Value& value, Work& work);

Status write_list(std::string& out, const List& list, Work& work) {
  if (list.kind != List::Kind::list && list.kind != List::Kind::tuple)
    return fail(Errc::unsupported, "a generator has no text: make it a list with '| list'");
  const bool tuple = list.kind == List::Kind::tuple;
  out += tuple ? '(' : '[';
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out += ", ";
    CHECK_OK(write_value(out, list.items[i], work));
  }
  if (tuple && list.items.size() == 1) out += ',';
  out += tuple ? ')' : ']';
  return {};
}

// repr()
Status write_value(std::string& out, const Value& value, Work& work) {
  CHECK_OK(work.spend(1));
  if (const Text* t = value.text()) {
    if (t->marked())
      return fail(Errc::unsupported,
                  "a list with a string that went through 'safe' or 'escape' cannot be printed");
    CHECK_OK(work.spend_bytes(t->size()));
    write_repr(out, t->bytes());
  } else if (const List* l = value.list()) {
    return write_list(out, *l, work);
  } else if (const Dict* d = value.dict()) {
    out += '{';
    bool first = true;
    for (const auto& [key, member] : d->entries) {
      if (!std::exchange(first, false)) out += ", ";
      CHECK_OK(work.spend_bytes(key.size()));
      write_repr(out, key.bytes());
      out += ": ";
      CHECK_OK(write_value(out, member, work));
    }
    out += '}';
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else if (value.is_none()) {
    out += "None";
  } else if (const auto* b = value.if_is<bool>()) {
    out += *b ? "True" : "False";
  } else if (const auto* i = value.if_is<std::int64_t>()) {
    out += std::to_string(*i);
  } else if (const auto* f = value.if_is<double>()) {
    out += python_float(*f);
  } else {
    return fail(Errc::unsupported, "a {} cannot be printed", value.type_name());
  }
  return {};
}

void write_json_string(std::string& out, std::string_view s, bool ascii) {
  out += '"';
  for (std::size_t at = 0; at < s.size();) {
    const std::size_t begin = at;
    const char32_t c = next_character(s, at);
    static constexpr std::string_view kShort = "\"\\\n\r\t\f\b", kLetters = "\"\\nrtfb";
    if (const auto i = c < 0x80 ? kShort.find(static_cast<char>(c)) : kShort.npos;
        i != kShort.npos) {
      out += '\\';
      out += kLetters[i];
    } else if (c < 0x20 || (ascii && c >= 0x7f && c < 0x10000)) {
      if (c == 0x7f) {
        out += '\x7f';
      } else {
        out += "\\u";
        write_hex(out, static_cast<std::uint32_t>(c), 4);
      }
    } else if (ascii && c >= 0x10000) {
      const auto n = static_cast<std::uint32_t>(c) - 0x10000;
      out += "\\u";
      write_hex(out, 0xd800 + (n >> 10), 4);
      out += "\\u";
      write_hex(out, 0xdc00 + (n & 0x3ff), 4);
    } else {
      out += s.substr(begin, at - begin);
    }
  }
  out += '"';
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, Work& work) : style_(style), work_(work) {}

  Status write(const Value& value, std::size_t level) {
    // And what stands before it, and after it if it is the last.
    const std::size_t indent = style_.indent ? 2 * level * (1 + style_.indent->size()) : 0;
    CHECK_OK(work_.spend_bytes(indent + style_.item.size() + style_.key.size()));
    if (const Text* t = value.text()) {
      CHECK_OK(work_.spend_bytes(t->size()));
      write_json_string(out, t->bytes(), style_.ascii);
    } else if (const List* l = value.list();
               l != nullptr && (l->kind == List::Kind::list || l->kind == List::Kind::tuple)) {
      return write_list(*l, level);
    } else if (const Dict* d = value.dict()) {
      return write_dict(*d, level);
    } else if (value.is_none()) {
      out += "null";
    } else if (const auto* b = value.if_is<bool>()) {
      out += *b ? "true" : "false";
    } else if (const auto* i = value.if_is<std::int64_t>()) {
      out += std::to_string(*i);
    } else if (const auto* f = value.if_is<double>()) {
      out += std::isnan(*f)   ? "NaN"
             : std::isinf(*f) ? (*f < 0 ? "-Infinity" : "Infinity")
                              : python_float(*f);
    } else {
      return fail(Errc::invalid, "a value of type '{}' has no JSON", value.type_name());
    }
    return {};
  }

  std::string out;

 private:
  Status write_list(const List& list, std::size_t level) {
    out += '[';
    bool first = true;
    for (const Value& item : list.items) {
      between(std::exchange(first, false), level + 1);
      CHECK_OK(write(item, level + 1));
    }
    if (!first) newline(level);
    out += ']';
    return {};
  }

  Status write_dict(const Dict& dict, std::size_t level) {
    out += '{';
    bool first = true;
    for (std::size_t i = 0; i < dict.entries.size(); ++i) {
      const auto& [key, member] = dict.entries[style_.sort_keys ? dict.sorted[i] : i];
      between(std::exchange(first, false), level + 1);
      CHECK_OK(work_.spend_bytes(key.size()));
      write_json_string(out, key.bytes(), style_.ascii);
      out += style_.key;
      CHECK_OK(write(member, level + 1));
    }
    if (!first) newline(level);
    out += '}';
    return {};
  }

  void between(bool first, std::size_t level) {
    if (!first) out += style_.item;
    newline(level);
  }
  void newline(std::size_t level) {
    if (!style_.indent) return;
    out += '\n';
    for (std::size_t i = 0; i < level; ++i) out += *style_.indent;
  }

  const JsonStyle& style_;
  Work& work_;
};

}  // namespace

std::string python_float(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto scientific =
      std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific);
  const std::string_view text(buffer, scientific.ptr);
  const auto e = text.find('e');
  int exponent = 0;
  const char* digits = text.data() + e + 1;
  std::from_chars(*digits == '+' ? digits + 1 : digits, text.data() + text.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::fixed);
  std::string out(buffer, fixed.ptr);
  if (out.find('.') == out.npos) out += ".0";
  return out;
}

Result<Text> to_text(const Value& value, Work& work) {
  if (value.is_undefined()) return Text();
  if (const Text* t = value.text()) {
    CHECK_OK(work.spend_bytes(t->weight()));
    return *t;
  }
  std::string out;
  CHECK_OK(write_value(out, value, work));
  return Text(std::move(out), false);
}

Result<Text> to_json(const Value& value, const JsonStyle& style, Work& work) {
  JsonWriter writer(style, work);
  CHECK_OK(writer.write(value, 0));
  CHECK_OK(work.spend_bytes(writer.out.size()));
  return Text(std::move(writer.out), false);
}

}  // namespace assay::engine::jinja
