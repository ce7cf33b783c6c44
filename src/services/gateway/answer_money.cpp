// Whether there is money for what a body asks for, before any of it is bought.
#include <algorithm>
#include <limits>

#include "market/money.hpp"
#include "services/gateway/answer.hpp"
#include "services/gateway/gatekeeper.hpp"

namespace assay::services {

bool money_is_short(const ApiError& error) { return error.status == 402 || error.status == 429; }

const ApiError* short_money(std::span<const Attempt> attempts) {
  const ApiError* least = nullptr;
  Micros least_needed = 0;
  for (const Attempt& attempt : attempts) {
    if (!attempt.error || !money_is_short(*attempt.error)) continue;
    const auto needed =
        market::parse_money(json::get_string(attempt.error->details, "needed").value_or(""));
    const Micros amount = needed.value_or(std::numeric_limits<Micros>::max());
    if (least != nullptr && amount >= least_needed) continue;
    least = &*attempt.error;
    least_needed = amount;
  }
  return least;
}

ApiResult<void> Answers::reserve(std::span<Plan* const> plans, const Routing& routing) {
  const std::size_t replicas = std::max<std::size_t>(1, routing.proof.replicas);
  const std::size_t answers = plans.size() * replicas;
  if (answers < 2 || !plans.front()->spender.budget) return {};
  const Spender& spender = plans.front()->spender;
  TRY(Micros left, attempts_.left(spender));
  std::vector<Plan*> kept_for;
  std::vector<Micros> amounts;
  Micros total = 0;
  for (Plan* plan : plans) {
    // What was bought before is counted already.
    const auto earlier = plan->job.empty() ? Result<std::vector<RequestRecord>>{}
                                           : buyer_.store->requests_of_job(plan->job);
    if (!earlier) return std::unexpected(to_api_error(earlier.error()));
    if (!earlier->empty()) continue;
    if (plan->candidates.empty()) {
      const Wish wish = wish_of(*plan, routing);
      auto screened = market_.choose(wish);
      if (!screened) return std::unexpected(to_api_error(screened.error()));
      if (screened->screening.fitting.empty())
        return std::unexpected(no_provider_fits(*screened, wish));
      plan->candidates = std::move(screened->screening.fitting);
    }
    if (plan->candidates.size() < replicas)
      return std::unexpected(too_few_replicas(replicas, plan->candidates.size()));
    const auto asked = std::span(plan->candidates).first(replicas);
    std::uint32_t tokens = std::numeric_limits<std::uint32_t>::max();
    for (const market::Candidate& candidate : asked) {
      TRY(const Attempts::Size size,
          attempts_.size(*plan, candidate, 0, left / static_cast<Micros>(answers)));
      tokens = std::min(tokens, size.max_tokens);
    }
    plan->max_tokens = tokens;
    Micros amount = 0;
    for (const market::Candidate& candidate : asked) {
      TRY(const Attempts::Size size, attempts_.size(*plan, candidate, 0, left));
      const auto one = market::add(amount, size.cap);
      const auto all = market::add(total, size.cap);
      if (!one || !all)
        return api_fail(400, "invalid_value", "n", "the price of so many answers is no number");
      amount = *one;
      total = *all;
    }
    kept_for.push_back(plan);
    amounts.push_back(amount);
  }
  if (total <= left) {
    const auto kept = buyer_.store->reserve(spender, amounts);
    if (kept) {
      for (std::size_t i = 0; i < kept->size(); ++i) kept_for[i]->spender.reserved = (*kept)[i];
      return {};
    }
    if (kept.error().code != Errc::refused) return std::unexpected(to_api_error(kept.error()));
    // Somebody else asked in between.
    TRY(left, attempts_.left(spender));
  }
  return std::unexpected(over_budget(spender, left, total));
}

ApiResult<void> Answers::check_money(const Plan& plan, std::size_t answers,
                                     std::span<const market::Candidate> candidates) const {
  TRY(const Micros left, attempts_.left(plan.spender));
  const auto times = static_cast<Micros>(answers);
  std::optional<Micros> least;
  for (const market::Candidate& candidate : candidates) {
    TRY(const Attempts::Size size, attempts_.size(plan, candidate, 0, left / times));
    if (!least || size.cap < *least) least = size.cap;
  }
  Micros total = 0;
  if (!least || __builtin_mul_overflow(*least, times, &total))
    return api_fail(400, "invalid_value", "n", "the price of so many answers is no number");
  if (total > left) return std::unexpected(over_budget(plan.spender, left, total));
  CHECK_OK(attempts_.affordable(total));
  return {};
}

}  // namespace assay::services
