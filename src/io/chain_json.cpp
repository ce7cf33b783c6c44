#include "io/chain_json.hpp"

#include "base/hex.hpp"
#include "crypto/abi.hpp"

namespace assay::io {
namespace {

constexpr std::size_t kMessageBytesMax = 300;

std::string one_line(std::string_view text) {
  std::string out(text.substr(0, kMessageBytesMax));
  std::ranges::replace_if(
      out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return out;
}

Result<std::string_view> string_from(const json::value& v) {
  if (const auto* s = v.if_string()) return std::string_view(s->data(), s->size());
  return fail(Errc::invalid, "expected a string, found {}", one_line(json::dump(v)).substr(0, 40));
}

// read(member), the key in front of its error.
template <class Read>
auto member(const json::object& o, std::string_view key, Read read)
    -> decltype(read(std::declval<const json::value&>())) {
  TRY(const json::value* v, json::get(o, key));
  auto out = read(*v);
  if (!out) return fail_in(key, out.error());
  return out;
}

Result<Address> address_from(const json::value& v) {
  TRY(const std::string_view text, string_from(v));
  Address out;
  // Any case: nodes do not agree on checksums.
  if (!text.starts_with("0x") || !from_hex(text, out.bytes))
    return fail(Errc::invalid, "not an address: '{}'", one_line(text.substr(0, 44)));
  return out;
}

// The bytes of a revert: a hex string, the same in an object's "data", or behind a word ("Reverted
// 0x…").
Bytes revert_data(const json::value& v, int depth = 0) {
  if (const auto* o = v.if_object()) {
    const auto* inner = o->if_contains("data");
    return inner != nullptr && depth < 3 ? revert_data(*inner, depth + 1) : Bytes();
  }
  const auto* s = v.if_string();
  if (s == nullptr) return {};
  std::string_view text(s->data(), s->size());
  const std::size_t hex = text.find("0x");
  if (hex == std::string_view::npos) return {};
  auto bytes = from_hex(text.substr(hex));
  return bytes ? std::move(*bytes) : Bytes();
}

ChainError error_from(const json::value& v) {
  const auto* o = v.if_object();
  if (o == nullptr) return {ChainErrc::malformed, "the node's error is not an object", {}, 0};
  const auto code = json::get_i64(*o, "code");
  const std::string said = one_line(json::get_string(*o, "message").value_or("no message"));
  ChainError out{
      classify(code.value_or(0), said), fmt::format("the node refused: {}", said), {}, 0};
  if (const auto* data = o->if_contains("data")) out.data = revert_data(*data);
  if (out.kind == ChainErrc::reverted)
    out.message =
        out.data.empty() ? said : fmt::format("reverted: {}", crypto::revert_reason(out.data));
  return out;
}

Result<LogEntry> log_from(const json::value& v) {
  TRY(const json::object* o, json::as_object(v, "a log entry"));
  if (const auto* removed = o->if_contains("removed"); removed != nullptr && *removed != false)
    return fail(Errc::invalid, "a log entry of a block that was removed");
  LogEntry out;
  TRY(out.address, member(*o, "address", address_from));
  TRY(const json::array* topics, json::get_array(*o, "topics"));
  if (topics->size() > 4) return fail(Errc::invalid, "a log entry with {} topics", topics->size());
  for (const json::value& topic : *topics) {
    TRY(const Hash hash, hash_from(topic));
    out.topics.push_back(hash);
  }
  TRY(out.data, member(*o, "data", bytes_from));
  TRY(out.block_num, member(*o, "blockNumber", quantity_u64_from));
  TRY(out.log_index, member(*o, "logIndex", quantity_u64_from));
  TRY(out.block_hash, member(*o, "blockHash", hash_from));
  TRY(out.transaction_hash, member(*o, "transactionHash", hash_from));
  return out;
}

}  // namespace

std::string rpc_request(std::uint64_t id, std::string_view method, const json::array& params) {
  return json::dump(
      json::object{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
}

ChainResult<json::value> parse_rpc_reply(std::string_view body, std::uint64_t id,
                                         std::size_t max_bytes) {
  auto parsed = json::parse(body, max_bytes);
  if (!parsed) return chain_fail(ChainErrc::malformed, "{}", parsed.error().message);
  auto* o = parsed->if_object();
  if (o == nullptr) return chain_fail(ChainErrc::malformed, "the reply is not an object");
  const auto* error = o->if_contains("error");
  const bool failed = error != nullptr && !error->is_null();
  // Of an error the id may be null: the node could not read the request.
  const auto* replied = o->if_contains("id");
  const bool ours = replied != nullptr && replied->is_number() && json::get_u64(*o, "id") == id;
  if (!ours && !(failed && (replied == nullptr || replied->is_null())))
    return chain_fail(ChainErrc::malformed, "the reply answers another request");
  if (failed) return std::unexpected(error_from(*error));
  auto* result = o->if_contains("result");
  if (result == nullptr)
    return chain_fail(ChainErrc::malformed, "the reply has neither result nor error");
  return std::move(*result);
}

Result<Uint256> quantity_from(const json::value& v) {
  TRY(const std::string_view text, string_from(v));
  auto out = crypto::parse_quantity(text);
  if (!out) return fail(Errc::invalid, "{}", one_line(out.error().message));
  return out;
}

Result<std::uint64_t> quantity_u64_from(const json::value& v) {
  TRY(const Uint256 n, quantity_from(v));
  if (const auto small = n.to_u64()) return *small;
  return fail(Errc::invalid, "the quantity {} exceeds 64 bits", crypto::to_quantity(n));
}

Result<Hash> hash_from(const json::value& v) {
  TRY(const std::string_view text, string_from(v));
  if (!text.starts_with("0x")) return fail(Errc::invalid, "a hash without 0x");
  return array_from_hex<32>(text);
}

Result<Bytes> bytes_from(const json::value& v) {
  TRY(const std::string_view text, string_from(v));
  if (!text.starts_with("0x")) return fail(Errc::invalid, "bytes without 0x");
  return from_hex(text);
}

Result<std::optional<BlockHeader>> block_from(const json::value& v) {
  if (v.is_null()) return std::nullopt;
  TRY(const json::object* o, json::as_object(v, "a block"));
  BlockHeader out;
  TRY(out.number, member(*o, "number", quantity_u64_from));
  TRY(out.hash, member(*o, "hash", hash_from));
  TRY(out.parent, member(*o, "parentHash", hash_from));
  TRY(out.timestamp, member(*o, "timestamp", quantity_u64_from));
  TRY(out.gas_limit, member(*o, "gasLimit", quantity_u64_from));
  // Absent before London; such a chain takes no type 2 transaction.
  if (o->contains("baseFeePerGas")) {
    TRY(out.base_fee, member(*o, "baseFeePerGas", quantity_u64_from));
  }
  return out;
}

Result<std::optional<ChainReceipt>> receipt_from(const json::value& v) {
  if (v.is_null()) return std::nullopt;
  TRY(const json::object* o, json::as_object(v, "a receipt"));
  ChainReceipt out;
  TRY(out.transaction_hash, member(*o, "transactionHash", hash_from));
  TRY(out.block_hash, member(*o, "blockHash", hash_from));
  TRY(out.block_num, member(*o, "blockNumber", quantity_u64_from));
  TRY(out.gas_used, member(*o, "gasUsed", quantity_u64_from));
  TRY(const std::uint64_t status, member(*o, "status", quantity_u64_from));
  if (status > 1) return fail(Errc::invalid, "a receipt of status {}", status);
  out.success = status == 1;
  if (const auto* created = o->if_contains("contractAddress");
      created != nullptr && !created->is_null()) {
    TRY(out.created, address_from(*created));
  }
  TRY(out.logs, member(*o, "logs", logs_from));
  return out;
}

Result<std::vector<LogEntry>> logs_from(const json::value& v) {
  const auto* a = v.if_array();
  if (a == nullptr) return fail(Errc::invalid, "logs must be an array");
  std::vector<LogEntry> out;
  for (const json::value& entry : *a) {
    TRY(LogEntry log, log_from(entry));
    out.push_back(std::move(log));
  }
  return out;
}

Result<FeeHistory> fee_history_from(const json::value& v) {
  TRY(const json::object* o, json::as_object(v, "a fee history"));
  TRY(const json::array* fees, json::get_array(*o, "baseFeePerGas"));
  if (fees->empty()) return fail(Errc::invalid, "a fee history of no block");
  FeeHistory out;
  TRY(out.next_base_fee, quantity_u64_from(fees->back()));
  const auto* rewards = o->if_contains("reward");
  if (rewards == nullptr || !rewards->is_array()) return out;
  for (const json::value& block : rewards->get_array()) {
    const auto* of_block = block.if_array();
    if (of_block == nullptr || of_block->empty())
      return fail(Errc::invalid, "a fee history without the percentile asked for");
    TRY(const std::uint64_t fee, quantity_u64_from(of_block->front()));
    out.priority_fees.push_back(fee);
  }
  return out;
}

}  // namespace assay::io
