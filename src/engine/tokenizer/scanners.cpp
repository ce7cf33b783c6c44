#include "engine/tokenizer/scanners.hpp"

#include <algorithm>
#include <iterator>

namespace assay::engine {
namespace {

using enum CharClass;

bool in(std::uint32_t code, std::uint32_t first, std::uint32_t last) {
  return first <= code && code <= last;
}
bool ascii_letter(std::uint32_t code) { return in(code | 0x20, 'a', 'z'); }
bool ascii_sign(std::uint32_t code) {
  return in(code, '!', '/') || in(code, ':', '@') || in(code, '[', '`') || in(code, '{', '~');
}

// The letters of DeepSeek LLM's rule: those of alphabets with two cases, as of its training.
constexpr struct {
  std::uint32_t first, last;
} kLetters[] = {{0x41, 0x5a},       {0x61, 0x7a},       {0xb5, 0xb5},       {0xc0, 0xd6},
                {0xd8, 0xf6},       {0xf8, 0x1ba},      {0x1bc, 0x1bf},     {0x1c4, 0x293},
                {0x295, 0x2af},     {0x370, 0x373},     {0x376, 0x377},     {0x37b, 0x37d},
                {0x37f, 0x37f},     {0x386, 0x386},     {0x388, 0x38a},     {0x38c, 0x38c},
                {0x38e, 0x3a1},     {0x3a3, 0x3f5},     {0x3f7, 0x481},     {0x48a, 0x52f},
                {0x531, 0x556},     {0x10a0, 0x10c5},   {0x13a0, 0x13f5},   {0x13f8, 0x13fd},
                {0x1c90, 0x1cba},   {0x1cbd, 0x1cbf},   {0x1d00, 0x1d2b},   {0x1d6b, 0x1d77},
                {0x1d79, 0x1d9a},   {0x1e00, 0x1f15},   {0x1f18, 0x1f1d},   {0x1f20, 0x1f45},
                {0x1f48, 0x1f4d},   {0x1f50, 0x1f57},   {0x1f59, 0x1f59},   {0x1f5b, 0x1f5b},
                {0x1f5d, 0x1f5d},   {0x1f5f, 0x1f7d},   {0x1f80, 0x1fb4},   {0x1fb6, 0x1fbc},
                {0x1fbe, 0x1fbe},   {0x1fc2, 0x1fc4},   {0x1fc6, 0x1fcc},   {0x1fd0, 0x1fd3},
                {0x1fd6, 0x1fdb},   {0x1fe0, 0x1fec},   {0x1ff2, 0x1ff4},   {0x1ff6, 0x1ffc},
                {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210a, 0x2113},   {0x2115, 0x2115},
                {0x2119, 0x211d},   {0x2124, 0x2124},   {0x2126, 0x2126},   {0x2128, 0x2128},
                {0x212a, 0x212d},   {0x212f, 0x2134},   {0x2139, 0x2139},   {0x213c, 0x213f},
                {0x2145, 0x2149},   {0x214e, 0x214e},   {0x2183, 0x2184},   {0x2c00, 0x2c7b},
                {0x2c7e, 0x2ce4},   {0x2ceb, 0x2cee},   {0x2cf2, 0x2cf3},   {0xa640, 0xa66d},
                {0xa680, 0xa69b},   {0xa722, 0xa76f},   {0xa771, 0xa787},   {0xa78b, 0xa78e},
                {0xab70, 0xabbf},   {0xfb00, 0xfb06},   {0xfb13, 0xfb17},   {0xff21, 0xff3a},
                {0xff41, 0xff5a},   {0x10400, 0x1044f}, {0x104b0, 0x104d3}, {0x104d8, 0x104fb},
                {0x10c80, 0x10cb2}, {0x10cc0, 0x10cf2}, {0x118a0, 0x118df}, {0x1e900, 0x1e943}};

bool in_alphabet(std::uint32_t code) {
  const auto after = std::ranges::upper_bound(kLetters, code, {}, [](auto r) { return r.first; });
  return after != std::begin(kLetters) && code <= std::prev(after)->last;
}

// Characters from i on for which `is` holds.
template <class Is>
std::size_t run(const Piece& piece, std::size_t i, Is is) {
  std::size_t end = i;
  while (end < piece.size() && is(end)) ++end;
  return end - i;
}

// Matches stand alone, what lies between two of them too. `match`: characters matched at i, or 0.
template <class Match>
void cut(const Piece& piece, Lengths& out, Match match) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < piece.size();) {
    const std::size_t length = match(i);
    if (length == 0) {
      ++i;
      continue;
    }
    if (i > begin) out.push_back(i - begin);
    out.push_back(length);
    begin = i += length;
  }
  if (begin < piece.size()) out.push_back(piece.size() - begin);
}

