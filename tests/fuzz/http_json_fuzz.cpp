// libFuzzer target: bytes of a connection through the HTTP parser, router and JSON reader.
#include <cstddef>
#include <cstdint>

#include "io/fuzz_testutil.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::io::fuzz_http_json({data, size});
  return 0;
}
