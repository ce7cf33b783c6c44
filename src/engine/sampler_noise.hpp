// The noise of a draw for many tokens at once, and what it cannot exceed: most tokens need none.
#pragma once
#include <cstdint>
#include <span>

namespace assay::engine {

// canon::gumbel_key of the tokens first, first + 1, …
void gumbel_keys(std::uint64_t seed, std::uint32_t position, std::uint32_t first,
                 std::span<std::uint32_t> keys);

// At least canon::gumbel_of(key), and at most 0.2 above it where key ≥ 2^22.
float noise_bound(std::uint32_t key);
// At least canon::gumbel_of of any key.
float noise_bound();

}  // namespace assay::engine
