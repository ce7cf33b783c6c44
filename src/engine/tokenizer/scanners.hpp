// The steps pre-tokenizer rules are made of. A step cuts one piece of text into smaller ones and
// looks at nothing outside it; every step takes time linear in the piece. The comment of each is
// its regular expression ("cut": matches stand alone, and so does what lies between them).
#pragma once
#include "engine/tokenizer/unicode.hpp"

namespace assay::engine {

// One piece. Outside it there is nothing: code 0xffffffff, of no class.
class Piece {
 public:
  static constexpr std::uint32_t kNothing = 0xffffffff;

  Piece(std::span<const std::uint32_t> codes, std::span<const CharClass> classes)
      : codes_(codes), classes_(classes) {}

  std::size_t size() const { return codes_.size(); }
  std::uint32_t code(std::size_t i) const { return i < size() ? codes_[i] : kNothing; }
  bool is(std::size_t i, CharClass c) const { return i < size() && classes_[i] == c; }
  bool letter(std::size_t i) const { return is(i, CharClass::letter); }
  bool mark(std::size_t i) const { return is(i, CharClass::mark); }
  bool number(std::size_t i) const { return is(i, CharClass::number); }
  bool space(std::size_t i) const { return is(i, CharClass::space); }
  bool newline(std::size_t i) const { return code(i) == '\r' || code(i) == '\n'; }

 private:
  std::span<const std::uint32_t> codes_;
  std::span<const CharClass> classes_;
};

// Appends the lengths of the pieces.
using Lengths = std::vector<std::size_t>;
using Step = void (*)(const Piece&, Lengths&);

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
void scan_gpt2(const Piece&, Lengths&);

// (?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?L+|\p{N}{1,digits}
// | ?[^\s\p{N}L]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+   where L is \p{L}, or [\p{L}\p{M}] with marks;
// without newline_tail the fourth alternative is  ?[^\s\p{N}L\r\n]+
struct Words {
  std::size_t digits;
  bool marks = false, newline_tail = true;
};
void scan_words(const Piece&, Lengths&, const Words&);
template <Words words>
void scan_words(const Piece& piece, Lengths& out) {
  scan_words(piece, out, words);
}

// [!-/:-@[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+
// |\s+(?!\S)|\s+   (cut)
void scan_deepseek3(const Piece&, Lengths&);

void cut_newline(const Piece&, Lengths&);             // [\r\n]
void cut_number(const Piece&, Lengths&);              // \p{N}
void cut_number_run(const Piece&, Lengths&);          // \p{N}+
void cut_number_triple(const Piece&, Lengths&);       // \p{N}{1,3}
void cut_ascii_triple(const Piece&, Lengths&);        // [0-9][0-9][0-9]
void cut_trailing_space(const Piece&, Lengths&);      // \s+$
void cut_spaced_letters(const Piece&, Lengths&);      // \s?\p{L}+
void cut_spaced_punctuation(const Piece&, Lengths&);  // \s?\p{P}+
void cut_spaced_alphabet(const Piece&, Lengths&);     // \s?[cased letters of kAlphabet]+
void cut_spaced_wide_signs(const Piece&, Lengths&);   // \s?[!-/:-~！-／：-～‘-‟　-。]+
void cut_cjk(const Piece&, Lengths&);                 // [一-龥ࠀ-一가-퟿]+
void cut_kana_and_han(const Piece&, Lengths&);        // [一-龥぀-ゟ゠-ヿ]+
// [\p{P}\$\+<=>\^~\|]+, with ` among the signs or not
void cut_signs(const Piece&, Lengths&, bool backtick);
template <bool backtick>
void cut_signs(const Piece& piece, Lengths& out) {
  cut_signs(piece, out, backtick);
}

}  // namespace assay::engine
