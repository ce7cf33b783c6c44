// Why a payment is not taken, by x402's error code.
#pragma once
#include <expected>
#include <string>

#include "base/json.hpp"

namespace assay::settle::x402 {

struct Refusal {
  int status = 402;  // 402: what is asked for is said again; 400, 409, 410, 503: it is not
  std::string code{}, message{};
  // Of a voucher that does not go on from what was charged: what does.
  json::object channel_state{}, voucher_state{};
  std::int64_t at_least = 0;  // what is to be asked for then, if that is more than the price
};
template <class T>
using Taken = std::expected<T, Refusal>;

inline std::unexpected<Refusal> refuse(int status, std::string code, std::string message) {
  return std::unexpected(
      Refusal{.status = status, .code = std::move(code), .message = std::move(message)});
}

// The chain, or a database, does not answer.
inline std::unexpected<Refusal> unwell(const Error& error) {
  return refuse(error.code == Errc::unavailable ? 503 : 500, "unexpected_verify_error",
                error.message);
}

// Left of a window when work begins: less than that, and the block would come too late.
inline constexpr std::int64_t kLeadS = 6;
// What was paid for can be fetched again for so long: with an identifier, which only the payer
// knows, for half of the day that answers are kept; without one, briefly: what else is in the
// header is on the chain for all to see.
inline constexpr std::int64_t kFetchedAgainS = 300, kFetchedByIdentifierS = 43'200;
// And never when the answer may have been forgotten: it would be bought once more, for nothing.
inline constexpr std::int64_t kFetchedMostS = 86'400 - 3'600;  // from when it was asked for

}  // namespace assay::settle::x402
