// --stake of those who serve.
#pragma once
#include "crypto/secp256k1.hpp"
#include "market/settlement.hpp"

namespace assay::cli {

// Brings the stake up to what was asked for (empty: what is there must do); never takes any back.
// Errors: refused, with what is missing.
Status raise_stake(market::Settlement& ledger, const crypto::SecretKey& key,
                   const std::string& wanted_text);

}  // namespace assay::cli
