#include "services/gateway/answer.hpp"

#include <algorithm>
#include <limits>

#include "io/log.hpp"
#include "market/money.hpp"
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

bool all_busy(std::span<const Attempt> attempts) {
  const auto asked = [](const Attempt& attempt) { return attempt.record.has_value(); };
  return std::ranges::any_of(attempts, asked) &&
         std::ranges::all_of(attempts, [&](const Attempt& a) { return a.busy || !asked(a); });
}

void ask_again(ApiError& error) {
  constexpr std::uint32_t kBusyS = 2;
  error.status = 503;
  error.retry = true;
  error.retry_after_s = kBusyS;
}

ApiError no_provider_fits(const MarketView::Screened& screened, const Wish& wish) {
  const json::object all = screening_json(screened);
  std::string message = screened.screening.refused.empty()
                            ? "no provider fits: the market has no offers; start one with `assay "
                              "provider`"
                            : market::explain(screened.screening);
  const bool nobody_has_it =
      std::ranges::all_of(screened.screening.refused, [](const market::Refused& refused) {
        return std::ranges::any_of(refused.reasons, [](const market::Refusal& reason) {
          return market::sells_something_else(reason.code);
        });
      });
  if (screened.relaxation)
    message += fmt::format("; to get an answer from {}: {}",
                           screened.relaxation->provider.to_string(), screened.relaxation->text);
  return {.status = nobody_has_it && !screened.screening.refused.empty() ? 404 : 503,
          .code = "no_provider_fits",
          .message = std::move(message),
          .param = "model",
          .details = {{"model", wish.name},
                      {"refused", all.at("refused")},
                      {"relaxation", all.at("relaxation")}}};
}

