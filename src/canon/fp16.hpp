// IEEE 754 binary16 and bfloat16 by integer arithmetic. spec/canon.md, "Formats".
#pragma once
#include <bit>
#include <cstdint>

namespace assay::canon {

// Exact: every binary16 (bfloat16) value is a binary32 value. NaN payloads are unspecified.
float from_fp16(std::uint16_t half);
inline float from_bf16(std::uint16_t half) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
}

// Round to nearest, ties to even; subnormals kept; |x| ≥ 65520 becomes infinity.
std::uint16_t to_fp16(float x);

inline bool fp16_finite(std::uint16_t half) { return (half & 0x7c00u) != 0x7c00u; }
// Neither NaN nor infinity.
inline bool finite(float x) {
  return (std::bit_cast<std::uint32_t>(x) & 0x7f800000u) != 0x7f800000u;
}

}  // namespace assay::canon
