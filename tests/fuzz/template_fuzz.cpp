#include "engine/fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::engine::fuzz_template({data, size});
  return 0;
}
