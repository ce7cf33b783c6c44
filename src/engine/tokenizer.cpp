#include "engine/tokenizer.hpp"

#include "base/assert.hpp"
#include "engine/tokenizer/special_tokens.hpp"
#include "engine/tokenizer/subwords.hpp"

namespace assay::engine {

struct Tokenizer::Data {
  Vocabulary vocabulary;
  std::unique_ptr<Subwords> subwords;
  std::unique_ptr<SpecialTokens> specials;
  Bytes canonical;

  // Ids of a text whose special tokens are cut out.
  void encode(std::span<const Fragment> fragments, std::vector<Token>& out) const;
};

void Tokenizer::Data::encode(std::span<const Fragment> fragments, std::vector<Token>& out) const {
  bool fresh = true;
  for (const Fragment& fragment : fragments) {
    if (fragment.token)
      out.push_back(*fragment.token);
    else
      subwords->encode(fragment.text, fresh, out);
    fresh = fragment.token.has_value();
  }
}

Result<Tokenizer> Tokenizer::from(const Gguf& file) {
  TRY(const auto model, file.string("tokenizer.ggml.model"));
  auto data = std::make_shared<Data>();
  if (model == "llama") {
    TRY(data->subwords, load_spm(file, data->vocabulary));
  } else if (model == "gpt2") {
    TRY(data->subwords, load_bpe(file, data->vocabulary));
  } else {
    return fail(Errc::unsupported,
                "tokenizer '{}' is not supported; canon 0 supports 'llama' (SentencePiece) and "
                "'gpt2' (byte-level BPE)",
                printable(model));
  }
  data->specials = std::make_unique<SpecialTokens>(data->vocabulary);
  data->canonical = data->subwords->canonical();
  Tokenizer out;
  out.data_ = std::move(data);
  return out;
}

std::vector<Token> Tokenizer::encode(std::string_view text, Options options) const {
  const Vocabulary& vocabulary = data_->vocabulary;
  const TextBorder whole{text.size(), options.parse_special};
  std::vector<Token> out;
  if (options.add_bos && vocabulary.add_bos) out.push_back(*vocabulary.bos);
  data_->encode(data_->specials->cut(text, {&whole, 1}), out);
  if (options.add_bos && vocabulary.add_eos) out.push_back(*vocabulary.eos);
  return out;
}

std::vector<Token> Tokenizer::encode(std::span<const TextRun> runs) const {
  std::string text;
  std::vector<TextBorder> borders;
  for (const TextRun& run : runs) {
    text += run.text;
    borders.push_back({text.size(), run.specials});
  }
  const auto fragments = data_->specials->cut(text, borders);
  const Vocabulary& vocabulary = data_->vocabulary;
  const bool has_bos =
      !fragments.empty() && fragments[0].token && fragments[0].token == vocabulary.bos;
  std::vector<Token> out;
  if (vocabulary.add_bos && !has_bos) out.push_back(*vocabulary.bos);
  data_->encode(fragments, out);
  return out;
}

std::string Tokenizer::piece(Token token, bool show_special) const {
  ASSAY_ASSERT(token < size());
  const Entry& entry = data_->vocabulary.entries[token];
  switch (entry.kind) {
    case TokenKind::normal:
      return data_->subwords->piece(entry);
    case TokenKind::user_defined:
      return entry.text;
    case TokenKind::unknown:
    case TokenKind::control:
      return show_special ? entry.text : std::string();
    case TokenKind::unused:
      return {};
    case TokenKind::byte:
      if (const auto byte = byte_of(entry.text)) return {static_cast<char>(*byte)};
      return {};
  }
  return {};
}

std::string Tokenizer::decode(std::span<const Token> tokens, bool show_special) const {
  std::string out;
  bool first = true;
  for (const Token token : tokens) {
    std::string text = piece(token, show_special);
    // The space encode() put in front of the text is not part of it.
    if (first && data_->vocabulary.add_space_prefix && text.starts_with(' ')) text.erase(0, 1);
    first = first && special(data_->vocabulary.entries[token].kind);
    out += text;
  }
  return out;
}

std::size_t Tokenizer::size() const { return data_->vocabulary.entries.size(); }
std::string_view Tokenizer::text(Token token) const {
  ASSAY_ASSERT(token < size());
  return data_->vocabulary.entries[token].text;
}
std::optional<Token> Tokenizer::bos() const { return data_->vocabulary.bos; }
std::optional<Token> Tokenizer::eos() const { return data_->vocabulary.eos; }
std::vector<Token> Tokenizer::stop_tokens() const { return data_->vocabulary.stops; }
std::optional<Token> Tokenizer::find(std::string_view entry) const {
  const auto& ids = data_->vocabulary.ids;
  const auto it = ids.find(entry);
  return it == ids.end() ? std::nullopt : std::optional(it->second);
}
const Bytes& Tokenizer::canonical() const { return data_->canonical; }

}  // namespace assay::engine
