// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104). The low-level OpenSSL path: no provider
// look-up or allocation per call, SHA-NI where the machine has it, so that a million small
// chunks of a trace cost what their bytes cost.
#pragma once
#include "base/bytes.hpp"

namespace assay::crypto {

Hash sha256(ByteView data);

// Incremental form. After finish() the object is spent; copy it before to branch.
class Sha256 {
 public:
  Sha256();
  void update(ByteView data);
  Hash finish();

 private:
  alignas(8) std::array<std::uint8_t, 112> state_;
};

Hash hmac_sha256(ByteView key, ByteView data);

}  // namespace assay::crypto
