// Keccak-256 as Ethereum uses it: the Keccak submission's padding (0x01), not FIPS 202's SHA-3.
#pragma once
#include "base/bytes.hpp"

namespace assay::crypto {

Hash keccak256(ByteView data);

}  // namespace assay::crypto
