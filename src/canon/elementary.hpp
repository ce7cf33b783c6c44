// Elementary functions as fixed polynomials in fma; no libm. spec/canon.md, "Elementary functions".
#pragma once
#include <cstdint>

namespace assay::canon {

// e^x for x ≤ 0, -infinity included; +0 below -69, so no result and no product with an fp16 value
// is subnormal. exp(±0) = 1 exactly. Error ≤ 0.95 ulp. Source of the coefficients: Cephes expf.
float exp(float x);

// ln x for 2^-24 ≤ x ≤ 2^24. ln 1 = +0 exactly. Error ≤ 1 ulp. Source of the coefficients: Cephes
// logf.
float log(float x);

// The constants, for vector implementations that must follow the same steps.
namespace constants {
inline constexpr float kExpCut = -69.0f, kLog2E = 0x1.715476p+0f, kMagic = 0x1.8p+23f;
inline constexpr float kLn2High = 0x1.62e43p-1f, kLn2Low = -0x1.05c610p-29f;
inline constexpr float kExp[] = {0x1.a0d2cep-13f, 0x1.6e879cp-10f, 0x1.11121p-7f, 0x1.555382p-5f,
                                 0x1.555554p-3f,  0x1.0p-1f,       1.0f,          1.0f};
inline constexpr float kLog[] = {0x1.204376p-4f,  -0x1.d7a37p-4f,  0x1.de4a34p-4f,
                                 -0x1.fcba9ep-4f, 0x1.23d37ep-3f,  -0x1.555cap-3f,
                                 0x1.999d58p-3f,  -0x1.fffff8p-3f, 0x1.555554p-2f};
inline constexpr float kLogLn2High = 0x1.63p-1f, kLogLn2Low = -0x1.bd0106p-13f;
inline constexpr std::uint32_t kSqrtHalfBits = 0x3f3504f3u;
}  // namespace constants

}  // namespace assay::canon
