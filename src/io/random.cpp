#include "io/random.hpp"

#include <cerrno>
#include <sys/random.h>

#include "base/assert.hpp"

namespace assay::io {

void random_bytes(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t n = ::getrandom(out.data(), out.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    ASSAY_ASSERT(n > 0);
    out = out.subspan(static_cast<std::size_t>(n));
  }
}

Hash random_hash() {
  Hash h{};
  random_bytes(h);
  return h;
}

std::uint64_t random_u64() {
  std::uint8_t bytes[8];
  random_bytes(bytes);
  return load_le<std::uint64_t>(bytes);
}

}  // namespace assay::io
