#include "tlog/fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::tlog::fuzz_witness({data, size});
  return 0;
}
