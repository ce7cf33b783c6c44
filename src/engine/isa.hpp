// The instruction sets kernels exist for. Which one runs never changes a bit of an answer.
#pragma once
#include <span>
#include <string_view>

#include "base/result.hpp"

namespace assay::engine {

// avx512: F, BW, VL, DQ; avx512vnni adds VNNI. neon: AArch64 base; neondot adds FEAT_DotProd.
enum class Isa { scalar, avx2, avx512, avx512vnni, neon, neondot };

std::span<const Isa> all_isas();
std::string_view isa_name(Isa isa);
// unavailable: known, but not compiled in or not usable on this machine.
Result<Isa> parse_isa(std::string_view name);
// Compiled in, usable on this machine, and its kernels passed the self-test
// (kernels/self_check.hpp).
bool isa_available(Isa isa);
Isa best_isa();  // the fastest available one

}  // namespace assay::engine
