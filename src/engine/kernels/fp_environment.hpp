// The floating-point mode of the canon: round to nearest even, subnormals kept, nothing trapped.
// Held around every piece of work in every thread, because a library compiled with fast-math can
// have changed the mode of a thread at load.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace assay::engine {

class FpEnvironment {
 public:
  FpEnvironment() : saved_(get()) { set(kCanonical); }
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
#else
#error "canon: the floating-point control of this architecture is not written yet"
#endif
  Control saved_;
};

}  // namespace assay::engine
