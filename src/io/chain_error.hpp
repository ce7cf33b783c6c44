// What a chain's node answers when it does not answer: classes a sender acts on, as values.
#pragma once
#include <expected>
#include <string>
#include <type_traits>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::io {

enum class ChainErrc {
  transport,         // unreachable, timed out, TLS, 5xx, behind the head: another try may help
  rate_limited,      // HTTP 429 or the provider's own code for it
  malformed,         // the reply is not JSON-RPC, or not what the method answers
  wrong_chain,       // the endpoint serves another chain id
  unsupported,       // the method is unknown there
  reverted,          // `data` is the revert's ABI data
  nonce_too_low,     // that nonce is used up
  nonce_too_high,    // a gap before it
  underpriced,       // fees below what the pool takes, or too small a raise for a replacement
  already_known,     // this very transaction is in the pool
  poor,              // the sender's balance does not cover value and gas
  never_valid,       // these bytes go into no block: too large, too much gas or too little
  too_many_results,  // eth_getLogs: ask for fewer blocks
  rejected,          // any other refusal
  storage,           // our database
};
std::string_view to_string(ChainErrc kind);

struct ChainError {
  ChainErrc kind = ChainErrc::rejected;
  std::string message{};
  Bytes data{};
  std::int64_t retry_after_ms = 0;  // rate_limited: what the endpoint asked for

  // For callers that only know Result: transient classes become unavailable.
  operator Error() const;  // NOLINT(google-explicit-constructor)
};

template <class T>
using ChainResult = std::expected<T, ChainError>;

template <class... Args>
std::unexpected<ChainError> chain_fail(ChainErrc kind, fmt::format_string<Args...> format,
                                       Args&&... args) {
  return std::unexpected(ChainError{kind, fmt::format(format, std::forward<Args>(args)...), {}, 0});
}

template <class T>
ChainResult<T> as_chain(Result<T> r, ChainErrc kind, std::string_view doing) {
  if (!r) return chain_fail(kind, "{}: {}", doing, r.error().message);
  if constexpr (std::is_void_v<T>) {
    return {};
  } else {
    return std::move(*r);
  }
}

// Whether another endpoint, or the same one later, may answer the same call.
bool worth_retrying(ChainErrc kind);

// The class of a JSON-RPC error object: EIP-1474 codes, then the words geth, Erigon, Nethermind,
// Besu, reth and anvil use, since codes alone do not tell.
ChainErrc classify(std::int64_t code, std::string_view message);

}  // namespace assay::io
