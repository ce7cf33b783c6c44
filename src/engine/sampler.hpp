// canon::sample without the work that cannot change its result, and log-probabilities.
#pragma once
#include <optional>

#include "engine/kernels/kernels.hpp"
#include "engine/types.hpp"

namespace assay::engine {

// Equal to canon::sample for every input. position: of the head; tape: the tokens at positions
// 0 … position, all of them in the vocabulary.
std::optional<Token> choose_token(const Kernels& kernels, std::span<const float> logits,
                                  const Sampling& sampling, std::uint32_t position,
                                  std::span<const Token> tape);

// The choice is the arg-max of the logits as they are.
bool is_arg_max(const Sampling& sampling);

// The arguments of the reference for the same choice. Both must outlive the result.
canon::Draw draw_of(const Sampling& sampling, std::uint32_t position, std::span<const Token> tape);

// Log-probabilities of one head under its raw logits (canon/logprob.hpp): the token's own, and the
// `count` likeliest tokens, likeliest first, lowest id first on ties (as many as there are).
// Requires finite logits and token < logits.size().
struct HeadLogprobs {
  float token;
  std::vector<TokenLogprob> top;
};
HeadLogprobs head_logprobs(std::span<const float> logits, Token token, std::size_t count);

}  // namespace assay::engine
