#include "market/statements.hpp"

#include "market/money.hpp"
#include "protocol/delivery.hpp"
#include "protocol/tokens.hpp"

namespace assay::market {
namespace {

using protocol::Finish;
using protocol::Receipt;

struct Claims {
  Hash tape{}, trace{}, logprobs{};
  Micros amount = 0;
  std::optional<std::uint32_t> finish;  // receipts only
};

Claims claims_of(const Statement& statement) {
  return std::visit(
      [](const auto& s) {
        Claims c{s.message.tape_root,
                 s.message.trace_root,
                 s.message.logprobs_root,
                 s.message.amount,
                 {}};
        if constexpr (requires { s.message.finish; }) c.finish = s.message.finish;
        return c;
      },
      statement);
}

}  // namespace

Status check_evidence(const Domain& domain, const protocol::Lease& lease, const Hash& lease_id,
                      const Signed<protocol::Request>& request, const Statement& statement) {
  if (request.message.lease != lease_id)
    return fail(Errc::refused, "the request belongs to another lease");
  if (request.message.execution != lease.execution)
    return fail(Errc::refused, "the request asks for another execution than the lease");
  if (auto ok = protocol::check_signature(domain, request, lease.buyer); !ok)
    return fail_in("request", ok.error());
  if (statement_request(statement) != protocol::digest(domain, request.message))
    return fail(Errc::refused, "the receipt answers another request");
  auto ok = std::visit(
      [&](const auto& s) { return protocol::check_signature(domain, s, lease.provider); },
      statement);
  if (!ok) return fail_in("receipt", ok.error());
  return {};
}

std::optional<std::string> arithmetic_fault(const protocol::Lease& lease,
                                            const protocol::Request& request,
                                            const Statement& statement) {
  const auto count = statement_count(statement);
  const Micros amount = statement_amount(statement);
  if (count > request.max_tokens)
    return fmt::format("{} answer tokens, at most {} were asked for", count, request.max_tokens);
  const auto price = protocol::amount_of(lease, request, count);
  if (!price) return fmt::format("no price for {} answer tokens: {}", count, price.error().message);
  if (amount != *price)
    return fmt::format("amount {} is not the price {}", format_money(amount), format_money(*price));
  if (amount > request.cap)
    return fmt::format("amount {} is over the cap {}", format_money(amount),
                       format_money(request.cap));
  if (const auto finish = claims_of(statement).finish;
      finish && *finish > static_cast<std::uint32_t>(Finish::cancelled))
    return fmt::format("unknown finish {}", *finish);
  // Nothing could be delivered or opened that shows these to be wrong.
  if (const auto claims = claims_of(statement); count == 0) {
    const Hash none = protocol::tape_root({}, {});
    if (claims.tape != none ||
        claims.logprobs != (protocol::logprob_width(request) > 0 ? none : Hash{}))
      return "no tokens, and another root than that of none";
  }
  return std::nullopt;
}

std::optional<std::string> contradiction(const Statement& first, const Statement& second) {
  if (statement_request(first) != statement_request(second)) return std::nullopt;
  const auto a = claims_of(first), b = claims_of(second);
  if (statement_count(first) != statement_count(second)) {
    if (!a.finish || !b.finish) return std::nullopt;
    return fmt::format("two receipts, one for {} tokens and one for {}", statement_count(first),
                       statement_count(second));
  }
  const auto count = statement_count(first);
  if (a.tape != b.tape) return fmt::format("two different answers of {} tokens", count);
  if (a.amount != b.amount) return fmt::format("two different amounts for {} tokens", count);
  if (a.logprobs != b.logprobs)
    return fmt::format("two different log-probabilities of {} tokens", count);
  if (a.finish && b.finish && a.finish != b.finish)
    return fmt::format("two different endings at {} tokens", count);
  const auto fault = static_cast<std::uint32_t>(Finish::fault);
  const bool same_leaves =
      a.finish.has_value() == b.finish.has_value() || (a.finish != fault && b.finish != fault);
  if (same_leaves && a.trace != b.trace)
    return fmt::format("two different traces of {} tokens", count);
  return std::nullopt;
}

std::optional<std::string> delivery_fault(const protocol::Request& request,
                                          const Statement& statement, const Hash& demand,
                                          const Hash& salt_secret, ByteView sealed) {
  const auto answer =
      protocol::unseal_answer(salt_secret, demand, request, statement_count(statement), sealed);
  const auto claims = claims_of(statement);
  return protocol::delivery_fault(salt_secret, request, answer, claims.tape, claims.logprobs);
}

}  // namespace assay::market
