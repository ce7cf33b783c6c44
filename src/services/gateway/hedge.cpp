// A second provider for one prompt, where the first takes long to begin: the one that sends the
// first token answers. The bits are the same, so a client cannot tell which.
#include <algorithm>
#include <condition_variable>
#include <thread>

#include "base/assert.hpp"
#include "io/system_clock.hpp"
#include "services/gateway/shared_sink.hpp"

namespace assay::services {
namespace {

constexpr io::Metric kHedges{"assay_gateway_hedges_total",
                             "Second providers asked for a first token, by who was first."};

// Who began first; the other one is told to stop.
class Race {
 public:
  // May this one's token be shown?
  bool token(std::size_t runner) {
    const std::lock_guard lock(mutex_);
    if (!winner_) winner_ = runner;
    changed_.notify_all();
    return *winner_ == runner;
  }
  bool lost(std::size_t runner) {
    const std::lock_guard lock(mutex_);
    return winner_ && *winner_ != runner;
  }
  void asked() { set(asked_); }
  void ended() { set(ended_); }
  std::optional<std::size_t> winner() {
    const std::lock_guard lock(mutex_);
    return winner_;
  }
  // false: the first one sent a token or gave up within `wait` of being asked.
  bool wait_for_first(std::chrono::milliseconds wait) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asked_ || ended_; });
    changed_.wait_for(lock, wait, [&] { return winner_ || ended_; });
    return !winner_ && !ended_;
  }

 private:
  void set(bool& flag) {
    const std::lock_guard lock(mutex_);
    flag = true;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::size_t> winner_;
  bool asked_ = false, ended_ = false;  // the first one
};

}  // namespace

bool may_hedge(const Routing& routing, std::size_t fitting) {
  return routing.hedge_ms.value_or(0) > 0 && routing.proof.replicas == 1 &&
         routing.allow_fallbacks && fitting > 1;
}

Answers::Hedged Answers::hedge(const Plan& plan, std::span<const market::Candidate> two,
                               const Routing& routing, Delivery delivery, TokenSink& sink,
                               Answer& answer) {
  ASSAY_ASSERT(two.size() == 2 && answer.tokens.empty());
  const bool held = delivery == Delivery::verify_before_stream;
  SharedSink shared(sink);
  Race race;
  Attempt attempts[2];
  std::int64_t asked_ms = 0;
  const auto run = [&](std::size_t i) {
    attempts[i] = attempts_.run(
        plan, two[i], {},
        [&](const protocol::TokenEvent& event) {
          if (!race.token(i)) return false;
          if (held) return true;
          // The winner's thread alone comes here.
          answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
          return shared.tokens(event);
        },
        [&] { return race.lost(i) || shared.gone(); },
        [&] {
          if (i != 0) return;
          asked_ms = io::steady_ms();
          race.asked();
        });
    if (i == 0) race.ended();
  };
  std::thread first(run, 0);
  const bool hedged =
      race.wait_for_first(std::chrono::milliseconds(*routing.hedge_ms)) && !shared.gone();
  std::optional<std::thread> second;
  if (hedged) second.emplace(run, 1);
  first.join();
  const std::int64_t first_over_ms = io::steady_ms();
  if (second) second->join();
  if (!hedged) {
    answer.attempts.push_back(std::move(attempts[0]));
    return {.over = conclude(delivery, sink, answer), .asked = 1};
  }

  const std::size_t winner = race.winner().value_or(0), other = 1 - winner;
  buyer_.metrics.count(kHedges, {{"first", winner == 0 ? "first" : "second"}});
  // Who was not waited for took at least so long: that counts as if it had been.
  if (race.winner() == std::size_t{1} && attempts[0].tokens.empty())
    market_.measured(attempts[0].provider,
                     static_cast<std::uint32_t>(
                         std::clamp<std::int64_t>(first_over_ms - asked_ms, 0, UINT32_MAX)),
                     two[0].speed.per_token_ms);
  // Money too short for a second provider is no reason to pass it over later.
  const bool was_asked = attempts[1].record.has_value();
  if (other == 0 || was_asked) answer.attempts.push_back(std::move(attempts[other]));
  answer.attempts.push_back(std::move(attempts[winner]));
  return {.over = conclude(delivery, sink, answer), .asked = was_asked ? 2u : 1u};
}

}  // namespace assay::services
