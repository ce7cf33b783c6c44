#include "settle/evm/calls.hpp"

#include "crypto/merkle_sum.hpp"
#include "market/statements.hpp"
#include "settle/evm/audit_calls.hpp"
#include "settle/evm/played.hpp"

namespace assay::settle::evm {
namespace {

using namespace protocol;
using crypto::SumNode;
using market::Operation;

class Calls : CallParts {
 public:
  using CallParts::CallParts;

  // Messages that need nothing beside them.
  template <class M>
    requires(std::same_as<M, Withdraw> || std::same_as<M, Transfer> || std::same_as<M, Stake> ||
             std::same_as<M, Unbond> || std::same_as<M, Release>)
  Result<Call> operator()(const Signed<M>& op) {
    AbiWriter out = signed_message(op);
    return call(market(), out, "{}({},bytes)", function_of<M>(), abi_type<M>());
  }
  Result<Call> operator()(const Signed<CommitDispute>& op) {
    AbiWriter out = signed_message(op);
    return call(disputes(), out, "commitDispute({},bytes)", abi_type<CommitDispute>());
  }

  // Messages about a lease.
  template <class M>
    requires(std::same_as<M, TopUp> || std::same_as<M, Close> || std::same_as<M, Claim>)
  Result<Call> operator()(const Signed<M>& op) {
    AbiWriter out = signed_message(op);
    CHECK_OK(put_terms(out, op.message.lease));
    return call(market(), out, "{}({},bytes,{})", function_of<M>(), abi_type<M>(), lease_type());
  }
  Result<Call> operator()(const Signed<Settlement>& op) {
    AbiWriter out = signed_message(op);
    CHECK_OK(put_terms(out, op.message.lease));
    TRY(const LeaseSlot lease, chain_.lease(op.message.lease));
    CHECK_OK(put_claim(out, lease.claiming == Claiming::pending ? lease.claim : Hash{}));
    return call(market(), out, "settle({},bytes,{},{})", abi_type<Settlement>(), lease_type(),
                abi_type<Claim>());
  }
  Result<Call> operator()(const market::OpenLease& op) {
    const auto& offer = op.offer.message;
    // The model this lease is about; none: the contract refuses the first as another one.
    std::size_t index = 0;
    for (std::size_t i = 0; i < offer.models.size(); ++i) {
      const auto& m = offer.models[i];
      if (struct_hash(ExecutionId{m.weights_root, m.program_hash, m.canon}) ==
              op.lease.message.execution &&
          m.price_in == op.lease.message.price_in && m.price_out == op.lease.message.price_out)
        index = i;
    }
    AbiWriter out = signed_message(op.lease);
    AbiWriter offered;
    put(out.tuple(put(offered, offer)), op.offer.signature);
    put(out, offer.models.empty() ? OfferModel{} : offer.models[index]).uint(index);
    return call(market(), out, "openLease({},bytes,{},bytes,{},uint256)", lease_type(),
                abi_type<Offer>(), abi_type<OfferModel>());
  }

  // Claims.
  Result<Call> operator()(const market::ContestClaim& op) {
    AbiWriter out = signed_message(op.dispute);
    CHECK_OK(put_terms(out, op.dispute.message.lease));
    CHECK_OK(put_claim(out, op.dispute.message.subject));
    return call(market(), out, "contestClaim({},bytes,{},{})", abi_type<Dispute>(), lease_type(),
                abi_type<Claim>());
  }
  Result<Call> operator()(const market::OpenClaim& op);
  Result<Call> operator()(const Signed<Finalize>& op) {
    TRY(const auto claim, chain_.claim(op.message.claim));
    AbiWriter out = signed_message(op);
    CHECK_OK(put_terms(out, claim ? claim->lease : Hash{}));
    put(out, claim.value_or(Claim{}));
    return call(market(), out, "finalize({},bytes,{},{})", abi_type<Finalize>(), lease_type(),
                abi_type<Claim>());
  }

  // Disputes.
  Result<Call> operator()(const market::FileDispute& op);
  Result<Call> operator()(const market::DisputeMove& op);
  Result<Call> operator()(const Signed<Timeout>& op);
  Result<Call> operator()(const market::ReportEquivocation& op) {
    AbiWriter out = signed_message(op.report);
    CHECK_OK(put_terms(out, op.report.message.lease));
    AbiWriter request;
    put(out.tuple(put(request, op.request.message)), op.request.signature);
    out.tuple(statement_tuple(op.first)).tuple(statement_tuple(op.second));
    return call(disputes(), out, "reportEquivocation({},bytes,{},{},bytes,{},{})",
                abi_type<Equivocation>(), lease_type(), abi_type<Request>(), statement_type(),
                statement_type());
  }