template <class Is>
void cut_run(const Piece& piece, Lengths& out, Is is) {
  cut(piece, out, [&](std::size_t i) { return run(piece, i, is); });
}

template <class Is>
void cut_spaced(const Piece& piece, Lengths& out, Is is) {
  cut(piece, out, [&](std::size_t i) -> std::size_t {
    const std::size_t space = piece.space(i) ? 1 : 0;
    const std::size_t length = run(piece, i + space, is);
    return length == 0 ? 0 : space + length;
  });
}

// 's|'t|'m|'d|'re|'ve|'ll, of any case or lower case only.
std::size_t contraction(const Piece& piece, std::size_t i, bool any_case) {
  if (piece.code(i) != '\'') return 0;
  const auto lower = [&](std::size_t at) {
    const std::uint32_t code = piece.code(at);
    return any_case && in(code, 'A', 'Z') ? code | 0x20 : code;
  };
  const std::uint32_t a = lower(i + 1), b = lower(i + 2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

// \s+(?!\S)|\s+ at white space: a run leaves its last character to what follows it.
std::size_t spaces(const Piece& piece, std::size_t i) {
  const std::size_t length = run(piece, i, [&](std::size_t at) { return piece.space(at); });
  return length > 1 && i + length < piece.size() ? length - 1 : length;
}

// \s*[\r\n]+, or else as above.
std::size_t lines_or_spaces(const Piece& piece, std::size_t i) {
  std::size_t lines = 0;
  for (std::size_t at = i; piece.space(at); ++at)
    if (piece.newline(at)) lines = at + 1 - i;
  return lines > 0 ? lines : spaces(piece, i);
}

std::size_t newlines(const Piece& piece, std::size_t i) {
  return run(piece, i, [&](std::size_t at) { return piece.newline(at); });
}

}  // namespace

void scan_gpt2(const Piece& piece, Lengths& out) {
  const auto letter = [&](std::size_t at) { return piece.letter(at); };
  const auto number = [&](std::size_t at) { return piece.number(at); };
  const auto sign = [&](std::size_t at) {
    return !piece.letter(at) && !piece.number(at) && !piece.space(at);
  };
  cut(piece, out, [&](std::size_t i) -> std::size_t {
    if (const std::size_t length = contraction(piece, i, false)) return length;
    const std::size_t space = piece.code(i) == ' ' ? 1 : 0;
    if (const std::size_t length = run(piece, i + space, letter)) return space + length;
    if (const std::size_t length = run(piece, i + space, number)) return space + length;
    if (const std::size_t length = run(piece, i + space, sign)) return space + length;
    return spaces(piece, i);
  });
}

void scan_words(const Piece& piece, Lengths& out, const Words& words) {
  const auto letter = [&](std::size_t at) {
    return piece.letter(at) || (words.marks && piece.mark(at));
  };
  const auto sign = [&](std::size_t at) {
    return !letter(at) && !piece.number(at) && !piece.space(at);
  };
  cut(piece, out, [&](std::size_t i) -> std::size_t {
    if (const std::size_t length = contraction(piece, i, true)) return length;
    if (!piece.newline(i) && !piece.number(i) && (letter(i) || letter(i + 1)))
      return 1 + run(piece, i + 1, letter);
    std::size_t digits = 0;
    while (digits < words.digits && piece.number(i + digits)) ++digits;
    if (digits > 0) return digits;
    const std::size_t space = piece.code(i) == ' ' ? 1 : 0;
    if (const std::size_t length = run(piece, i + space, sign)) {
      const std::size_t end = space + length;
      return end + (words.newline_tail ? newlines(piece, i + end) : 0);
    }
    return lines_or_spaces(piece, i);
  });
}

void scan_deepseek3(const Piece& piece, Lengths& out) {
  const auto letter = [&](std::size_t at) { return piece.letter(at) || piece.mark(at); };
  const auto sign = [&](std::size_t at) {
    return piece.is(at, punctuation) || piece.is(at, symbol);
  };
  const auto latin = [&](std::size_t at) { return ascii_letter(piece.code(at)); };
  cut(piece, out, [&](std::size_t i) -> std::size_t {
    if (ascii_sign(piece.code(i)) && latin(i + 1)) return 1 + run(piece, i + 1, latin);
    if (letter(i) || (!piece.newline(i) && !sign(i) && letter(i + 1)))
      return 1 + run(piece, i + 1, letter);
    const std::size_t space = piece.code(i) == ' ' ? 1 : 0;
    if (const std::size_t length = run(piece, i + space, sign))
      return space + length + newlines(piece, i + space + length);
    return lines_or_spaces(piece, i);
  });
}

void cut_newline(const Piece& piece, Lengths& out) {
  cut(piece, out, [&](std::size_t i) -> std::size_t { return piece.newline(i) ? 1 : 0; });
}

void cut_number(const Piece& piece, Lengths& out) {
  cut(piece, out, [&](std::size_t i) -> std::size_t { return piece.number(i) ? 1 : 0; });
}

void cut_number_run(const Piece& piece, Lengths& out) {
  cut_run(piece, out, [&](std::size_t at) { return piece.number(at); });
}

void cut_number_triple(const Piece& piece, Lengths& out) {
  cut(piece, out, [&](std::size_t i) {
    std::size_t length = 0;
    while (length < 3 && piece.number(i + length)) ++length;
    return length;
  });
}

void cut_ascii_triple(const Piece& piece, Lengths& out) {
  const auto digit = [&](std::size_t at) { return in(piece.code(at), '0', '9'); };
  cut(piece, out, [&](std::size_t i) -> std::size_t {
    return digit(i) && digit(i + 1) && digit(i + 2) ? 3 : 0;
  });
}

void cut_trailing_space(const Piece& piece, Lengths& out) {
  std::size_t text = piece.size();
  while (text > 0 && piece.space(text - 1)) --text;
  if (text > 0) out.push_back(text);
  if (text < piece.size()) out.push_back(piece.size() - text);
}

void cut_spaced_letters(const Piece& piece, Lengths& out) {
  cut_spaced(piece, out, [&](std::size_t at) { return piece.letter(at); });
}

void cut_spaced_punctuation(const Piece& piece, Lengths& out) {
  cut_spaced(piece, out, [&](std::size_t at) { return piece.is(at, punctuation); });
}

void cut_spaced_alphabet(const Piece& piece, Lengths& out) {
  cut_spaced(piece, out, [&](std::size_t at) { return in_alphabet(piece.code(at)); });
}

void cut_spaced_wide_signs(const Piece& piece, Lengths& out) {
  // U+3000 is in the last range too, but white space comes first.
  cut_spaced(piece, out, [&](std::size_t at) {
    const std::uint32_t code = piece.code(at);
    return in(code, '!', '/') || in(code, ':', '~') || in(code, 0xff01, 0xff0f) ||
           in(code, 0xff1a, 0xff5e) || in(code, 0x2018, 0x201f) || in(code, 0x3001, 0x3002);
  });
}

void cut_cjk(const Piece& piece, Lengths& out) {
  cut_run(piece, out, [&](std::size_t at) {
    const std::uint32_t code = piece.code(at);
    return (in(code, 0x800, 0x9fa5) || in(code, 0xac00, 0xd7ff)) && !piece.space(at);
  });
}

void cut_kana_and_han(const Piece& piece, Lengths& out) {
  cut_run(piece, out, [&](std::size_t at) {
    const std::uint32_t code = piece.code(at);
    return in(code, 0x4e00, 0x9fa5) || in(code, 0x3040, 0x30ff);
  });
}

void cut_signs(const Piece& piece, Lengths& out, bool backtick) {
  cut_run(piece, out, [&](std::size_t at) {
    const std::uint32_t code = piece.code(at);
    return piece.is(at, punctuation) || code == '$' || code == '+' || in(code, '<', '>') ||
           code == '^' || code == '~' || code == '|' || (backtick && code == '`');
  });
}

}  // namespace assay::engine
