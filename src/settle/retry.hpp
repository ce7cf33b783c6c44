// Whether an operation that was not taken may be later.
#pragma once
#include "base/result.hpp"

namespace assay::settle {

// The ledger, or the way to it, is at fault: the same operation may be accepted later.
inline bool worth_repeating(const Error& error) {
  return error.code == Errc::unavailable || error.code == Errc::io ||
         error.code == Errc::cancelled || error.code == Errc::internal;
}

}  // namespace assay::settle
