#include "verify/quote.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace assay::verify {
namespace {

// Cells of the table of costs: 64 MiB of steps.
constexpr std::size_t kCellsMax = std::size_t{64} << 20;

// A word, a punctuation mark, or a character of a script without spaces.
struct Token {
  std::string text;        // made alike
  bool space;              // in front of it
  bool gap;                // "[…]"
  bool word;               // not only a mark
  std::size_t begin, end;  // in the source

  bool operator==(const Token& other) const { return text == other.text && space == other.space; }
};

struct Character {
  char32_t code;
  std::size_t size;
};

// Malformed bytes are characters beyond Unicode, each its own.
Character character_at(std::string_view s, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(s[at + i]); };
  const std::uint8_t first = byte(0);
  const std::size_t size = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (size == 1) return {first, 1};
  if (first < 0xc2 || first > 0xf4 || s.size() - at < size) return {0x110000u + first, 1};
  char32_t code = first & (0xffu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0x110000u + first, 1};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  return {code, size};
}

bool is_white(char32_t c) {
  return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}
bool is_nothing(char32_t c) { return c == 0xad || c == 0x2060 || c == 0xfeff || c == 0x200b; }
char mark_of(char32_t c) {  // 0: not a quotation mark
  switch (c) {
    case '"':
    case 0xab:
    case 0xbb:
    case 0x201c:
    case 0x201d:
    case 0x201e:
    case 0x201f:
    case 0x2033:
    case 0x2036:
    case 0x301d:
    case 0x301e:
    case 0x301f:
    case 0xff02:
      return '"';
    case '\'':
    case '`':
    case 0xb4:
    case 0x2018:
    case 0x2019:
    case 0x201a:
    case 0x201b:
    case 0x2032:
    case 0x2035:
    case 0x2039:
    case 0x203a:
    case 0x2bc:
    case 0xff07:
      return '\'';
    default:
      return 0;
  }
}
bool stands_alone(char32_t c) {
  const bool punctuation = c < 0x80 && c > ' ' && !(c >= '0' && c <= '9') &&
                           !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z');
  return punctuation || (c >= 0x2010 && c <= 0x205e) || c >= 0x2e80;
}

// The length of a "[…]" here; 0: none.
std::size_t gap_at(std::string_view s) {
  for (const std::string_view gap : {"[…]", "[...]", "(…)", "(...)"})
    if (s.starts_with(gap)) return gap.size();
  return 0;
}

// `quoted`: may have gaps.
std::vector<Token> tokens_of(std::string_view s, bool quoted) {
  std::vector<Token> out;
  bool space = false, in_word = false;
  enum Kind { word, mark, gap };
  const auto push = [&](Kind kind, std::string text, std::size_t begin, std::size_t end) {
    out.push_back({std::move(text), space && !out.empty(), kind == gap, kind == word, begin, end});
    space = false;
  };
  for (std::size_t at = 0; at < s.size();) {
    if (const std::size_t size = quoted ? gap_at(s.substr(at)) : 0; size != 0) {
      push(gap, "", at, at + size);
      in_word = false;
      at += size;
      continue;
    }
    const auto [code, size] = character_at(s, at);
    const std::string_view bytes = s.substr(at, size);
    at += size;
    if (is_white(code)) {
      // The space inside « … » belongs to the marks.
      space = out.empty() || s.substr(out.back().begin, out.back().end - out.back().begin) != "«";
      in_word = false;
    } else if (is_nothing(code)) {
      continue;
    } else if (const char quotation = mark_of(code); quotation != 0) {
      if (code == 0xbb) space = false;
      push(mark, std::string(1, quotation), at - size, at);
      in_word = false;
    } else if (stands_alone(code)) {
      push(code < 0x2e80 ? mark : word, std::string(bytes), at - size, at);
      in_word = false;
    } else {
      if (!in_word) push(word, "", at - size, at);
      out.back().text += bytes;
      out.back().end = at;
      in_word = true;
    }
  }
  return out;
}

enum class Step : std::uint8_t { same, quoted, in_signed, omitted };

// The cheapest way to turn a stretch of the signed text into the quote, first to last; what is
// around the stretch costs nothing, nor does what a gap leaves out.
struct Alignment {
  std::vector<Step> steps;
  std::size_t begin = 0, end = 0;  // of the signed tokens
  std::size_t cost = 0;
};

bool same_token(const std::vector<Token>& quote, std::size_t i, const Token& t) {
  const bool any_space = i == 0 || quote[i - 1].gap;  // where a stretch begins
  return quote[i].text == t.text && (any_space || quote[i].space == t.space);
}

