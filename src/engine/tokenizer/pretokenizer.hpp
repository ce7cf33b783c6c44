// Pre-tokenizers: how a text is cut into words before byte-pair merges, which never cross a cut.
// Each rule is what llama.cpp runs for the name in `tokenizer.ggml.pre`, as scanners in linear
// time; spec/model.md states the rules as regular expressions.
#pragma once
#include "base/result.hpp"
#include "engine/tokenizer/unicode.hpp"

namespace assay::engine {

// What a name in `tokenizer.ggml.pre` means.
struct PreTokenizer {
  std::string_view name;
  std::string_view rule;     // names with one rule cut alike; part of the program hash
  bool whole_words = false;  // a word that is an entry is not merged ("ignore_merges")
  bool add_bos = false;      // where the file does not say
};

// Refuses unknown names; a name is never guessed.
Result<PreTokenizer> find_pre_tokenizer(std::string_view name);
std::span<const PreTokenizer> pre_tokenizers();

// Lengths of the words in code points: each at least 1, together all of the text.
std::vector<std::size_t> split_words(std::string_view rule, const CodePoints& text);

}  // namespace assay::engine
