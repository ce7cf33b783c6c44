#include "engine/tokenizer/vocabulary.hpp"

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"

namespace assay::engine {
namespace {

constexpr std::size_t kMaxTexts = 1u << 20;

// Entries that end an answer by their text; they are control tokens whatever their type says.
constexpr std::string_view kEnds[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\xef\xbd\x9c"
    "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>",
    // Around a hole in code: padding, the next repository, the next file.
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "[PAD]",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
};
// Control tokens by their text that end nothing.
constexpr std::string_view kControls[] = {
    "<|fim_prefix|>",
    "<fim-prefix>",
    "<fim_prefix>",
    "<\xef\xbd\x9c"
    "fim\xe2\x96\x81"
    "begin\xef\xbd\x9c>",
    "<PRE>",
    "\xe2\x96\x81<PRE>",
    "<|code_prefix|>",
    "<|prefix|>",
    "<|fim_suffix|>",
    "<fim-suffix>",
    "<fim_suffix>",
    "<\xef\xbd\x9c"
    "fim\xe2\x96\x81hole\xef\xbd\x9c>",
    "<SUF>",
    "\xe2\x96\x81<SUF>",
    "<|code_suffix|>",
    "<|suffix|>",
    "<|fim_middle|>",
    "<fim-middle>",
    "<fim_middle>",
    "<\xef\xbd\x9c"
    "fim\xe2\x96\x81"
    "end\xef\xbd\x9c>",
    "<MID>",
    "\xe2\x96\x81<MID>",
    "<|code_middle|>",
    "<|middle|>",
};
// Metadata naming further ids that end an answer.
constexpr std::string_view kEndIds[] = {"eot", "eom", "fim_pad", "fim_rep", "fim_sep"};

bool ends(std::string_view text) { return std::ranges::find(kEnds, text) != std::end(kEnds); }

bool control_by_text(std::string_view text) {
  return ends(text) || std::ranges::find(kControls, text) != std::end(kControls);
}

// An id the file may name; absent: the default, if the vocabulary reaches it.
Result<std::optional<Token>> special_id(const Gguf& file, std::string_view name,
                                        std::optional<Token> fallback, std::size_t size) {
  const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
  if (!file.has(key)) return fallback && *fallback < size ? fallback : std::nullopt;
  TRY(const auto id, file.u64(key));
  if (id >= size)
    return fail(Errc::invalid, "metadata '{}' is {}, outside the vocabulary of {}", key, id, size);
  return static_cast<Token>(id);
}

Result<bool> flag(const Gguf& file, std::string_view key, bool fallback) {
  if (!file.has(key)) return fallback;
  return file.boolean(key);
}

void sort_unique(std::vector<Token>& ids) {
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
}

}  // namespace

std::string byte_text(unsigned byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<std::uint8_t> byte_of(std::string_view s) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  if (s.size() != 6 || !s.starts_with("<0x") || s[5] != '>') return std::nullopt;
  if (digit(s[3]) < 0 || digit(s[4]) < 0) return std::nullopt;
  return static_cast<std::uint8_t>(digit(s[3]) * 16 + digit(s[4]));
}

Status Vocabulary::load_entries(const Gguf& file, bool with_scores) {
  TRY(const auto texts, string_list(file, "tokenizer.ggml.tokens"));
  if (texts.empty() || texts.size() > kMaxTexts)
    return fail(Errc::invalid, "the vocabulary has {} entries, not 1 to {}", texts.size(),
                kMaxTexts);
  std::vector<double> scores(with_scores ? 0 : texts.size()), kinds(texts.size(), 1);
  if (with_scores) {
    TRY(scores, file.numbers("tokenizer.ggml.scores"));
  }
  if (with_scores || file.has("tokenizer.ggml.token_type")) {
    TRY(kinds, file.numbers("tokenizer.ggml.token_type"));
  }
  if (scores.size() != texts.size() || kinds.size() != texts.size())
    return fail(Errc::invalid, "the vocabulary has {} entries but {} scores and {} types",
                texts.size(), scores.size(), kinds.size());
  entries.reserve(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!(kinds[i] >= 1 && kinds[i] <= 6))
      return fail(Errc::unsupported, "token {} has unknown type {}", i, kinds[i]);
    if (!std::isfinite(static_cast<float>(scores[i])))
      return fail(Errc::invalid, "token {} has a score that is not finite", i);
    const auto kind =
        control_by_text(texts[i]) ? TokenKind::control : static_cast<TokenKind>(kinds[i]);
    entries.push_back({texts[i], static_cast<float>(scores[i]), kind});
  }
  return {};
}

