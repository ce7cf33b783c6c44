// What parties gave a contract that it did not keep: read back from the transactions.
#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "settle/evm/calls.hpp"

namespace assay::settle::evm {

using protocol::Signed;

namespace {

// What the leaves before block `number` of a claim of `count` come to: its siblings on the left, by
// MerkleSum.sol's climb. The contract has checked them against the root.
Result<market::Micros> sum_before(std::span<const market::Micros> siblings, std::uint64_t number,
                                  std::uint64_t count) {
  if (count == 0 || number * kClaimBlock >= count)
    return fail(Errc::mismatch, "block {} of a claim of {} receipts", number, count);
  market::Micros sum = 0;
  std::uint64_t index = number, last = (count - 1) / kClaimBlock;
  for (const market::Micros sibling : siblings) {
    if (index % 2 != 0 || index == last) {
      if (sibling < 0 || sibling > INT64_MAX - sum)
        return fail(Errc::mismatch, "a claim's sums overflow");
      sum += sibling;
      while (index % 2 == 0 && index != 0) {
        index /= 2;
        last /= 2;
      }
    }
    index /= 2;
    last /= 2;
  }
  return sum;
}

Result<Bytes> take_payload(AbiReader& played) { return played.bytes(); }

// Filing: evidence, execution, moves, signatures, finish, withoutGame.
Status take_filing(AbiReader in, market::FileDispute& out) {
  TRY(AbiReader evidence, in.tuple());
  TRY(out.evidence, take_evidence(evidence));
  TRY(out.execution, take<protocol::ExecutionId>(in));
  TRY(AbiReader::Array moves, in.array());
  TRY(AbiReader::Array signatures, in.array());
  TRY(Bytes finish, in.bytes());
  TRY(const bool without_game, in.boolean());
  if (without_game) out.finish = std::move(finish);
  if (moves.count != signatures.count)
    return fail(Errc::invalid, "{} moves with {} signatures", moves.count, signatures.count);
  for (std::uint64_t i = 0; i < moves.count; ++i) {
    TRY(AbiReader played, moves.elements.tuple());
    market::SignedMove move;
    TRY(move.payload, take_payload(played));
    TRY(move.signature, take_signature(signatures.elements));
    out.transcript.push_back(std::move(move));
  }
  return {};
}

}  // namespace

std::string file_dispute_signature() {
  return fmt::format("fileDispute({},bytes,{},({},{},{}[],bytes[],bytes,bool))",
                     abi_type<protocol::Dispute>(), abi_type<protocol::Lease>(), evidence_type(),
                     abi_type<protocol::ExecutionId>(), kPlayedType);
}
std::string move_signature() {
  return fmt::format("move({},bytes,{},{},{})", abi_type<protocol::Move>(),
                     abi_type<protocol::Lease>(), kCaseType, kPlayedType);
}
std::string demand_signature() {
  return fmt::format("demand({},bytes,{},{})", abi_type<protocol::Demand>(),
                     abi_type<protocol::Lease>(), evidence_type());
}
std::string deliver_signature() {
  return fmt::format("deliver({},bytes,{},bytes)", abi_type<protocol::Delivery>(), kWantedType);
}
std::string open_claim_signature() {
  return fmt::format("openClaim({},bytes,{},{},({}[],(bytes32,uint64)[],{}[],(bytes32,uint64)[]))",
                     abi_type<protocol::Answer>(), abi_type<protocol::Lease>(),
                     abi_type<protocol::Claim>(), leaf_type(), leaf_type());
}

Result<Bytes> ChainView::input_of(const Hash& transaction) {
  auto reply = rpc_->call("eth_getTransactionByHash", {to_hex(transaction)});
  if (!reply) return std::unexpected(Error(reply.error()));
  const auto* o = reply->if_object();
  const auto* input = o == nullptr ? nullptr : o->if_contains("input");
  if (input == nullptr)
    return fail(Errc::unavailable, "the endpoint does not have transaction {}",
                to_hex(transaction));
  return io::bytes_from(*input);
}

Result<Bytes> ChainView::program(const Hash& hash) {
  TRY(const Bytes data, view(contracts_.programs, AbiWriter().bytes32(hash), "codeOf(bytes32)"));
  TRY(const crypto::Address at, AbiReader(data).address());
  if (at.is_zero()) return fail(Errc::not_found, "no program {} on this chain", to_hex(hash));
  auto code = rpc_->call("eth_getCode", {at.to_string(), crypto::to_quantity(block_)});
  if (!code) return std::unexpected(Error(code.error()));
  TRY(Bytes bytes, io::bytes_from(*code));
  // Behind the STOP that keeps it from running (Programs.sol).
  if (bytes.empty() || crypto::sha256(ByteView(bytes).subspan(1)) != hash)
    return fail(Errc::mismatch, "the chain holds other bytes than program {}", to_hex(hash));
  bytes.erase(bytes.begin());
  return bytes;
}

Result<market::FileDispute> ChainView::filing(const Hash& dispute) {
  if (const auto known = filings_.find(dispute); known != filings_.end()) return known->second;
  TRY(const auto event,
      events_.first({.kinds = {topics().dispute_filed}, .indexed = {{dispute, {}, {}}}}));
  if (!event) return fail(Errc::not_found, "no dispute {} on this chain", to_hex(dispute));
  const auto take_dispute = [&](AbiReader in) -> Result<market::FileDispute> {
    market::FileDispute filed;
    TRY(filed.dispute, take_signed<protocol::Dispute>(in));
    CHECK_OK(expect_id(domain_, filed.dispute.message, dispute));
    CHECK_OK(take<protocol::Lease>(in));
    TRY(const AbiReader filing, in.tuple());
    CHECK_OK(take_filing(filing, filed));
    return filed;
  };
  TRY(market::FileDispute out,
      from_call<market::FileDispute>(event->transaction, file_dispute_signature(), take_dispute));
  if (auto bytes = program(out.execution.program_hash))
    out.program = std::move(*bytes);
  else if (bytes.error().code != Errc::not_found && bytes.error().code != Errc::mismatch)
    return std::unexpected(bytes.error());
  filings_[dispute] = out;
  return out;
}

Result<market::FileDispute> ChainView::game(const Hash& dispute) {
  TRY(market::FileDispute out, filing(dispute));
  TRY(const auto moved, events_.find({.kinds = {topics().moved}, .indexed = {{dispute, {}, {}}}}));
  for (std::size_t i = out.transcript.size(); i < moved.size(); ++i) {
    const auto take_move = [&](AbiReader in) -> Result<market::SignedMove> {
      TRY(const auto signed_move, take_signed<protocol::Move>(in));
      if (signed_move.message.dispute != dispute || signed_move.message.number != i)
        return fail(Errc::mismatch, "the call is another move");
      CHECK_OK(take<protocol::Lease>(in));
      CHECK_OK(take_words<kCaseWords>(in));
      TRY(AbiReader played, in.tuple());
      TRY(Bytes payload, take_payload(played));
      if (crypto::sha256(payload) != signed_move.message.payload)
        return fail(Errc::mismatch, "the call has another payload");
      return market::SignedMove{std::move(payload), signed_move.signature};
    };
    TRY(market::SignedMove move,
        from_call<market::SignedMove>(moved[i].transaction, move_signature(), take_move));
    out.transcript.push_back(std::move(move));
  }
  return out;
}

Result<market::DemandDelivery> ChainView::demand_operation(const Hash& id) {
  TRY(const auto event, events_.first({.kinds = {topics().demanded}, .indexed = {{id, {}, {}}}}));
  if (!event) return fail(Errc::not_found, "no demand {} on this chain", to_hex(id));
  return from_call<market::DemandDelivery>(event->transaction, demand_signature(),
                                           [&](AbiReader in) -> Result<market::DemandDelivery> {
                                             market::DemandDelivery out;
                                             TRY(out.demand, take_signed<protocol::Demand>(in));
                                             CHECK_OK(expect_id(domain_, out.demand.message, id));
                                             CHECK_OK(take<protocol::Lease>(in));
                                             TRY(AbiReader evidence, in.tuple());
                                             TRY(out.evidence, take_evidence(evidence));
                                             return out;
                                           });
}

Result<market::Deliver> ChainView::delivery_operation(const Hash& id) {
  TRY(const auto event, events_.first({.kinds = {topics().delivered}, .indexed = {{id, {}, {}}}}));
  if (!event) return fail(Errc::not_found, "no delivery {} on this chain", to_hex(id));
  return from_call<market::Deliver>(event->transaction, deliver_signature(),
                                    [&](AbiReader in) -> Result<market::Deliver> {
                                      market::Deliver out;
                                      TRY(out.delivery, take_signed<protocol::Delivery>(in));
                                      CHECK_OK(expect_id(domain_, out.delivery.message, id));
                                      CHECK_OK(take_words<kWantedWords>(in));
                                      TRY(out.answer, in.bytes());
                                      return out;
                                    });
}

Result<market::OpenClaim> ChainView::opening_operation(const Hash& id) {
  TRY(const auto event,
      events_.first({.kinds = {topics().claim_opened}, .indexed = {{id, {}, {}}}}));
  if (!event || event->topics.size() < 4)
    return fail(Errc::not_found, "no opened claim {} on this chain", to_hex(id));
  TRY(const auto contested, events_.first({.kinds = {topics().claim_contested},
                                           .indexed = {{event->topics[3], {}, {}}}}));
  if (!contested) return fail(Errc::not_found, "the chain does not show what was contested");
  AbiReader asked(contested->data);
  TRY(const std::uint64_t first, asked.u64());
  const auto take_opening = [&](AbiReader in) -> Result<market::OpenClaim> {
    market::OpenClaim out;
    TRY(out.answer, take_signed<protocol::Answer>(in));
    CHECK_OK(expect_id(domain_, out.answer.message, id));
    CHECK_OK(take<protocol::Lease>(in));
    TRY(const auto claim, take<protocol::Claim>(in));
    TRY(AbiReader shown, in.tuple());
    TRY(AbiReader::Array leaves, shown.array());
    for (std::uint64_t i = 0; i < leaves.count; ++i) {
      TRY(AbiReader leaf, leaves.elements.tuple());
      TRY(market::ClaimLeaf taken, take_leaf(leaf));
      out.leaves.push_back(std::move(taken));
    }
    TRY(AbiReader::Array path, shown.array());
    std::vector<market::Micros> siblings;
    for (std::uint64_t i = 0; i < path.count; ++i) {
      CHECK_OK(path.elements.bytes32());
      TRY(const std::int64_t sum, path.elements.i64());
      siblings.push_back(sum);
    }
    out.first = static_cast<std::uint32_t>(first);
    TRY(out.before, sum_before(siblings, first / kClaimBlock, claim.count));
    return out;
  };
  return from_call<market::OpenClaim>(event->transaction, open_claim_signature(), take_opening);
}

}  // namespace assay::settle::evm
