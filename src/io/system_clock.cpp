#include "io/system_clock.hpp"

#include <chrono>

namespace assay::io {
namespace {
template <class C>
std::int64_t since_epoch_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(C::now().time_since_epoch()).count();
}
}  // namespace

std::int64_t SystemClock::now_ms() const { return since_epoch_ms<std::chrono::system_clock>(); }
std::int64_t steady_ms() { return since_epoch_ms<std::chrono::steady_clock>(); }

}  // namespace assay::io
