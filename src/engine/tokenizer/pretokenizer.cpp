#include "engine/tokenizer/pretokenizer.hpp"

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "engine/gguf.hpp"
#include "engine/tokenizer/scanners.hpp"

namespace assay::engine {
namespace {

// The steps of a rule: each cuts every piece of the step before.
struct Rule {
  std::string_view name;
  std::array<Step, 6> steps;
};

constexpr Rule kRules[] = {
    {"gpt-2", {scan_gpt2}},
    {"llama-bpe", {scan_words<Words{.digits = 3}>}},
    {"qwen2", {scan_words<Words{.digits = 1}>}},
    {"qwen35", {scan_words<Words{.digits = 1, .marks = true}>}},
    {"seed-coder", {scan_words<Words{.digits = 1, .newline_tail = false}>}},
    {"starcoder", {cut_number, scan_gpt2}},
    {"falcon", {cut_signs<true>, scan_gpt2, cut_ascii_triple}},
    {"default", {cut_signs<false>, scan_gpt2, cut_number_run, cut_ascii_triple}},
    {"deepseek-llm",
     {cut_newline, cut_spaced_alphabet, cut_spaced_wide_signs, cut_trailing_space, cut_cjk,
      cut_number_run}},
    {"deepseek-coder",
     {cut_newline, cut_spaced_letters, cut_spaced_punctuation, cut_cjk, cut_number}},
    {"deepseek-v3", {cut_number_triple, cut_kana_and_han, scan_deepseek3}},
};

constexpr PreTokenizer kNames[] = {
    {"default", "default"},
    {"llama-bpe", "llama-bpe", true, true},
    {"llama3", "llama-bpe", true, true},
    {"llama-v3", "llama-bpe", true, true},
    {"falcon3", "llama-bpe", true, true},
    {"falcon-h1", "llama-bpe", true, true},
    {"pixtral", "llama-bpe", true, true},
    {"midm-2.0", "llama-bpe", true, true},
    {"lfm2", "llama-bpe", true, true},
    {"dbrx", "llama-bpe"},
    {"smaug-bpe", "llama-bpe"},
    {"qwen2", "qwen2"},
    {"deepseek-r1-qwen", "qwen2"},
    {"megrez", "qwen2"},
    {"kormo", "qwen2"},
    {"f2llmv2", "qwen2"},
    {"stablelm2", "qwen2"},
    {"hunyuan", "qwen2"},
    {"solar-open", "qwen2"},
    {"bailingmoe", "qwen2"},
    {"bailingmoe2", "qwen2"},
    {"llada-moe", "qwen2"},
    {"qwen35", "qwen35"},
    {"seed-coder", "seed-coder"},
    {"gpt-2", "gpt-2"},
    {"mpt", "gpt-2"},
    {"olmo", "gpt-2"},
    {"phi-2", "gpt-2"},
    {"jais", "gpt-2"},
    {"exaone4", "gpt-2"},
    {"gigachat", "gpt-2"},
    {"a.x-4.0", "gpt-2"},
    {"mellum", "gpt-2"},
    {"trillion", "gpt-2"},
    {"granite-docling", "gpt-2"},
    {"starcoder", "starcoder"},
    {"refact", "starcoder"},
    {"command-r", "starcoder"},
    {"smollm", "starcoder"},
    {"codeshell", "starcoder"},
    {"exaone", "starcoder"},
    {"minerva-7b", "starcoder"},
    {"falcon", "falcon"},
    {"deepseek-llm", "deepseek-llm"},
    {"deepseek-coder", "deepseek-coder"},
    {"deepseek-v3", "deepseek-v3"},
    {"hunyuan-dense", "deepseek-v3"},
};

}  // namespace

std::span<const PreTokenizer> pre_tokenizers() { return kNames; }

Result<PreTokenizer> find_pre_tokenizer(std::string_view name) {
  const auto found = std::ranges::find(kNames, name, &PreTokenizer::name);
  if (found != std::end(kNames)) return *found;
  std::string rules;
  for (const Rule& rule : kRules)
    rules += fmt::format("{}{}", rules.empty() ? "" : ", ", rule.name);
  return fail(
      Errc::unsupported,
      "pre-tokenizer '{}' (tokenizer.ggml.pre) is not supported; supported are {} and their "
      "other names",
      printable(name), rules);
}

std::vector<std::size_t> split_words(std::string_view rule, const CodePoints& text) {
  const auto found = std::ranges::find(kRules, rule, &Rule::name);
  ASSAY_ASSERT(found != std::end(kRules));
  std::vector<std::size_t> pieces;
  if (text.codes.empty()) return pieces;
  pieces.push_back(text.codes.size());
  for (const Step step : found->steps) {
    if (step == nullptr) break;
    std::vector<std::size_t> cut;
    cut.reserve(pieces.size());
    std::size_t at = 0;
    for (const std::size_t length : pieces) {
      step(Piece(std::span(text.codes).subspan(at, length),
                 std::span(text.classes).subspan(at, length)),
           cut);
      at += length;
    }
    pieces = std::move(cut);
  }
  return pieces;
}

}  // namespace assay::engine
