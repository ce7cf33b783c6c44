// Finds the entries that are cut out of a text before it is tokenized: control, unknown and
// user-defined ones. Longest first, ties by lowest id, each from the left in what is still text.
#pragma once
#include <array>

#include "engine/tokenizer/vocabulary.hpp"

namespace assay::engine {

// A piece of text, or an entry found in it.
struct Fragment {
  std::string_view text;
  std::optional<Token> token;
};

// Up to `end` (from the end of the run before) control and unknown entries count, or do not; none
// is found across a border. User-defined entries are found everywhere.
struct TextBorder {
  std::size_t end;
  bool specials;
};

class SpecialTokens {
 public:
  explicit SpecialTokens(const Vocabulary& vocabulary);
  // The borders ascend and end at the text's end. No fragment is empty.
  std::vector<Fragment> cut(std::string_view text, std::span<const TextBorder> borders) const;

 private:
  struct Match {
    std::size_t at, length;
    Token id;
  };
  std::vector<Match> matches(std::string_view text, std::span<const TextBorder> borders) const;
  bool swallows(Token id) const;

  const Vocabulary& vocabulary_;
  std::vector<Token> by_text_;            // ascending by text
  std::array<std::size_t, 257> first_{};  // where texts that begin with a byte start in it
};

}  // namespace assay::engine