Alignment align(const std::vector<Token>& quote, const std::vector<Token>& text) {
  const std::size_t n = quote.size(), m = text.size(), width = m + 1;
  std::vector<Step> steps((n + 1) * width, Step::in_signed);
  std::vector<std::uint32_t> above(width, 0), row(width);
  for (std::size_t i = 1; i <= n; ++i) {
    const bool gap = quote[i - 1].gap;
    // A little less for what is only signed: of two ways that differ by a word, the one that keeps
    // more of the quote together.
    const std::uint32_t price = gap ? 0 : 3, price_signed = gap ? 0 : 2;
    Step* step = &steps[i * width];
    row[0] = above[0] + price;
    step[0] = Step::quoted;
    for (std::size_t j = 1; j <= m; ++j) {
      row[j] = above[j] + price;
      step[j] = Step::quoted;
      // Of equals the order of a correction: what was quoted, then what was signed. A gap ends
      // early.
      if (const auto left = row[j - 1] + price_signed; gap ? left < row[j] : left <= row[j]) {
        row[j] = left;
        step[j] = gap ? Step::omitted : Step::in_signed;
      }
      if (!gap && above[j - 1] <= row[j] && same_token(quote, i - 1, text[j - 1])) {
        row[j] = above[j - 1];
        step[j] = Step::same;
      }
    }
    std::swap(above, row);
  }
  Alignment out;
  out.end = static_cast<std::size_t>(std::ranges::min_element(above) - above.begin());
  out.cost = above[out.end];
  std::size_t i = n, j = out.end;
  while (i > 0) {
    const Step step = steps[i * width + j];
    out.steps.push_back(step);
    if (step != Step::in_signed && step != Step::omitted) --i;
    if (step != Step::quoted) --j;
  }
  out.begin = j;
  std::ranges::reverse(out.steps);
  return out;
}

std::string source(std::string_view s, const Token& token) {
  return (token.space ? " " : "") + std::string(s.substr(token.begin, token.end - token.begin));
}

std::optional<std::string_view> without_marks(std::string_view s, const std::vector<Token>& t) {
  if (t.size() < 3 || t.front().text != t.back().text ||
      (t.front().text != "\"" && t.front().text != "'"))
    return std::nullopt;
  return s.substr(t.front().end, t.back().begin - t.front().end);
}

QuoteComparison compare_quotes(std::string_view quoted, std::string_view signed_text) {
  const auto quote = tokens_of(quoted, true), text = tokens_of(signed_text, false);
  QuoteComparison out;
  const bool empty = std::ranges::none_of(quote, &Token::word);
  if (empty || (quote.size() + 1) > kCellsMax / (text.size() + 1)) return out;
  const Alignment way = align(quote, text);
  const auto add = [&](QuotePart::Kind kind, std::string piece) {
    if (out.parts.empty() || out.parts.back().kind != kind) out.parts.push_back({kind, {}});
    out.parts.back().text += piece;
  };
  std::size_t i = 0, j = way.begin;
  bool gaps = false;
  for (const Step step : way.steps) {
    switch (step) {
      case Step::same:
        add(QuotePart::Kind::same, source(signed_text, text[j++]));
        ++i;
        break;
      case Step::in_signed:
        add(QuotePart::Kind::only_signed, source(signed_text, text[j++]));
        break;
      case Step::omitted:
        add(QuotePart::Kind::omitted, source(signed_text, text[j++]));
        break;
      case Step::quoted:
        if (quote[i].gap)
          gaps = true;
        else
          add(QuotePart::Kind::only_quoted, source(quoted, quote[i]));
        ++i;
        break;
    }
  }
  if (way.cost == 0)
    out.verdict = way.begin == 0 && way.end == text.size() && !gaps ? QuoteVerdict::whole
                                                                    : QuoteVerdict::excerpt;
  out.exact = way.cost == 0 && !gaps && signed_text.find(quoted) != std::string_view::npos;
  if (way.begin > 0) out.before = signed_text.substr(0, text[way.begin].begin);
  if (way.end < text.size() && way.end > 0) out.after = signed_text.substr(text[way.end - 1].end);
  return out;
}

}  // namespace

QuoteComparison compare_quote(std::string_view quoted, std::string_view signed_text) {
  QuoteComparison out = compare_quotes(quoted, signed_text);
  if (out.verdict != QuoteVerdict::differs) return out;
  const auto inner = without_marks(quoted, tokens_of(quoted, true));
  if (!inner) return out;
  QuoteComparison bare = compare_quotes(*inner, signed_text);
  return bare.verdict == QuoteVerdict::differs ? out : bare;
}

std::string_view to_string(QuoteVerdict verdict) {
  constexpr std::array<std::string_view, 3> kWords{"whole", "excerpt", "differs"};
  return kWords[static_cast<std::size_t>(verdict)];
}
std::string_view to_string(QuotePart::Kind kind) {
  constexpr std::array<std::string_view, 4> kWords{"same", "only_quoted", "only_signed", "omitted"};
  return kWords[static_cast<std::size_t>(kind)];
}

}  // namespace assay::verify
