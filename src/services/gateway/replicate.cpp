// Several providers, one answer: what they agree on needs no audit to be shown.
#include <algorithm>
#include <thread>

#include "services/gateway/shared_sink.hpp"

namespace assay::services {
namespace {

bool is_whole(const Attempt& attempt) {
  return attempt.end == Attempt::End::receipt && attempt.finish != protocol::Finish::cancelled;
}

bool agree(const Attempt& a, const Attempt& b) {
  return a.tokens == b.tokens && a.logprobs == b.logprobs && a.finish == b.finish;
}

}  // namespace

ApiError too_few_replicas(std::size_t wanted, std::size_t have) {
  return {.status = 503,
          .code = "too_few_replicas",
          .message = fmt::format("replicate:{} needs {} answers of different providers, there {} "
                                 "{}: ask for fewer, or loosen the limits",
                                 wanted, wanted, have == 1 ? "is" : "are", have),
          .param = "verification"};
}

// Rounds of as many at once as answers are missing, each with providers not asked before; all that
// answered are paid.
void Answers::replicate(const Plan& plan, std::span<const market::Candidate> fitting,
                        const Routing& routing, TokenSink& sink, Answer& answer) {
  const std::size_t wanted = routing.proof.replicas;
  const auto short_of = [&](std::size_t have) { answer.error = too_few_replicas(wanted, have); };
  if (fitting.size() < wanted) return short_of(fitting.size());
  // So many leases are there before the first answer is paid for.
  std::vector<market::Candidate> able;
  std::optional<ApiError> poor;
  for (const market::Candidate& candidate : fitting) {
    if (able.size() < wanted)
      if (const auto ready = attempts_.prepare(plan, candidate);
          !ready && money_is_short(ready.error())) {
        if (!poor) poor = ready.error();
        continue;
      }
    able.push_back(candidate);
  }
  if (poor && (able.size() < wanted || !routing.allow_fallbacks)) {
    answer.error = std::move(poor);
    return;
  }
  const std::size_t most =
      routing.allow_fallbacks
          ? std::min<std::size_t>(able.size(), wanted + buyer_.options.attempts - 1)
          : wanted;
  SharedSink shared(sink);
  std::vector<std::size_t> whole;
  for (std::size_t next = 0; whole.size() < wanted && next < most && !shared.gone();) {
    const std::size_t count = std::min(wanted - whole.size(), most - next);
    std::vector<Attempt> round(count);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i)
      threads.emplace_back([&, i] {
        round[i] = attempts_.run(
            plan, able[next + i], {}, [](const protocol::TokenEvent&) { return true; },
            [&] { return shared.gone(); });
      });
    for (std::thread& thread : threads) thread.join();
    next += count;
    for (Attempt& attempt : round) {
      if (is_whole(attempt)) whole.push_back(answer.attempts.size());
      answer.attempts.push_back(std::move(attempt));
    }
    worker_.wake();
  }
  if (whole.size() < wanted) {
    short_of(whole.size());
    if (const ApiError* cheapest = short_money(answer.attempts)) answer.error = *cheapest;
    json::array tried;
    for (const Attempt& attempt : answer.attempts)
      tried.push_back({{"provider", attempt.provider.to_string()},
                       {"error", attempt.error ? attempt.error->message : ""}});
    answer.error->details["tried"] = std::move(tried);
    if (all_busy(answer.attempts)) ask_again(*answer.error);
    return;
  }
  const bool all_agree = std::ranges::all_of(whole, [&](std::size_t i) {
    return agree(answer.attempts[i], answer.attempts[whole.front()]);
  });
  if (all_agree) {
    release_replica(whole.front(), sink, answer);
    return;
  }
  // Somebody lied, and only a replay can say who: of everybody, so that each liar is disputed.
  std::optional<std::size_t> right;
  for (const std::size_t i : whole) {
    auto audited = worker_.audit_now(answer.attempts[i].record->id);
    if (!audited) {
      answer.attempts[i].error = to_api_error(audited.error());
      continue;
    }
    answer.attempts[i].record = std::move(*audited);
    if (answer.attempts[i].record->audit == AuditState::match && !right) right = i;
  }
  if (right) {
    release_replica(*right, sink, answer);
    return;
  }
  answer.error = ApiError{.status = 502,
                          .code = "replicas_differ",
                          .message =
                              "the replicas gave different answers, and no audit found one "
                              "of them right",
                          .param = "verification"};
}

// Its attempt ends the answer; the others stand before it.
void Answers::release_replica(std::size_t index, TokenSink& sink, Answer& answer) {
  const auto place = answer.attempts.begin() + static_cast<std::ptrdiff_t>(index);
  std::rotate(place, place + 1, answer.attempts.end());
  const Attempt& shown = answer.attempts.back();
  answer.error.reset();
  answer.tokens = shown.tokens;
  answer.finish =
      sink.tokens({shown.tokens, shown.logprobs}) ? *shown.finish : protocol::Finish::stop;
}

}  // namespace assay::services
