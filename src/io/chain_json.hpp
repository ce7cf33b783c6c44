// JSON-RPC 2.0 as Ethereum nodes speak it (https://ethereum.github.io/execution-apis), read
// strictly: a node is a stranger. Quantities are parsed exactly, never through a double.
// Errors: invalid, naming what was wrong.
#pragma once
#include <optional>

#include "base/json.hpp"
#include "crypto/secp256k1.hpp"
#include "crypto/uint256.hpp"
#include "io/chain_error.hpp"

namespace assay::io {

using crypto::Address;
using crypto::Uint256;

struct BlockHeader {
  std::uint64_t number = 0;
  Hash hash{}, parent{};
  std::uint64_t timestamp = 0;  // Unix seconds
  std::uint64_t gas_limit = 0;
  std::uint64_t base_fee = 0;  // wei per gas
};

struct LogEntry {
  Address address;
  std::vector<Hash> topics;  // at most 4
  Bytes data;
  std::uint64_t block_num = 0, log_index = 0;
  Hash block_hash{}, transaction_hash{};
};

struct ChainReceipt {
  Hash transaction_hash{}, block_hash{};
  std::uint64_t block_num = 0, gas_used = 0;
  bool success = false;
  std::optional<Address> created;  // contractAddress
  std::vector<LogEntry> logs;
};

struct FeeHistory {
  std::uint64_t next_base_fee = 0;           // of the block after the newest
  std::vector<std::uint64_t> priority_fees;  // one per block, at the percentile asked for
};

std::string rpc_request(std::uint64_t id, std::string_view method, const json::array& params);

// The "result" of the reply to request `id`, or its error classed. null is a value.
ChainResult<json::value> parse_rpc_reply(std::string_view body, std::uint64_t id,
                                         std::size_t max_bytes);

Result<Uint256> quantity_from(const json::value& v);
Result<std::uint64_t> quantity_u64_from(const json::value& v);
Result<Hash> hash_from(const json::value& v);
Result<Bytes> bytes_from(const json::value& v);
// nullopt for null: unknown to the node, or not yet mined.
Result<std::optional<BlockHeader>> block_from(const json::value& v);
Result<std::optional<ChainReceipt>> receipt_from(const json::value& v);
// Refuses pending and removed entries.
Result<std::vector<LogEntry>> logs_from(const json::value& v);
Result<FeeHistory> fee_history_from(const json::value& v);

}  // namespace assay::io
