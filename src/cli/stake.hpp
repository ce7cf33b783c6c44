// --stake of those who serve.
#pragma once
#include <functional>

#include "cli/settlement_flags.hpp"
#include "crypto/secp256k1.hpp"
#include "market/settlement.hpp"

namespace assay::cli {

// Brings the stake up to what was asked for (empty: what is there must do); never takes any back.
// Errors: refused, with what is missing.
Status raise_stake(market::Settlement& ledger, const crypto::SecretKey& key,
                   const std::string& wanted_text);

// The same for who may have been stopped, or killed, while a transaction of its own was under way:
// looked at before that is final, the stake would be raised a second time. With a stake there may
// be deadlines, so transactions that do not come through within a minute, for want of gas, keep
// nobody who has one from starting: then it is left as it is, and said. Errors also: cancelled,
// once `stopping` says true.
Status raise_stake(OpenSettlement& open, const crypto::SecretKey& key,
                   const std::string& wanted_text, const std::function<bool()>& stopping);

}  // namespace assay::cli