  // Deliveries.
  Result<Call> operator()(const market::DemandDelivery& op) {
    AbiWriter out = signed_message(op.demand);
    CHECK_OK(put_terms(out, op.demand.message.lease));
    out.tuple(evidence_tuple(op.evidence));
    return call(deliveries(), out, "{}", demand_signature());
  }
  Result<Call> operator()(const market::Deliver& op) {
    AbiWriter out = signed_message(op.delivery);
    CHECK_OK(put_wanted(out, op.delivery.message.demand));
    out.bytes(op.answer);
    return call(deliveries(), out, "{}", deliver_signature());
  }
  Result<Call> operator()(const market::ReportDelivery& op) {
    AbiWriter out = signed_message(op.report);
    TRY(const DemandSlot demand, chain_.demand(op.report.message.demand));
    CHECK_OK(put_terms(out, demand.lease));
    CHECK_OK(put_wanted(out, op.report.message.demand));
    put(out, op.delivered.delivery.message).bytes(op.delivered.answer);
    return call(deliveries(), out, "report({},bytes,{},{},{},bytes)", abi_type<DeliveryReport>(),
                lease_type(), kWantedType, abi_type<Delivery>());
  }

  // Hired auditors.
  template <class Op>
    requires requires(AuditCalls calls, const Op& op) { calls.make(op); }
  Result<Call> operator()(const Op& op) {
    return AuditCalls(chain_).make(op);
  }

