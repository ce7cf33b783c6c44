#include "services/gateway/answer.hpp"

#include <algorithm>

#include "io/log.hpp"

namespace assay::services {

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
    return std::ranges::count_if(
        answer.attempts.begin() + static_cast<std::ptrdiff_t>(before), answer.attempts.end(),
        [](const Attempt& attempt) { return !attempt.error || !money_is_short(*attempt.error); });
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
