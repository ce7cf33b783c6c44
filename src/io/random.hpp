// Randomness from the kernel (getrandom). There is no soft failure: a process without randomness
// must not sign anything, so failure is an assertion.
#pragma once
#include <cstdint>
#include <span>

#include "base/bytes.hpp"

namespace assay::io {

void random_bytes(std::span<std::uint8_t> out);
Hash random_hash();
std::uint64_t random_u64();

}  // namespace assay::io
