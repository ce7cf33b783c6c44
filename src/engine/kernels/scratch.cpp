#include "engine/kernels/scratch.hpp"

#include <cstdlib>
#include <memory>

#include "base/assert.hpp"

namespace assay::engine {

std::byte* thread_scratch(std::size_t bytes) {
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  thread_local std::unique_ptr<std::byte, Free> memory;
  thread_local std::size_t size = 0;
  if (size < bytes) {
    size = (bytes + 4095) / 4096 * 4096;
    memory.reset(static_cast<std::byte*>(std::aligned_alloc(64, size)));
    ASSAY_ASSERT(memory != nullptr);
  }
  return memory.get();
}

}  // namespace assay::engine
