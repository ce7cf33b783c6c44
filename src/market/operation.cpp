#include "market/operation.hpp"

#include <algorithm>
#include <array>

#include "crypto/sha256.hpp"
#include "protocol/delivery.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"

namespace assay::market {
namespace {

// In the order of the variant.
constexpr std::array<std::string_view, std::variant_size_v<Operation>> kKinds = {
    "deposit",
    "withdraw",
    "transfer",
    "stake",
    "unbond",
    "release",
    "open_lease",
    "top_up",
    "settle",
    "claim",
    "contest_claim",
    "open_claim",
    "finalize",
    "close",
    "commit_dispute",
    "file_dispute",
    "dispute_move",
    "timeout",
    "report_equivocation",
    "demand_delivery",
    "deliver",
    "report_delivery",
    "register_auditor",
    "request_audit",
    "beacon",
    "commit_audit",
    "reveal_audit",
    "check_audit",
    "answer_check",
    "report_key",
    "show_canary",
    "settle_audit",
    "report_latency"};

// A statement says which of the two it is: {"kind": "receipt", "message": …, "signature": …}.
struct StatementBox {
  Statement value;
};
json::value encode(const StatementBox& box) {
  json::object out;
  out["kind"] =
      std::holds_alternative<Signed<protocol::Receipt>>(box.value) ? "receipt" : "progress";
  std::visit(
      [&](const auto& s) {
        protocol::FieldWriter write{out};
        write("message", s.message);
        write("signature", s.signature);
      },
      box.value);
  return out;
}
template <class M>
Status decode_as(const json::object& o, Statement& out) {
  Signed<M> statement;
  std::string kind;
  protocol::FieldReader read(o, M::kName);
  read("kind", kind);
  read("message", statement.message);
  read("signature", statement.signature);
  CHECK_OK(read.finish());
  out = std::move(statement);
  return {};
}
Status decode(const json::value& v, StatementBox& out) {
  TRY(const json::object* o, json::as_object(v, "a statement"));
  TRY(const std::string kind, json::get_string(*o, "kind"));
  if (kind == "receipt") return decode_as<protocol::Receipt>(*o, out.value);
  if (kind == "progress") return decode_as<protocol::Progress>(*o, out.value);
  return fail(Errc::invalid, "a statement is a 'receipt' or a 'progress', not '{}'", kind);
}

// A proof, which may have no bytes, or null.
struct ProofBox {
  std::optional<Bytes> value;
};
json::value encode(const ProofBox& box) {
  return box.value ? protocol::encode(*box.value) : json::value(nullptr);
}
Status decode(const json::value& v, ProofBox& out) {
  out.value.reset();
  return v.is_null() ? Status() : protocol::decode(v, out.value.emplace());
}

// Longer than other bytes.
struct SealedBox {
  Bytes value;
};
json::value encode(const SealedBox& box) { return protocol::encode(box.value); }
Status decode(const json::value& v, SealedBox& out) {
  return protocol::decode_bytes(v, kSealedBytesMax, out.value);
}

// One list of members per operation, for both directions.
template <class V, class M>
void own(V& v, Signed<M>& message) {
  v("message", message.message);
  v("signature", message.signature);
}
template <class V>
void statement(V& v, std::string_view name, Statement& s) {
  StatementBox box{s};
  v(name, box);
  s = std::move(box.value);
}
template <class V, class M>
void members(V& v, Signed<M>& op) {
  own(v, op);
}
template <class V>
void members(V& v, OpenLease& op) {
  own(v, op.lease);
  v("offer", op.offer);
}
template <class V>
void members(V& v, Evidence& e) {
  v("request", e.request);
  statement(v, "statement", e.statement);
}
template <class V>
void members(V& v, FileDispute& op) {
  own(v, op.dispute);
  members(v, op.evidence);
  v("execution", op.execution);
  v("program", op.program);
  v("transcript", op.transcript);
  ProofBox proof{std::move(op.finish)};
  v("finish", proof);
  op.finish = std::move(proof.value);
}
template <class V>
void members(V& v, DisputeMove& op) {
  own(v, op.move);
  v("payload", op.payload);
}
template <class V>
void members(V& v, ContestClaim& op) {
  own(v, op.dispute);
}
template <class V>
void members(V& v, OpenClaim& op) {
  own(v, op.answer);
  v("leaves", op.leaves);
}
template <class V>
void members(V& v, ReportEquivocation& op) {
  own(v, op.report);
  v("request", op.request);
  statement(v, "first", op.first);
  statement(v, "second", op.second);
}
template <class V>
void members(V& v, RequestAudit& op) {
  own(v, op.request);
  members(v, op.evidence);
}
template <class V>
void members(V& v, CheckAudit& op) {
  own(v, op.check);
  v("execution", op.execution);
  v("program", op.program);
  v("proof", op.proof);
}
template <class V>
void members(V& v, AnswerCheck& op) {
  own(v, op.answer);
  v("proof", op.proof);
}
template <class V>
void members(V& v, ShowCanary& op) {
  own(v, op.shown);
  v("canary", op.canary);
}

template <class V>
void members(V& v, DemandDelivery& op) {
  own(v, op.demand);
  members(v, op.evidence);
}
template <class V>
void members(V& v, Deliver& op) {
  own(v, op.delivery);
  SealedBox sealed{std::move(op.answer)};
  v("answer", sealed);
  op.answer = std::move(sealed.value);
}
template <class V>
void members(V& v, ReportDelivery& op) {
  own(v, op.report);
  v("delivered", op.delivered);
}

template <std::size_t I = 0>
Result<Operation> read_kind(const json::object& o, std::string_view kind) {
  if constexpr (I == std::variant_size_v<Operation>) {
    return fail(Errc::invalid, "unknown operation '{}'", kind);
  } else {
    if (kind != kKinds[I]) return read_kind<I + 1>(o, kind);
    std::variant_alternative_t<I, Operation> op;
    std::string own_kind;
    protocol::FieldReader read(o, kind);
    read("kind", own_kind);
    members(read, op);
    CHECK_OK(read.finish());
    return Operation(std::move(op));
  }
}

// The operation's own message.
struct Id {
  const Domain& domain;
  template <class M>
  Hash operator()(const Signed<M>& op) const {
    return protocol::digest(domain, op.message);
  }
  Hash operator()(const OpenLease& op) const { return (*this)(op.lease); }
  Hash operator()(const FileDispute& op) const { return (*this)(op.dispute); }
  Hash operator()(const DisputeMove& op) const { return (*this)(op.move); }
  Hash operator()(const ContestClaim& op) const { return (*this)(op.dispute); }
  Hash operator()(const OpenClaim& op) const { return (*this)(op.answer); }
  Hash operator()(const ReportEquivocation& op) const { return (*this)(op.report); }
  Hash operator()(const DemandDelivery& op) const { return (*this)(op.demand); }
  Hash operator()(const Deliver& op) const { return (*this)(op.delivery); }
  Hash operator()(const ReportDelivery& op) const { return (*this)(op.report); }
  Hash operator()(const RequestAudit& op) const { return (*this)(op.request); }
  Hash operator()(const CheckAudit& op) const { return (*this)(op.check); }
  Hash operator()(const AnswerCheck& op) const { return (*this)(op.answer); }
  Hash operator()(const ShowCanary& op) const { return (*this)(op.shown); }
};

}  // namespace

json::value encode(const ClaimLeaf& leaf) {
  json::object out;
  protocol::FieldWriter write{out};
  write("request", leaf.request);
  write("receipt", leaf.receipt);
  return out;
}

Status decode(const json::value& v, ClaimLeaf& out) {
  TRY(const json::object* o, json::as_object(v, "a leaf"));
  protocol::FieldReader read(*o, "a leaf");
  read("request", out.request);
  read("receipt", out.receipt);
  return read.finish();
}

json::value encode(const Deliver& delivered) {
  json::object out;
  protocol::FieldWriter write{out};
  auto copy = delivered;
  members(write, copy);
  return out;
}

Status decode(const json::value& v, Deliver& out) {
  TRY(const json::object* o, json::as_object(v, "a delivery"));
  protocol::FieldReader read(*o, "a delivery");
  members(read, out);
  return read.finish();
}

json::value encode(const SignedMove& move) {
  json::object out;
  protocol::FieldWriter write{out};
  write("payload", move.payload);
  write("signature", move.signature);
  return out;
}

Status decode(const json::value& v, SignedMove& out) {
  TRY(const json::object* o, json::as_object(v, "a move"));
  protocol::FieldReader read(*o, "a move");
  read("payload", out.payload);
  read("signature", out.signature);
  return read.finish();
}

std::string_view kind_of(const Operation& operation) { return kKinds[operation.index()]; }

Hash operation_id(const Domain& domain, const Operation& operation) {
  return std::visit(Id{domain}, operation);
}

Hash commitment_of(const Domain& domain, const Operation& operation) {
  const Hash id = operation_id(domain, operation);
  Bytes bytes(id.begin(), id.end());
  if (const auto* dispute = std::get_if<FileDispute>(&operation); dispute && dispute->finish)
    append(bytes, crypto::sha256(*dispute->finish));
  return crypto::sha256(bytes);
}

std::uint32_t demandable_tokens(const Domain& domain, const protocol::Request& request) {
  const std::uint64_t width = protocol::logprob_width(request);
  const std::uint64_t bytes = domain.chain_id == 0 ? kSealedBytesMax : kSealedBytesOnChainMax;
  std::uint64_t most = std::min<std::uint64_t>(protocol::kAnswerTokensMax, bytes / 4 / (1 + width));
  if (width > 0) most = std::min(most, protocol::kLogprobNumbersMax / width);
  return static_cast<std::uint32_t>(most);
}

json::object to_json(const Operation& operation) {
  json::object out;
  out["kind"] = kind_of(operation);
  protocol::FieldWriter write{out};
  auto copy = operation;
  std::visit([&](auto& op) { members(write, op); }, copy);
  return out;
}

Result<Operation> operation_from_json(const json::object& o) {
  TRY(const std::string kind, json::get_string(o, "kind"));
  return read_kind(o, kind);
}

Hash statement_id(const Domain& domain, const Statement& s) {
  return std::visit([&](const auto& m) { return protocol::digest(domain, m.message); }, s);
}
const Hash& statement_request(const Statement& s) {
  return std::visit([](const auto& m) -> const Hash& { return m.message.request; }, s);
}
Micros statement_amount(const Statement& s) {
  return std::visit([](const auto& m) { return m.message.amount; }, s);
}
std::uint32_t statement_count(const Statement& s) {
  return std::visit([](const auto& m) { return m.message.count; }, s);
}

}  // namespace assay::market
