// What a job would cost, before anything is spent: the answer, its verification, and what is held
// meanwhile.
#pragma once
#include "market/audit_policy.hpp"
#include "market/screen.hpp"

namespace assay::market {

struct QuoteTerms {
  std::uint32_t replicas = 1;  // providers that answer, each paid
  std::uint32_t answers = 1;   // of each (a body's `n`), one or more
  bool always_audited = false;
  std::optional<std::uint64_t> audit_rate_q32{};  // none: by policy
  // Hired for one audit; 0: the buyer replays by itself, which costs time and no money.
  std::uint32_t auditors = 0;
  Micros audit_fee = 0;  // the most each is paid
  Micros escrow = 0;     // of a new lease; 0: just the cap
  Parameters parameters;
};

struct Quote {
  Micros answer = 0;  // the most all answers cost: every max_tokens produced
  Micros first = 0;   // the least: one token
  std::uint64_t audit_rate_q32 = 0;
  Micros audits = 0;       // fees to be expected: rate × auditors × fee, rounded up
  Micros audits_most = 0;  // if every answer is audited
  Micros expected = 0;     // answer + audits
  Micros most = 0;         // answer + audits_most
  // Not all spent, but needed in the account: escrow of the leases, the fees of hired auditors,
  // which the ledger holds while they audit, the bond a dispute would take.
  Micros held = 0;
};

// Of the first `replicas` of a ranking (at least one, asserted). refused when a sum overflows.
Result<Quote> quote(std::span<const Candidate> chosen, const Job& job, const QuoteTerms& terms);

// Sums as decimal text; "audit_rate" as a number from 0 to 1.
json::object to_json(const Quote& quote);

}  // namespace assay::market