Status Vocabulary::load_special_ids(const Gguf& file, const VocabularyDefaults& defaults) {
  TRY(bos, special_id(file, "bos", defaults.bos, entries.size()));
  TRY(eos, special_id(file, "eos", defaults.eos, entries.size()));
  TRY(unknown, special_id(file, "unknown", defaults.unknown, entries.size()));
  if (eos) stops.push_back(*eos);
  for (const std::string_view name : kEndIds) {
    TRY(const auto id, special_id(file, name, std::nullopt, entries.size()));
    if (id) stops.push_back(*id);
  }
  for (Token id = 0; id < entries.size(); ++id)
    if (ends(entries[id].text)) stops.push_back(id);
  sort_unique(stops);

  TRY(add_bos, flag(file, "tokenizer.ggml.add_bos_token", defaults.add_bos));
  TRY(add_eos, flag(file, "tokenizer.ggml.add_eos_token", false));
  if (defaults.add_space_prefix) {
    TRY(add_space_prefix, flag(file, "tokenizer.ggml.add_space_prefix", true));
  }
  TRY(const bool trims, flag(file, "tokenizer.ggml.remove_extra_whitespaces", false));
  if (trims)
    return fail(Errc::unsupported,
                "the tokenizer wants remove_extra_whitespaces, which canon 0 does not support");
  if (add_bos && !bos) return fail(Errc::invalid, "the model wants BOS but has no BOS token");
  if (add_eos && !eos) return fail(Errc::invalid, "the model wants EOS but has no EOS token");
  return {};
}

Status Vocabulary::index() {
  for (Token id = 0; id < entries.size(); ++id) {
    const Entry& entry = entries[id];
    if (entry.text.empty()) continue;
    if (const auto [it, fresh] = ids.emplace(entry.text, id); !fresh)
      return fail(Errc::invalid, "tokens {} and {} have the same text '{}'", it->second, id,
                  printable(entry.text));
    if (entry.kind == TokenKind::byte && !byte_of(entry.text))
      return fail(Errc::invalid, "byte token {} is written '{}', not like <0x4A>", id,
                  printable(entry.text));
  }
  return {};
}

// Phi-3's special tokens swallow the white space after them, which a GGUF can say only by its name.
void Vocabulary::find_swallowing(const Gguf& file) {
  std::string name = file.string("general.name").value_or(std::string());
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  if (name.find("phi-3") == name.npos && name.find("phi3") == name.npos) return;
  constexpr std::string_view kKeep[] = {"<unk>", "<s>", "<|endoftext|>"};
  for (Token id = 0; id < entries.size(); ++id)
    if (cut_out(entries[id].kind) && std::ranges::find(kKeep, entries[id].text) == std::end(kKeep))
      swallowing.push_back(id);
}

Status Vocabulary::load(const Gguf& file, const VocabularyDefaults& defaults) {
  CHECK_OK(load_entries(file, defaults.scores));
  CHECK_OK(load_special_ids(file, defaults));
  CHECK_OK(index());
  find_swallowing(file);
  return {};
}

Result<std::span<const std::string>> string_list(const Gguf& file, std::string_view key) {
  if (const auto it = file.metadata().find(key); it != file.metadata().end())
    if (const auto* array = std::get_if<Gguf::Array>(&it->second))
      if (const auto* list = std::get_if<std::vector<std::string>>(array)) return std::span(*list);
  TRY(const auto none, file.strings(key));
  ASSAY_ASSERT(none.empty());
  return std::span<const std::string>();
}

void append_string(Bytes& out, std::string_view s) {
  append_le(out, static_cast<std::uint32_t>(s.size()));
  append(out, view(s));
}

}  // namespace assay::engine
