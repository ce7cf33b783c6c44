// libFuzzer target: the reply of a chain's node through JSON-RPC and every typed reader.
#include <cstddef>
#include <cstdint>

#include "io/chain_fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::io::fuzz_chain_reply({data, size});
  return 0;
}
