#include "services/gateway/token_logprobs.hpp"

#include <algorithm>
#include <bit>

namespace assay::services {
namespace {

// JSON has no infinity; the OpenAI API writes -9999 for what cannot be.
double logprob_of(std::uint32_t bits) {
  return std::max(-9999.0, static_cast<double>(std::bit_cast<float>(bits)));
}

// Control tokens by their names: an alternative without one could not be told from another.
std::string name_of(const engine::Tokenizer& tokenizer, std::uint32_t token) {
  return engine::valid_utf8(tokenizer.piece(token, true));
}

json::object entry(const engine::Tokenizer& tokenizer, std::uint32_t token, std::uint32_t bits) {
  json::value bytes;  // null: it has no text
  if (const std::string text = tokenizer.piece(token); !text.empty()) {
    json::array& list = bytes.emplace_array();
    for (const char c : text) list.push_back(static_cast<unsigned char>(c));
  }
  return {{"token", name_of(tokenizer, token)},
          {"logprob", logprob_of(bits)},
          {"bytes", std::move(bytes)}};
}

json::value chat_value(const engine::Tokenizer& tokenizer, std::span<const ShownToken> tokens) {
  json::array content;
  for (const ShownToken& shown : tokens) {
    json::object out = entry(tokenizer, shown.token, shown.logprobs[0]);
    json::array& top = out["top_logprobs"].emplace_array();
    for (std::size_t i = 1; i + 1 < shown.logprobs.size(); i += 2)
      top.push_back(entry(tokenizer, shown.logprobs[i], shown.logprobs[i + 1]));
    content.push_back(std::move(out));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

json::value text_value(const engine::Tokenizer& tokenizer, std::span<const ShownToken> tokens) {
  json::array names, own, top, offsets;
  for (const ShownToken& shown : tokens) {
    names.emplace_back(name_of(tokenizer, shown.token));
    own.emplace_back(logprob_of(shown.logprobs[0]));
    offsets.emplace_back(shown.offset);
    json::object likeliest;
    // Of two tokens with one name the likelier stays.
    for (std::size_t i = 1; i + 1 < shown.logprobs.size(); i += 2)
      likeliest.emplace(name_of(tokenizer, shown.logprobs[i]), logprob_of(shown.logprobs[i + 1]));
    top.push_back(std::move(likeliest));
  }
  return {{"tokens", std::move(names)},
          {"token_logprobs", std::move(own)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

}  // namespace

json::value logprobs_value(ApiRequest::Kind kind, const engine::Tokenizer& tokenizer,
                           std::span<const ShownToken> tokens) {
  if (tokens.empty()) return nullptr;
  return kind == ApiRequest::Kind::chat ? chat_value(tokenizer, tokens)
                                        : text_value(tokenizer, tokens);
}

}  // namespace assay::services