Wish Answers::wish_of(const Plan& plan, const Routing& routing) const {
  constexpr std::uint32_t kTypicalAnswer = 256;  // to compare prices where no maximum is given
  const std::uint32_t context = plan.model->model->hyper().context;
  const auto prompt = static_cast<std::uint32_t>(plan.prompt.size());
  return {.model = plan.model,
          .name = plan.model_name,
          .prompt_tokens = prompt,
          .max_tokens = plan.max_tokens.value_or(
              std::min(kTypicalAnswer, context > prompt ? context - prompt : 1)),
          .routing = routing,
          .may_wait = plan.may_wait};
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

Answer Answers::make(const Plan& asked, const Routing& routing, Delivery delivery,
                     TokenSink& sink) {
  Answer answer;
  Plan plan = asked;
  const auto over = resume(plan, delivery, sink, answer);
  if (!over) answer.error = over.error();
  if (!over || *over) return answer;
  const Wish wish = wish_of(plan, routing);
  std::vector<market::Candidate> fitting = plan.candidates;
  if (fitting.empty()) {
    auto screened = market_.choose(wish);
    if (!screened) {
      answer.error = to_api_error(screened.error());
      return answer;
    }
    fitting = std::move(screened->screening.fitting);
    if (fitting.empty()) {
      answer.error = no_provider_fits(*screened, wish);
      return answer;
    }
  }
  if (routing.proof.replicas > 1) {
    replicate(plan, fitting, routing, sink, answer);
    return answer;
  }
  const std::size_t before = answer.attempts.size();
  // Whoever money was short for was not asked, which is no try.
  const auto tried_so_far = [&] {
    return std::ranges::count_if(answer.attempts.begin() + static_cast<std::ptrdiff_t>(before),
                                 answer.attempts.end(), [](const Attempt& attempt) {
                                   return !attempt.error || !money_is_short(*attempt.error);
                                 });
  };
  const std::size_t most = routing.allow_fallbacks ? fitting.size() : 1;
  std::size_t next = 0;
  if (may_hedge(routing, std::min<std::size_t>(most, buyer_.options.attempts)) &&
      answer.tokens.empty()) {
    const Hedged hedged = hedge(plan, std::span(fitting).first(2), routing, delivery, sink, answer);
    if (hedged.over) return answer;
    next = hedged.asked;
  }
  for (; next < most && tried_so_far() < std::ptrdiff_t{buyer_.options.attempts}; ++next)
    if (try_candidate(plan, fitting[next], delivery, sink, answer)) return answer;
  // Nobody gave an answer: the last one's words, under a status that says "not you"; where nobody
  // could be asked, what the cheapest would have taken.
  const auto failed = std::ranges::find_if(
      answer.attempts.rbegin(), answer.attempts.rend(),
      [](const Attempt& attempt) { return attempt.error && !money_is_short(*attempt.error); });
  if (failed != answer.attempts.rend())
    answer.error = failed->error;
  else if (const ApiError* cheapest = short_money(answer.attempts))
    answer.error = *cheapest;
  else if (!answer.error)
    answer.error = ApiError{.status = 503, .code = "providers_failed", .message = "no answer"};
  if (!money_is_short(*answer.error) && answer.error->status < 500) answer.error->status = 502;
  json::array tried;
  for (const Attempt& attempt : answer.attempts)
    tried.push_back({{"provider", attempt.provider.to_string()},
                     {"error", attempt.error ? attempt.error->message : ""}});
  answer.error->details["tried"] = std::move(tried);
  // A client library that repeats by itself would pay for the same attempts again, unless there
  // was nothing to pay for.
  answer.error->retry = false;
  if (all_busy(answer.attempts)) ask_again(*answer.error);
  return answer;
}

bool Answers::try_candidate(const Plan& plan, const market::Candidate& candidate, Delivery delivery,
                            TokenSink& sink, Answer& answer) {
  const bool held = delivery == Delivery::verify_before_stream;
  const auto gone = [&] { return sink.gone(); };
  const auto on_tokens = [&](const protocol::TokenEvent& event) {
    if (held) return true;
    answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
    return sink.tokens(event);
  };
  // Held tokens of a provider that died were never shown: the next one starts afresh.
  answer.attempts.push_back(attempts_.run(plan, candidate, answer.tokens, on_tokens, gone));
  return conclude(delivery, sink, answer);
}

bool Answers::conclude(Delivery delivery, TokenSink& sink, Answer& answer) {
  const bool held = delivery == Delivery::verify_before_stream;
  Attempt& attempt = answer.attempts.back();
  answer.error = attempt.error;
  if (attempt.record) worker_.wake();
  switch (attempt.end) {
    case Attempt::End::receipt:
      // The provider ended early, paid for what it did: the next one goes on.
      if (attempt.finish == protocol::Finish::cancelled) {
        answer.error = attempt.error =
            ApiError{.status = 502,
                     .code = "provider_stopped",
                     .message = "the provider ended the answer before it was complete"};
        return false;
      }
      if (held) return release_verified(attempt, sink, answer);
      answer.finish = attempt.finish;
      return true;
    case Attempt::End::complete:
      // The client has it all; only the proof is missing.
      if (held) return false;
      answer.finish = attempt.tokens.size() == attempt.record->request.message.max_tokens
                          ? protocol::Finish::length
                          : protocol::Finish::stop;
      answer.error.reset();
      return true;
    case Attempt::End::stopped:
      answer.finish = protocol::Finish::stop;
      answer.error.reset();
      return true;
    case Attempt::End::died:
    case Attempt::End::refused:
      if (attempt.error && attempt.error->code == "continuation") {
        audit_earlier(answer);
        return true;
      }
      return sink.gone();
  }
  return true;
}

// The successor's prefill chose other tokens than the client was shown: whoever sent those is
// audited, whatever the draw says.
void Answers::audit_earlier(Answer& answer) {
  for (std::size_t i = 0; i + 1 < answer.attempts.size(); ++i) {
    auto& record = answer.attempts[i].record;
    if (!record || record->stage != RequestStage::signed_off) continue;
    record->always_audit = true;
    // A conflict means that its statement came in meanwhile, and was drawn by the usual rule.
    if (const Status kept = buyer_.store->update_request(*record, RequestStage::signed_off); !kept)
      io::log_info("an unfinished answer is not marked for audit: {}", kept.error().message);
  }
  answer.error->status = 502;
  answer.error->retry = false;
}

bool Answers::release_verified(Attempt& attempt, TokenSink& sink, Answer& answer) {
  auto audited = worker_.audit_now(attempt.record->id);
  if (!audited) {
    answer.error = attempt.error = to_api_error(audited.error());
    return false;
  }
  attempt.record = std::move(*audited);
  if (attempt.record->audit != AuditState::match) {
    answer.error = attempt.error =
        ApiError{.status = 502,
                 .code = "audit_mismatch",
                 .message = fmt::format("the provider {} did not run the model it sold: {}",
                                        attempt.provider.to_string(), attempt.record->reason)};
    return false;
  }
  answer.tokens = attempt.tokens;
  answer.finish =
      sink.tokens({attempt.tokens, attempt.logprobs}) ? *attempt.finish : protocol::Finish::stop;
  return true;
}

}  // namespace assay::services
