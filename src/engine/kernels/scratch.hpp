// Working memory of the calling thread.
#pragma once
#include <cstddef>

namespace assay::engine {

// At least `bytes`, 64-byte aligned, valid until this thread's next call; grows, never shrinks.
std::byte* thread_scratch(std::size_t bytes);

}  // namespace assay::engine
