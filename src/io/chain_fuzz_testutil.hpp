// One fuzz input as the reply of a node, through every typed reader. Called by
// tests/fuzz/chain_fuzz.cpp and, over the committed corpus, by chain_rpc_test.cpp.
#pragma once
#include "base/assert.hpp"
#include "base/hex.hpp"
#include "crypto/abi.hpp"
#include "io/chain_json.hpp"

namespace assay::io {

// How many readers took it.
inline int fuzz_chain_reply(ByteView input) {
  const auto result = parse_rpc_reply(text(input), 1, 1u << 16);
  if (!result) {
    ASSAY_ASSERT(!result.error().message.empty() &&
                 result.error().message.find('\n') == std::string::npos);
    const Error error = result.error();
    ASSAY_ASSERT(error.message == result.error().message);
    return result.error().kind == ChainErrc::reverted;
  }
  int taken = 0;
  if (const auto n = quantity_from(*result)) {
    // Exact: what was read is what is written, leading zeros aside.
    ASSAY_ASSERT(crypto::parse_quantity(crypto::to_quantity(*n)) == *n);
    ++taken;
  }
  if (const auto n = quantity_u64_from(*result))
    ASSAY_ASSERT(crypto::Uint256(*n) == *quantity_from(*result));
  if (const auto bytes = bytes_from(*result)) {
    ASSAY_ASSERT(from_hex(to_hex(*bytes)) == *bytes);
    crypto::AbiReader reader(*bytes);
    while (reader.bytes() || reader.words() || reader.i64()) continue;
    static_cast<void>(crypto::revert_reason(*bytes));
    ++taken;
  }
  taken += hash_from(*result).has_value();
  if (const auto block = block_from(*result)) taken += block->has_value();
  if (const auto receipt = receipt_from(*result)) taken += receipt->has_value();
  if (const auto logs = logs_from(*result)) {
    for (const LogEntry& log : *logs) ASSAY_ASSERT(log.topics.size() <= 4);
    ++taken;
  }
  taken += fee_history_from(*result).has_value();
  return taken;
}

}  // namespace assay::io
