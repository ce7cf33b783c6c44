#include "verify/dispute/fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::verify::fuzz_dispute({data, size});
  return 0;
}
