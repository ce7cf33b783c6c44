#include "engine/fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::engine::fuzz_tokenizer({data, size});
  return 0;
}
