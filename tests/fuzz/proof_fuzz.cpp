#include "verify/referee/fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::verify::fuzz_proof({data, size});
  return 0;
}
