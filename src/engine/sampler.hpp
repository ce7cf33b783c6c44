// canon::sample without the work that cannot change its result.
#pragma once
#include <optional>

#include "engine/types.hpp"

namespace assay::engine {

// Equal to canon::sample for every input. position: of the head.
std::optional<Token> choose_token(std::span<const float> logits, const Sampling& sampling,
                                  std::uint32_t position);

}  // namespace assay::engine
