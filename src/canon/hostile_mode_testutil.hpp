// The floating-point mode a library compiled with fast-math, or a hostile one, leaves behind.
#pragma once
#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace assay::canon::test {

class HostileMode {
 public:
#if defined(__x86_64__)
  using Control = unsigned;
  static constexpr Control kHostile = 0xffc0 & ~0x3fu;  // FTZ, DAZ, toward zero
  static Control get() { return _mm_getcsr() & ~0x3fu; }
  static void set(Control c) { _mm_setcsr(c); }
#else
  using Control = std::uint64_t;
  static constexpr Control kHostile = 0x01c00000;  // FZ, toward zero
  static Control get() {
    Control c;
    asm volatile("mrs %0, fpcr" : "=r"(c));
    return c;
  }
  static void set(Control c) { asm volatile("msr fpcr, %0" ::"r"(c)); }
#endif
  HostileMode() : before_(get()) { set(kHostile); }
  ~HostileMode() { set(before_); }
  HostileMode(const HostileMode&) = delete;

 private:
  Control before_;
};

}  // namespace assay::canon::test
