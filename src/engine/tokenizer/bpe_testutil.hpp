// A small byte-level vocabulary for tests and fuzzing: every byte, what the merges give, specials.
#pragma once
#include <algorithm>

#include "engine/gguf_testutil.hpp"
#include "engine/tokenizer/unicode.hpp"

namespace assay::engine {

struct BpeVocabulary {
  std::string pre = "llama-bpe", name = "toy";
  std::vector<std::string> merges;
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>", "<|user|>", "<|end|>", "own"};
  std::vector<std::int32_t> kinds{2, 3, 3, 3, 3, 4};
  std::optional<bool> add_bos, add_eos;

  BpeVocabulary() {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text;
      append_alphabet(text, static_cast<std::uint8_t>(byte));
      add(text);
    }
  }
  BpeVocabulary& add(std::string text, std::int32_t kind = 1) {
    tokens.push_back(std::move(text));
    kinds.push_back(kind);
    return *this;
  }
  BpeVocabulary& merge(const std::string& left, const std::string& right) {
    merges.push_back(left + " " + right);
    if (std::ranges::find(tokens, left + right) == tokens.end()) add(left + right);
    return *this;
  }
  Bytes file() const {
    GgufBuilder b;
    b.string("general.name", name)
        .string("tokenizer.ggml.model", "gpt2")
        .string("tokenizer.ggml.pre", pre)
        .strings("tokenizer.ggml.tokens", tokens)
        .i32s("tokenizer.ggml.token_type", kinds)
        .strings("tokenizer.ggml.merges", merges)
        .u32("tokenizer.ggml.bos_token_id", 1)
        .u32("tokenizer.ggml.eos_token_id", 2);
    if (add_bos) b.boolean("tokenizer.ggml.add_bos_token", *add_bos);
    if (add_eos) b.boolean("tokenizer.ggml.add_eos_token", *add_eos);
    return b.build();
  }
};

}  // namespace assay::engine
