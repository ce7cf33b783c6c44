#include "market/quote.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/int128.hpp"
#include "market/money.hpp"
#include "protocol/tokens.hpp"

namespace assay::market {
namespace {

Status add_to(Micros& sum, Micros amount) {
  const auto total = add(sum, amount);
  if (!total) return fail(Errc::refused, "the cost is more than any ledger holds");
  sum = *total;
  return {};
}

Status multiply(Micros& sum, std::uint32_t times) {
  if (__builtin_mul_overflow(sum, Micros{times}, &sum))
    return fail(Errc::refused, "the cost is more than any ledger holds");
  return {};
}

// ceil(amount × rate), rate ≤ 1 in q32.
Micros share_up(Micros amount, std::uint64_t rate_q32) {
  const Uint128 share = static_cast<Uint128>(amount) * rate_q32;
  return static_cast<Micros>((share + kAuditAlways - 1) / kAuditAlways);
}

}  // namespace

Result<Quote> quote(std::span<const Candidate> chosen, const Job& job, const QuoteTerms& terms) {
  ASSAY_ASSERT(!chosen.empty() && terms.audit_fee >= 0 && terms.auditors <= 64 &&
               terms.answers > 0);
  Quote out;
  if (terms.audit_fee > INT64_MAX / 64)
    return fail(Errc::refused, "the cost is more than any ledger holds");
  const Micros fees = terms.audit_fee * terms.auditors;
  for (std::size_t i = 0; i < std::min<std::size_t>(terms.replicas, chosen.size()); ++i) {
    const Candidate& c = chosen[i];
    const auto& model = c.offer.message.models[c.model];
    TRY(const Micros first, protocol::price(model.price_in, model.price_out, job.prompt_tokens, 1));
    std::uint64_t rate = terms.audit_rate_q32.value_or(0);
    if (terms.always_audited)
      rate = kAuditAlways;
    else if (!terms.audit_rate_q32)
      rate = audit_rate_q32({.price = c.expected_price,
                             .stake = c.stake,
                             .history = c.audited,
                             .lost_bps = terms.parameters.burned_bps});
    out.audit_rate_q32 = std::max(out.audit_rate_q32, rate);
    CHECK_OK(add_to(out.first, first));
    CHECK_OK(add_to(out.answer, c.expected_price));
    CHECK_OK(add_to(out.audits, share_up(fees, rate)));
    CHECK_OK(add_to(out.audits_most, rate > 0 ? fees : 0));
    // The answers of one provider share its lease.
    Micros priced = c.expected_price;
    CHECK_OK(multiply(priced, terms.answers));
    CHECK_OK(add_to(out.held, std::max(terms.escrow, priced)));
  }
  for (Micros* sum : {&out.first, &out.answer, &out.audits, &out.audits_most})
    CHECK_OK(multiply(*sum, terms.answers));
  CHECK_OK(add_to(out.held, out.audits_most));
  CHECK_OK(add_to(out.held, terms.parameters.dispute_bond));
  CHECK_OK(add_to(out.expected, out.answer));
  CHECK_OK(add_to(out.expected, out.audits));
  CHECK_OK(add_to(out.most, out.answer));
  CHECK_OK(add_to(out.most, out.audits_most));
  return out;
}

json::object to_json(const Quote& quote) {
  return {
      {"answer_most", format_money(quote.answer)},
      {"answer_least", format_money(quote.first)},
      {"audit_rate", static_cast<double>(quote.audit_rate_q32) / static_cast<double>(kAuditAlways)},
      {"audits_expected", format_money(quote.audits)},
      {"audits_most", format_money(quote.audits_most)},
      {"expected", format_money(quote.expected)},
      {"most", format_money(quote.most)},
      {"held", format_money(quote.held)}};
}

}  // namespace assay::market
