#include "io/chain_error.hpp"

#include <algorithm>
#include <initializer_list>

namespace assay::io {

std::string_view to_string(ChainErrc kind) {
  switch (kind) {
    case ChainErrc::transport:
      return "transport";
    case ChainErrc::rate_limited:
      return "rate_limited";
    case ChainErrc::malformed:
      return "malformed";
    case ChainErrc::wrong_chain:
      return "wrong_chain";
    case ChainErrc::unsupported:
      return "unsupported";
    case ChainErrc::reverted:
      return "reverted";
    case ChainErrc::nonce_too_low:
      return "nonce_too_low";
    case ChainErrc::nonce_too_high:
      return "nonce_too_high";
    case ChainErrc::underpriced:
      return "underpriced";
    case ChainErrc::already_known:
      return "already_known";
    case ChainErrc::poor:
      return "poor";
    case ChainErrc::never_valid:
      return "never_valid";
    case ChainErrc::too_many_results:
      return "too_many_results";
    case ChainErrc::rejected:
      return "rejected";
    case ChainErrc::storage:
      return "storage";
  }
  return "rejected";
}

ChainError::operator Error() const {
  switch (kind) {
    case ChainErrc::malformed:
      return {Errc::invalid, message};
    case ChainErrc::wrong_chain:
      return {Errc::mismatch, message};
    case ChainErrc::unsupported:
      return {Errc::unsupported, message};
    case ChainErrc::reverted:
    case ChainErrc::never_valid:
    case ChainErrc::rejected:
      return {Errc::refused, message};
    case ChainErrc::storage:
      return {Errc::io, message};
    default:
      return {Errc::unavailable, message};
  }
}

bool worth_retrying(ChainErrc kind) {
  return kind == ChainErrc::transport || kind == ChainErrc::rate_limited ||
         kind == ChainErrc::malformed;
}

ChainErrc classify(std::int64_t code, std::string_view message) {
  std::string words(message);
  std::ranges::transform(words, words.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const auto says = [&](std::initializer_list<std::string_view> any) {
    return std::ranges::any_of(
        any, [&](std::string_view s) { return words.find(s) != std::string::npos; });
  };
  if (code == 3 || says({"execution reverted", "vm execution error"})) return ChainErrc::reverted;
  if (says({"nonce too low", "oldnonce", "nonce is too low", "nonce has already been used"}))
    return ChainErrc::nonce_too_low;
  if (says({"already known", "alreadyknown", "known transaction", "already imported",
            "already in mempool"}))
    return ChainErrc::already_known;
  if (says({"underpriced", "feetoolow", "less than block base fee", "below configured minimum",
            "max fee per gas less", "replacement fee too low", "gas price too low"}))
    return ChainErrc::underpriced;
  if (says({"nonce too high", "nonce gap", "noncegap", "too distant"}))
    return ChainErrc::nonce_too_high;
  if (says({"insufficient funds", "insufficientfunds", "insufficient balance", "upfront cost"}))
    return ChainErrc::poor;
  if (says({"oversized data", "transaction size", "tx size", "maxtxsizeexceeded", "max_tx_size",
            "exceeds block gas limit", "exceeds_block_gas_limit", "gaslimitexceeded",
            "gas limit too high", "exceeds transaction gas cap", "intrinsic gas too low",
            "intrinsic gas exceeds gas limit", "intrinsic_gas_exceeds", "floor data gas",
            "max initcode size", "invalid transaction signature", "transaction type not supported"}))
    return ChainErrc::never_valid;
  if (says({"query returned more than", "block range", "range is too large", "too many results",
            "response size exceeded", "exceeds max results", "range limit", "log response size"}))
    return ChainErrc::too_many_results;
  if (code == 429 || code == -32005 || code == -32029 ||
      says({"rate limit", "too many requests", "request limit", "compute units per second"}))
    return ChainErrc::rate_limited;
  if (code == -32601 || code == -32004 || says({"method not found", "does not exist/is not"}))
    return ChainErrc::unsupported;
  // A node behind its peers, pruned or failing: another may know.
  if (code == -32603 || says({"header not found", "unknown block", "missing trie node",
                              "block not found", "timeout", "timed out", "internal error"}))
    return ChainErrc::transport;
  return ChainErrc::rejected;
}

}  // namespace assay::io
