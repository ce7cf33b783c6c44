// One client's answer, from as many providers as it takes.
#pragma once
#include "services/gateway/attempt.hpp"
#include "services/gateway/worker.hpp"

namespace assay::services {

// Where tokens go: text for a client.
struct TokenSink {
  virtual ~TokenSink() = default;
  // false: enough (a stop string).
  virtual bool tokens(const protocol::TokenEvent& event) = 0;
  virtual bool gone() = 0;  // nobody listens any more
};

struct Answer {
  std::vector<Attempt> attempts;  // in order; the last one ended the answer
  std::vector<std::uint32_t> tokens;
  std::optional<protocol::Finish> finish;  // of the last receipt; stop after a stop string
  std::optional<ApiError> error;           // the answer is not complete
};

class Answers {
 public:
  Answers(Buyer& buyer, MarketView& market, Attempts& attempts, Worker& worker)
      : buyer_(buyer), market_(market), attempts_(attempts), worker_(worker) {}

  // Screens, then tries providers in rank order: the next one when one refuses or money is short
  // for it, and the next one with a continuation when one dies. verify_before_stream: tokens reach
  // the sink only after the audit of their receipt matched; a provider that did not match is
  // disputed and replaced. Where routing asks for replicas, so many providers answer, and what they
  // agree on is shown. Where it says when to hedge, a second one is asked for the first token.
  Wish wish_of(const Plan& plan, const Routing& routing) const;
  Answer make(const Plan& plan, const Routing& routing, Delivery delivery, TokenSink& sink);
  // Where a body asks for several answers, or several providers' of one: keeps of the key's budget
  // what they may all cost, so that none is bought unless all can be. 429 when it is too small.
  // Fixes who is asked, and how many tokens for.
  ApiResult<void> reserve(std::span<Plan* const> plans, const Routing& routing);
  // Whether key and account could pay so many answers of the plan to the cheapest of these, each
  // in a lease of its own: 429 and 402 where not. Nothing is kept for them.
  ApiResult<void> check_money(const Plan& plan, std::size_t answers,
                              std::span<const market::Candidate> candidates) const;

 private:
  // Of the attempt that came last: true when the answer is over, well or not.
  bool conclude(Delivery delivery, TokenSink& sink, Answer& answer);
  // hedge.cpp. Asks the second of two where the first has sent no token in time; of both only the
  // one that began first is shown, the other is cancelled. No token has been shown before.
  struct Hedged {
    bool over = false;      // the answer is
    std::size_t asked = 1;  // of the two
  };
  Hedged hedge(const Plan& plan, std::span<const market::Candidate> two, const Routing& routing,
               Delivery delivery, TokenSink& sink, Answer& answer);
  bool try_candidate(const Plan& plan, const market::Candidate& candidate, Delivery delivery,
                     TokenSink& sink, Answer& answer);
  void audit_earlier(Answer& answer);
  // replicate.cpp
  void replicate(const Plan& plan, std::span<const market::Candidate> fitting,
                 const Routing& routing, TokenSink& sink, Answer& answer);
  void release_replica(std::size_t index, TokenSink& sink, Answer& answer);
  // answer_resume.cpp. Takes over what earlier requests of the plan's job came to; true: that is
  // the whole answer.
  ApiResult<bool> resume(Plan& plan, Delivery delivery, TokenSink& sink, Answer& answer);
  ApiResult<RequestRecord> settle_earlier(RequestRecord record, TokenSink& sink);
  bool release_verified(Attempt& attempt, TokenSink& sink, Answer& answer);

  Buyer& buyer_;
  MarketView& market_;
  Attempts& attempts_;
  Worker& worker_;
};

// Whether so many fitting providers let one be asked for another's first token.
bool may_hedge(const Routing& routing, std::size_t fitting);

// The account's, or the API key's: for this provider. Another may be cheaper, or have a lease with
// room in it.
bool money_is_short(const ApiError& error);
// Of attempts that were not made for want of money, why the cheapest was not; null: all were.
const ApiError* short_money(std::span<const Attempt> attempts);

// Whether nobody had room and nothing was begun; then the request may be sent once more.
bool all_busy(std::span<const Attempt> attempts);
void ask_again(ApiError& error);

// Why nobody could be asked: 404 or 503 with every refused offer, its reasons and the cheapest
// change that helps.
ApiError no_provider_fits(const MarketView::Screened& screened, const Wish& wish);
// 503: replicate:`wanted` has only so many providers.
ApiError too_few_replicas(std::size_t wanted, std::size_t have);

}  // namespace assay::services
