// Log-probabilities as OpenAI's API shows them. Source: OpenAI API reference, "logprobs" of chat
// completions (content[]) and of completions (tokens, token_logprobs, top_logprobs, text_offset).
#pragma once
#include "engine/tokenizer.hpp"
#include "services/gateway/api_request.hpp"

namespace assay::services {

// A token whose text a client has seen.
struct ShownToken {
  std::uint32_t token = 0;
  std::vector<std::uint32_t> logprobs;  // its numbers (protocol/tokens.hpp), not empty
  std::size_t offset = 0;               // where its text begins in the answer, in characters
};

// Of a whole answer or of a chunk. Null without tokens.
json::value logprobs_value(ApiRequest::Kind kind, const engine::Tokenizer& tokenizer,
                           std::span<const ShownToken> tokens);

}  // namespace assay::services
