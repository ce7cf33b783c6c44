#include "engine/jinja/lexer.hpp"

#include <algorithm>

#include "engine/jinja/text.hpp"

namespace assay::engine::jinja {
namespace {

using TokenKind = Token::Kind;

std::string normalized(std::string_view source) {
  std::string out;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n') continue;
    out += source[i] == '\r' ? '\n' : source[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

// Well-formed as far as the tokens need it: every character decodes. U+FFFD
// itself may be written.
bool decodes(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (next_character(text, at) == 0xfffd && text.substr(begin, at - begin) != "\xef\xbf\xbd")
      return false;
  }
  return true;
}

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

void append_utf8(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static constexpr std::uint32_t kLead[] = {0, 0xc0, 0xe0, 0xf0};
  out += static_cast<char>(kLead[more] | c >> (6 * more));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | ((c >> (6 * i)) & 0x3f));
}

// Where the sign of a tag allows white space to go.
enum class Strip { no, all, as_set };

class Lexer {
 public:
  explicit Lexer(std::string_view source) : s_(source) {}

  Result<std::vector<Token>> run() {
    while (at_ < s_.size()) CHECK_OK(data());
    push(TokenKind::end, "", s_.size());
    return std::move(out_);
  }

 private:
  // Positions are asked for in rising order, so that the walk over the source
  // happens once.
  Position position(std::size_t offset) {
    for (; counted_ < offset; ++counted_) {
      if (s_[counted_] == '\n') {
        ++here_.line;
        here_.column = 1;
      } else if ((static_cast<unsigned char>(s_[counted_]) & 0xc0) != 0x80) {
        ++here_.column;
      }
    }
    return here_;
  }
  void push(TokenKind kind, std::string text, std::size_t offset) {
    out_.push_back({kind, std::move(text), position(offset)});
  }
  template <class... Args>
  std::unexpected<Error> bad(std::size_t offset, fmt::format_string<Args...> format,
                             Args&&... args) {
    return fail_at(position(offset), Errc::invalid, format, std::forward<Args>(args)...);
  }
  bool starts(std::string_view what, std::size_t at) const {
    return s_.substr(std::min(at, s_.size())).starts_with(what);
  }
  std::size_t skip_space(std::size_t at) const {
    while (at < s_.size() && is_space(static_cast<unsigned char>(s_[at]))) ++at;
    return at;
  }

  // Text up to the next tag, then the tag.
  Status data() {
    std::size_t tag = at_;
    do {
      tag = s_.find('{', tag);
      if (tag == s_.npos) tag = s_.size();
      if (tag < s_.size() && (starts("{{", tag) || starts("{%", tag) || starts("{#", tag))) break;
      tag = std::min(tag + 1, s_.size());
    } while (tag < s_.size());
    if (tag == s_.size()) {
      push(TokenKind::data, std::string(s_.substr(at_)), at_);
      at_ = tag;
      return {};
    }
    const char kind = s_[tag + 1];
    const char sign = tag + 2 < s_.size() ? s_[tag + 2] : ' ';
    const bool signed_tag = sign == '-' || sign == '+';
    text(tag, sign == '-' ? Strip::all : kind != '{' && sign != '+' ? Strip::as_set : Strip::no);
    at_ = tag + (signed_tag ? 3 : 2);
    if (kind == '#') return comment(tag);
    if (kind == '%' && is_raw()) return raw(tag);
    push(kind == '%' ? TokenKind::block_begin : TokenKind::print_begin, "", tag);
    return inside(kind == '%', tag);
  }

  void text(std::size_t end, Strip strip) {
    std::string_view text = s_.substr(at_, end - at_);
    if (strip == Strip::all) {
      text = text.substr(0, trim(Text::literal(text), Side::right).size());
    } else if (strip == Strip::as_set) {
      const std::size_t newline = text.rfind('\n');
      const std::size_t begin = newline == text.npos ? 0 : newline + 1;
      const bool blank = trim(Text::literal(text.substr(begin)), Side::both).empty();
      if (blank && (begin > 0 || line_start_)) text = text.substr(0, begin);
    }
    if (!text.empty()) push(TokenKind::data, std::string(text), at_);
  }

