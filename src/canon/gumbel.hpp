// Noise of a seeded draw. spec/canon.md, "Sampling".
#pragma once
#include <array>
#include <cstdint>

namespace assay::canon {

// Philox4x32-10. Paper: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

// -log(-log u), u = (2k + 1) 2^-24.
float gumbel_of(std::uint32_t k);  // k < 2^23
// k: the top 23 bits of word 0 of philox((position, token, 0, 0), (low, high word of seed)).
std::uint32_t gumbel_key(std::uint64_t seed, std::uint32_t position, std::uint32_t token);
float gumbel(std::uint64_t seed, std::uint32_t position, std::uint32_t token);

}  // namespace assay::canon
