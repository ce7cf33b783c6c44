// The floating-point mode of the canon: round to nearest even, subnormals kept, nothing trapped, no
// contraction. Held, and asserted, around every piece of work in every thread, because a library
// compiled with fast-math can have changed the mode of a thread at load.
#pragma once
#include <bit>
#include <cstdint>

#include "base/assert.hpp"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace assay::canon {

// Asks the arithmetic itself, not a register: what this code was compiled to, in this thread's
// mode.
inline bool arithmetic_is_canonical() {
  // Through a register or memory the compiler cannot see through, so nothing is folded.
  const auto opaque = [](std::uint32_t bits) {
    asm volatile("" : "+r"(bits));
    return std::bit_cast<float>(bits);
  };
  const auto bits = [](float x) { return std::bit_cast<std::uint32_t>(x); };
  const float one = opaque(0x3f800000u), half_ulp = opaque(0x33800000u),
              smallest = opaque(0x00800000u), half = opaque(0x3f000000u),
              above = opaque(0x3f800001u), square = opaque(0xbf800002u);
  return bits(one + half_ulp) == 0x3f800000u &&                  // ties to even: down
         bits(above + half_ulp) == 0x3f800002u &&                // and up
         bits(smallest * half) == 0x00400000u &&                 // results are not flushed
         bits(opaque(0x00400000u) + smallest) == 0x00c00000u &&  // nor operands
         bits(above * above + square) == 0x00000000u;            // the product is rounded by itself
}

class FpEnvironment {
 public:
  FpEnvironment() : saved_(get()) {
    set(kCanonical);
    ASSAY_ASSERT(arithmetic_is_canonical());
  }
  ~FpEnvironment() { set(saved_); }
  FpEnvironment(const FpEnvironment&) = delete;
  FpEnvironment& operator=(const FpEnvironment&) = delete;

 private:
#if defined(__x86_64__)
  using Control = unsigned;
  static constexpr Control kCanonical = 0x1f80;
  static Control get() { return _mm_getcsr(); }
  static void set(Control control) { _mm_setcsr(control); }
#elif defined(__aarch64__)
  using Control = std::uint64_t;
  static constexpr Control kCanonical = 0;
  static Control get() {
    Control control;
    asm volatile("mrs %0, fpcr" : "=r"(control));
    return control;
  }
  static void set(Control control) { asm volatile("msr fpcr, %0" ::"r"(control)); }
#elif defined(__wasm__)
  // WebAssembly has this mode and no other.
  struct Control {};
  static constexpr Control kCanonical{};
  static Control get() { return {}; }
  static void set(Control) {}
#else
#error "canon: the floating-point control of this architecture is not written yet"
#endif
  Control saved_;
};

}  // namespace assay::canon
