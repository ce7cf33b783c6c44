// The one step of recovery that is arithmetic on the curve. libsecp256k1 does it here, and
// JavaScript in a browser (web/verify/wasm/signatures.cpp), so that all else is the same source.
#pragma once
#include <optional>

#include "crypto/secp256k1.hpp"

namespace assay::crypto {

// The key whose signature of `digest` is r ‖ s (both below the order), where the point R that r
// stands for has an odd y or an even one. nullopt: there is none, or r or s is zero.
std::optional<PublicKey> recover_point(const Hash& digest, const PlainSignature& signature,
                                       bool odd);

}  // namespace assay::crypto
