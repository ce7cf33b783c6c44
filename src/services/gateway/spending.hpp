// What was spent on what: over the receipts of this gateway, by model, provider and key.
#pragma once
#include <string>
#include <vector>

#include "services/gateway/records.hpp"

namespace assay::services {

// Of one model, provider or key. An answer is verified when its own replay, or a hired auditor's,
// matched; those that were not drawn are covered by the draw and not counted as verified.
struct Spending {
  std::string of;  // model name; provider address; key id, "" where none was needed
  std::uint64_t answers = 0, verified = 0;
  std::uint64_t refunded = 0;  // convicted: money back
  std::uint64_t tokens_in = 0, tokens_out = 0;
  Micros settled = 0;  // paid
  Micros owed = 0;     // receipted, not paid yet
  Micros open = 0;     // at most, of requests without a receipt
  // Answers later than promised: what their providers gave up, which is in neither of the others;
  // and how many rebates were not given, or given and claimed all the same.
  Micros rebated = 0;
  std::uint64_t rebates_refused = 0;
};

enum class SpendingBy { model, provider, key };
std::string_view to_string(SpendingBy by);
Result<SpendingBy> parse_spending_by(std::string_view text);

// Settled and owed divided by verified answers, rounded up; nullopt without any.
std::optional<Micros> per_verified(const Spending& spending);
json::object to_json(const Spending& spending);

}  // namespace assay::services
