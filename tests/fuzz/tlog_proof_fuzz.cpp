#include "tlog/fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::tlog::fuzz_tlog_proof({data, size});
  return 0;
}
