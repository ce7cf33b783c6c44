// A provider's own door: whoever pays by x402 asks it directly, without a lease and without a
// gateway. The request is drawn up, salted and signed for by the provider itself; its receipt and
// opening come with the answer, so anyone can compute it again (`assay verify`, `assay audit`). A
// lease that is on no ledger holds no stake: nobody is slashed for a wrong answer, which the answer
// says. Why: docs/decisions/0032.
#pragma once
#include <condition_variable>
#include <map>
#include <set>

#include "engine/chat_template.hpp"
#include "io/http_response.hpp"
#include "services/provider/offer_keeper.hpp"
#include "services/provider/provider_run.hpp"
#include "services/provider/x402_ask.hpp"
#include "services/provider/x402_calls.hpp"
#include "settle/x402/counter.hpp"

namespace assay::services {

class X402Desk {
 public:
  // How a call is computed: tells no tokens, and gives the outcome only when it is stored.
  using Compute = std::function<Result<StoredOutcome>(const protocol::InferenceCall& call,
                                                      const Hash& request)>;
  // All but `compute` outlive it. Its database is DATA/x402/calls.db.
  static Result<std::unique_ptr<X402Desk>> open(settle::x402::Till& till, ProviderCore& core,
                                                OfferKeeper& offers, Compute compute);

  enum class Kind { chat, text };
  // 402 with the price, or, paid, the answer: once it is complete and the payment settled or
  // charged. The same payment for the same request gets the same answer, charged once.
  void handle(Kind kind, const io::HttpRequest& request, io::HttpResponse& response);
  void refund(const io::HttpRequest& request, io::HttpResponse& response) {
    settle::x402::refund(till_, request, response);
  }

 private:
  struct Served {
    const ServedModel* model;
    engine::Tokenizer tokenizer;
    std::optional<engine::ChatTemplate> chat;
  };
  struct Question {  // read against the model it asks for
    const Served* served;
    std::vector<std::uint32_t> prompt, stop_ids;
    protocol::Request sampling;
    protocol::Micros most = 0;
  };
  X402Desk(settle::x402::Till& till, ProviderCore& core, OfferKeeper& offers, Compute compute)
      : till_(till), core_(core), offers_(offers), compute_(std::move(compute)) {}
  Result<Question> question(Kind kind, std::string_view body) const;
  // Signed by a key of its own in the buyer's place: no two sales share a buyer's prefix cache, and
  // no receipt says who paid.
  Result<X402Call> draw_up(const Hash& sale, const Question& question) const;
  // One at a time for a sale; what was computed before is not computed again. conflict: too many
  // wait for it already.
  Result<std::pair<X402Call, StoredOutcome>> answer(const Hash& sale, const Question& question);
  json::object render(Kind kind, const Question& question, const X402Call& call,
                      const StoredOutcome& outcome) const;

  settle::x402::Till& till_;
  ProviderCore& core_;
  OfferKeeper& offers_;
  Compute compute_;
  std::vector<Served> served_;
  std::unique_ptr<X402Calls> calls_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::map<Hash, unsigned> asking_;  // who is at work for a sale, and who waits for that
  std::set<Hash> running_;
};

}  // namespace assay::services
