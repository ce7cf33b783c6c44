// The real clocks. Wall time is for what is signed and stored; steady time is for durations.
#pragma once
#include <cstdint>

#include "base/clock.hpp"

namespace assay::io {

struct SystemClock : Clock {
  std::int64_t now_ms() const override;  // Unix time
};

// Milliseconds since an arbitrary moment; never goes backwards.
std::int64_t steady_ms();

}  // namespace assay::io