  // The end of a tag at `end`, of `size` characters, after which white space
  // may go.
  void finish(std::size_t end, std::size_t size, bool trimmed, bool all) {
    at_ = end + size;
    if (all)
      at_ = skip_space(at_);
    else if (trimmed && at_ < s_.size() && s_[at_] == '\n')
      ++at_;
    line_start_ = s_[at_ - 1] == '\n';
  }

  Status comment(std::size_t tag) {
    const std::size_t end = s_.find("#}", at_);
    if (end == s_.npos) return bad(tag, "the comment has no end");
    const char sign = end > at_ ? s_[end - 1] : ' ';
    finish(end, 2, sign != '+', sign == '-');
    return {};
  }

  bool is_raw() const {
    std::size_t at = skip_space(at_);
    if (!starts("raw", at)) return false;
    at = skip_space(at + 3);
    return starts("%}", at) || starts("-%}", at);
  }

  Status raw(std::size_t tag) {
    at_ = s_.find("%}", at_) + 2;
    if (s_[at_ - 3] == '-') at_ = skip_space(at_);
    line_start_ = s_[at_ - 1] == '\n';
    for (std::size_t end = s_.find("{%", at_); end != s_.npos; end = s_.find("{%", end + 2)) {
      std::size_t at = end + 2;
      const char sign = at < s_.size() ? s_[at] : ' ';
      if (sign == '-' || sign == '+') ++at;
      at = skip_space(at);
      if (!starts("endraw", at)) continue;
      at = skip_space(at + 6);
      const char last = at < s_.size() ? s_[at] : ' ';
      if (last == '-' || last == '+') ++at;
      if (!starts("%}", at)) continue;
      text(end, sign == '-' ? Strip::all : sign == '+' ? Strip::no : Strip::as_set);
      finish(at, 2, last != '+', last == '-');
      return {};
    }
    return bad(tag, "the raw block has no end");
  }

  // Expression tokens up to the end of the tag.
  Status inside(bool block, std::size_t tag) {
    const std::string_view close = block ? "%}" : "}}";
    std::string brackets;
    while (true) {
      at_ = skip_space(at_);
      if (at_ >= s_.size()) return bad(tag, "the tag has no end");
      const bool minus = s_[at_] == '-', plus = block && s_[at_] == '+';
      if (brackets.empty() && starts(close, at_ + (minus || plus ? 1 : 0))) {
        push(block ? TokenKind::block_end : TokenKind::print_end, "", at_);
        finish(at_, minus || plus ? 3 : 2, block && !plus, minus);
        return {};
      }
      const char c = s_[at_];
      if (is_digit(c)) {
        CHECK_OK(number());
      } else if (is_name_start(c)) {
        const std::size_t begin = at_;
        while (at_ < s_.size() && (is_name_start(s_[at_]) || is_digit(s_[at_]))) ++at_;
        push(TokenKind::name, std::string(s_.substr(begin, at_ - begin)), begin);
      } else if (c == '\'' || c == '"') {
        CHECK_OK(string());
      } else {
        CHECK_OK(symbol(brackets));
      }
    }
  }

  Status symbol(std::string& brackets) {
    static constexpr std::string_view kSymbols[] = {
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<",
        ">",  "=",  ".",  ",",  ":",  "|",  "(", ")", "[", "]", "{", "}"};
    for (const std::string_view symbol : kSymbols) {
      if (!starts(symbol, at_)) continue;
      if (symbol == "(" || symbol == "[" || symbol == "{") brackets += symbol;
      if (symbol == ")" || symbol == "]" || symbol == "}") {
        const char opening = symbol == ")" ? '(' : symbol == "]" ? '[' : '{';
        if (brackets.empty() || brackets.back() != opening)
          return bad(at_, "'{}' closes nothing", symbol);
        brackets.pop_back();
      }
      push(TokenKind::symbol, std::string(symbol), at_);
      at_ += symbol.size();
      return {};
    }
    std::size_t next = at_;
    next_character(s_, next);
    return bad(at_, "'{}' does not belong into a tag", s_.substr(at_, next - at_));
  }

