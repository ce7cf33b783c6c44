#include "settle/evm/encoding.hpp"

namespace assay::settle::evm {
namespace {

using protocol::Progress;
using protocol::Receipt;
using protocol::Request;
using protocol::Signed;

// The Receipt that has a progress's figures (Statements.sol).
Receipt figures_of(const Progress& p) {
  Receipt out;
  out.request = p.request;
  out.count = p.count;
  out.tape_root = p.tape_root;
  out.trace_root = p.trace_root;
  out.logprobs_root = p.logprobs_root;
  out.amount = p.amount;
  return out;
}
Progress progress_of(const Receipt& r) {
  return {r.request, r.count, r.tape_root, r.trace_root, r.logprobs_root, r.amount};
}

// A dynamic struct that lies behind an offset.
template <class M>
Result<M> take_tuple(AbiReader& in) {
  TRY(AbiReader inner, in.tuple());
  return take<M>(inner);
}

}  // namespace

Result<protocol::Signature> take_signature(AbiReader& in) {
  TRY(const Bytes bytes, in.bytes());
  protocol::Signature out;
  if (bytes.size() != out.bytes.size())
    return fail(Errc::unsupported, "a signature of {} bytes: its signer is a contract",
                bytes.size());
  std::ranges::copy(bytes, out.bytes.begin());
  return out;
}

Hash word_of(const crypto::Address& address) {
  Hash out{};
  std::ranges::copy(address.bytes, out.begin() + 12);
  return out;
}

crypto::Address address_of(const Hash& word) {
  crypto::Address out;
  std::copy(word.begin() + 12, word.end(), out.bytes.begin());
  return out;
}

std::string statement_type() { return fmt::format("(bool,{},bytes)", abi_type<Receipt>()); }
std::string evidence_type() {
  return fmt::format("({},bytes,{})", abi_type<Request>(), statement_type());
}
std::string leaf_type() {
  return fmt::format("({},bytes,{},bytes)", abi_type<Request, detail::HashedTypeVisitor>(),
                     abi_type<Receipt>());
}

AbiWriter statement_tuple(const market::Statement& statement) {
  AbiWriter out;
  if (const auto* receipt = std::get_if<Signed<Receipt>>(&statement)) {
    put(out.boolean(false), receipt->message);
    put(out, receipt->signature);
  } else {
    const auto& progress = std::get<Signed<Progress>>(statement);
    put(out.boolean(true), figures_of(progress.message));
    put(out, progress.signature);
  }
  return out;
}

AbiWriter evidence_tuple(const market::Evidence& evidence) {
  AbiWriter request;
  put(request, evidence.request.message);
  AbiWriter out;
  put(out.tuple(request), evidence.request.signature);
  out.tuple(statement_tuple(evidence.statement));
  return out;
}

AbiWriter leaf_tuple(const market::ClaimLeaf& leaf) {
  AbiWriter out;
  Request::fields(leaf.request.message, detail::HashedPutVisitor{{out}});
  put(out, leaf.request.signature);
  put(out, leaf.receipt.message);
  put(out, leaf.receipt.signature);
  return out;
}

Result<market::Evidence> take_evidence(AbiReader& in) {
  market::Evidence out;
  TRY(out.request.message, take_tuple<Request>(in));
  TRY(out.request.signature, take_signature(in));
  TRY(AbiReader statement, in.tuple());
  TRY(const bool progress, statement.boolean());
  TRY(const Receipt figures, take<Receipt>(statement));
  TRY(const protocol::Signature signature, take_signature(statement));
  if (progress)
    out.statement = Signed<Progress>{progress_of(figures), signature};
  else
    out.statement = Signed<Receipt>{figures, signature};
  return out;
}

Result<market::ClaimLeaf> take_leaf(AbiReader& in) {
  market::ClaimLeaf out;
  TRY(out.request.message, (take<Request, detail::HashedTakeVisitor>(in)));
  TRY(out.request.signature, take_signature(in));
  TRY(out.receipt.message, take<Receipt>(in));
  TRY(out.receipt.signature, take_signature(in));
  return out;
}

}  // namespace assay::settle::evm