  Result<Call> operator()(const Signed<LatencyReport>&) {
    return fail(Errc::unsupported,
                "a chain keeps no reports of latency, which are one buyer's word: they need an "
                "embedded ledger (`assay market`)");
  }
  Result<Call> operator()(const Signed<Deposit>&) {
    return fail(Errc::unsupported, "a deposit is no signed message here: it moves tokens");
  }
};

// The siblings from block `number` of 32 leaves up: those of its first leaf, without the block's
// own.
Result<std::vector<SumNode>> block_path(std::span<const SumNode> leaves, std::size_t number) {
  TRY(auto path, crypto::merkle_sum_proof(leaves, number * kClaimBlock));
  const std::size_t in_block = std::min(kClaimBlock, leaves.size() - number * kClaimBlock);
  std::size_t levels = 0;
  while (std::size_t{1} << levels < in_block) ++levels;
  path.erase(path.begin(),
             path.begin() + static_cast<std::ptrdiff_t>(std::min(levels, path.size())));
  return path;
}

AbiWriter& put_path(AbiWriter& out, std::span<const SumNode> path) {
  std::vector<AbiWriter> nodes;
  for (const SumNode& node : path) nodes.emplace_back().bytes32(node.hash).int64(node.sum);
  return out.structs(nodes);
}

Result<Call> Calls::operator()(const market::OpenClaim& op) {
  // The claim and the block that this contest asks for.
  TRY(const auto contested,
      chain_.events().first(
          {.kinds = {topics().claim_contested}, .indexed = {{op.answer.message.contest, {}, {}}}}));
  LeaseSlot lease;
  if (contested && contested->topics.size() > 2) {
    TRY(lease, chain_.lease(contested->topics[2]));
  }
  TRY(const auto claim, chain_.claim(lease.claim));
  std::vector<SumNode> nodes;
  for (const auto& leaf : op.leaves) {
    TRY(const SumNode node, crypto::sum_leaf(digest(chain_.domain(), leaf.receipt.message),
                                             leaf.receipt.message.amount));
    nodes.push_back(node);
  }
  const std::size_t first = lease.block * kClaimBlock;
  AbiWriter shown;
  std::vector<AbiWriter> leaves, before;
  std::vector<SumNode> path, before_path;
  if (claim && claim->count > kClaimBlock) {
    // Other leaves than the claim's have no block of it.
    if (nodes.size() != claim->count || first >= nodes.size())
      return fail(Errc::refused, "the claim has {} receipts, {} were shown", claim->count,
                  nodes.size());
    for (std::size_t i = first; i < std::min(nodes.size(), first + kClaimBlock); ++i)
      leaves.push_back(leaf_tuple(op.leaves[i]));
    TRY(path, block_path(nodes, lease.block));
    if (first > 0) {
      before.push_back(leaf_tuple(op.leaves[first - 1]));
      TRY(before_path, crypto::merkle_sum_proof(nodes, first - 1));
    }
  } else {
    for (const auto& leaf : op.leaves) leaves.push_back(leaf_tuple(leaf));
  }
  put_path(shown.tuples(leaves), path);
  put_path(shown.tuples(before), before_path);
  AbiWriter out = signed_message(op.answer);
  CHECK_OK(put_terms(out, claim ? claim->lease : Hash{}));
  put(out, claim.value_or(Claim{})).tuple(shown);
  return call(market(), out, "{}", open_claim_signature());
}

Result<Call> Calls::operator()(const market::FileDispute& op) {
  const auto& evidence = op.evidence;
  TRY(const auto terms, chain_.terms(op.dispute.message.lease));
  const bool by_figures =
      terms && market::arithmetic_fault(*terms, evidence.request.message, evidence.statement);
  if (!by_figures) CHECK_OK(check_program(op.execution, op.program));

  std::vector<AbiWriter> moves;
  if (!op.transcript.empty()) {
    if (auto played = played_moves(op, chain_.domain(), op.transcript))
      moves = std::move(*played);
    else
      for (const auto& move : op.transcript) moves.push_back(bare_move(move.payload));
  }
  std::vector<ByteView> signatures;
  for (const auto& move : op.transcript) signatures.push_back(move.signature.bytes);
  AbiWriter filing;
  put(filing.tuple(evidence_tuple(evidence)), op.execution);
  filing.tuples(moves).byte_strings(signatures);
  filing.bytes(op.finish ? ByteView(*op.finish) : ByteView()).boolean(op.finish.has_value());
  AbiWriter out = signed_message(op.dispute);
  put(out, terms.value_or(Lease{})).tuple(filing);
  TRY(const PassSlot pass, chain_.pass(op.dispute.message.subject));
  return call(pass.audit == Hash{} ? disputes() : chain_.contracts().passes, out, "{}",
              file_dispute_signature());
}

Result<Call> Calls::operator()(const market::DisputeMove& op) {
  const auto& m = op.move.message;
  TRY(const auto about, chain_.case_of(m.dispute));
  if (!about) {
    TRY(const auto wanted, chain_.wanted(m.dispute));
    if (wanted) return fail(Errc::refused, "a demand has no moves: deliver the answer");
  }
  AbiWriter played = bare_move(op.payload);
  TRY(const DisputeSlot slot, chain_.dispute(m.dispute));
  if (about && !slot.decided) {
    TRY(market::FileDispute game, chain_.game(m.dispute));
    game.transcript.push_back({op.payload, op.move.signature});
    if (auto all = played_moves(game, chain_.domain(), game.transcript))
      played = std::move(all->back());
  }
  AbiWriter out = signed_message(op.move);
  CHECK_OK(put_terms(out, slot.lease));
  put_words(out, about.value_or(Case{})).tuple(played);
  return call(slot.court, out, "{}", move_signature());
}

Result<Call> Calls::operator()(const Signed<Timeout>& op) {
  const Hash& id = op.message.dispute;
  AbiWriter out = signed_message(op);
  TRY(const auto wanted, chain_.wanted(id));
  if (wanted) {
    TRY(const DemandSlot demand, chain_.demand(id));
    CHECK_OK(put_terms(out, demand.lease));
    return call(deliveries(), out, "timeout({},bytes,{})", abi_type<Timeout>(), lease_type());
  }
  TRY(const auto contest,
      chain_.events().first({.kinds = {topics().claim_contested}, .indexed = {{id, {}, {}}}}));
  if (contest) return fail(Errc::refused, "a contest has no moves: open the claim, or finalize it");
  TRY(const auto check, chain_.check_proof(id));
  if (check) return call(chain_.contracts().checks, out, "timeout({},bytes)", abi_type<Timeout>());
  TRY(const DisputeSlot dispute, chain_.dispute(id));
  CHECK_OK(put_terms(out, dispute.lease));
  TRY(const auto about, chain_.case_of(id));
  put_words(out, about.value_or(Case{}));
  return call(dispute.court, out, "timeout({},bytes,{},{})", abi_type<Timeout>(), lease_type(),
              kCaseType);
}

}  // namespace

Result<Call> call_of(ChainView& chain, const Operation& operation) {
  return std::visit(Calls(chain), operation);
}

Result<Call> draw_call(ChainView& chain, const Hash& audit) {
  return AuditCalls(chain).draw(audit);
}

Call deposit_call(const Contracts& contracts, const crypto::Address& account,
                  market::Micros amount) {
  AbiWriter out;
  out.address(account).int64(amount);
  return {contracts.market, out.call("deposit(address,uint128)")};
}

Call approve_call(const Contracts& contracts, market::Micros amount) {
  AbiWriter out;
  out.address(contracts.market).int64(amount);
  return {contracts.token, out.call("approve(address,uint256)")};
}

Call store_program_call(const Contracts& contracts, ByteView program) {
  AbiWriter out;
  out.bytes(program);
  return {contracts.programs, out.call("store(bytes)")};
}

}  // namespace assay::settle::evm
