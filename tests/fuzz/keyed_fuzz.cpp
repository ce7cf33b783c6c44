#include "verify/fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static_cast<void>(assay::verify::fuzz_keyed({data, size}));
  return 0;
}
