#include "protocol/fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::protocol::fuzz_messages({data, size});
  return 0;
}