  // Digits with '_' between them.
  std::string digits() {
    std::string out;
    while (at_ < s_.size() &&
           (is_digit(s_[at_]) ||
            (s_[at_] == '_' && !out.empty() && at_ + 1 < s_.size() && is_digit(s_[at_ + 1])))) {
      if (s_[at_] != '_') out += s_[at_];
      ++at_;
    }
    return out;
  }

  Status number() {
    const std::size_t begin = at_;
    std::string text = digits();
    bool real = false;
    if (at_ + 1 < s_.size() && s_[at_] == '.' && is_digit(s_[at_ + 1])) {
      ++at_;
      text += '.' + digits();
      real = true;
    }
    if (at_ < s_.size() && (s_[at_] == 'e' || s_[at_] == 'E')) {
      const std::size_t sign = starts("+", at_ + 1) || starts("-", at_ + 1) ? 1 : 0;
      if (at_ + 1 + sign < s_.size() && is_digit(s_[at_ + 1 + sign])) {
        text += 'e';
        if (s_[at_ + 1] == '-') text += '-';
        at_ += 1 + sign;
        text += digits();
        real = true;
      }
    }
    if (at_ < s_.size() && is_name_start(s_[at_]))
      return bad(begin, "the number '{}' is not supported", s_.substr(begin, at_ + 1 - begin));
    if (!real && text.size() > 1 && text[0] == '0' && text.find_first_not_of('0') != text.npos)
      return bad(begin, "a number cannot begin with 0");
    push(real ? TokenKind::real : TokenKind::integer, std::move(text), begin);
    return {};
  }

  Status string() {
    const std::size_t begin = at_++;
    const char quote = s_[begin];
    std::string out;
    while (at_ < s_.size() && s_[at_] != quote) {
      if (s_[at_] == '\\' && at_ + 1 < s_.size())
        CHECK_OK(escape(out));
      else
        out += s_[at_++];
    }
    if (at_ >= s_.size()) return bad(begin, "the string has no end");
    ++at_;
    push(TokenKind::string, std::move(out), begin);
    return {};
  }

  // As Python's: an unknown escape stays as it is written.
  Status escape(std::string& out) {
    static constexpr std::string_view kLetters = "ntrabfv\\'\"", kMeanings = "\n\t\r\a\b\f\v\\'\"";
    const std::size_t begin = at_;
    const char c = s_[at_ + 1];
    at_ += 2;
    if (c == '\n') return {};
    if (const auto i = kLetters.find(c); i != kLetters.npos) {
      out += kMeanings[i];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const std::size_t length = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      const std::string_view hex = s_.substr(at_, length);
      if (hex.size() != length || !std::ranges::all_of(hex, is_hex))
        return bad(begin, "the escape '\\{}' needs {} hexadecimal digits", c, length);
      const auto code = static_cast<std::uint32_t>(std::stoul(std::string(hex), nullptr, 16));
      if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return bad(begin, "the escape names no character");
      append_utf8(out, code);
      at_ += length;
    } else if (c >= '0' && c <= '7') {
      std::uint32_t code = static_cast<std::uint32_t>(c - '0');
      for (int more = 0; more < 2 && at_ < s_.size() && s_[at_] >= '0' && s_[at_] <= '7'; ++more)
        code = code * 8 + static_cast<std::uint32_t>(s_[at_++] - '0');
      append_utf8(out, code);
    } else if (c == 'N') {
      return bad(begin, "the escape '\\N' is not supported");
    } else {
      out += '\\';
      --at_;
    }
    return {};
  }

  std::string_view s_;
  std::size_t at_ = 0, counted_ = 0;
  Position here_;
  bool line_start_ = true;  // what came before at_ ended a line
  std::vector<Token> out_;
};

}  // namespace

std::unexpected<Error> fail_at(Position at, const Error& error) {
  return fail_in(fmt::format("line {}, column {}", at.line, at.column), error);
}

Result<std::vector<Token>> tokenize(std::string_view source) {
  if (!decodes(source)) return fail(Errc::invalid, "the text is not UTF-8");
  const std::string text = normalized(source);
  return Lexer(text).run();
}

}  // namespace assay::engine::jinja
