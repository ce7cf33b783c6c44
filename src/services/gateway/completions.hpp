// POST /v1/chat/completions and /v1/completions: from a body to signed plans to an answer.
#pragma once
#include "market/quote.hpp"
#include "services/gateway/answer.hpp"
#include "services/gateway/api_render.hpp"
#include "services/gateway/auctions.hpp"
#include "services/gateway/gatekeeper.hpp"
#include "services/gateway/jobs.hpp"
#include "services/gateway/token_logprobs.hpp"

namespace assay::services {

class Completions {
 public:
  Completions(Buyer& buyer, MarketView& market, Auctions& auctions, Answers& answers,
              Gatekeeper& gatekeeper, Jobs& jobs)
      : buyer_(buyer),
        market_(market),
        auctions_(auctions),
        answers_(answers),
        gatekeeper_(gatekeeper),
        jobs_(jobs) {}

  void handle(ApiRequest::Kind kind, const io::HttpRequest& request, io::HttpResponse& response);
  // auction_api.cpp
  void job(const io::HttpRequest& request, io::HttpResponse& response);
  // quote.cpp
  void quote(const io::HttpRequest& request, io::HttpResponse& response);

  // The most that the answer to this body costs, audits included, and what its audits cost on
  // average; an answer of no stated length is one of a typical length.
  struct Price {
    Micros most = 0, audits = 0;
  };
  ApiResult<Price> price(ApiRequest::Kind kind, std::string_view body);

  // One body's answer; done once for the caller and the key (jobs.hpp). true: it is kept.
  bool once(ApiRequest::Kind kind, std::string_view body, const Caller& caller,
            std::string_view key, ReplySink& sink);
  // What providers were paid for it.
  Result<Micros> spent(const Caller& caller, std::string_view key);

 private:
  // One of the n answers asked for.
  struct Choice {
    Plan plan;
    Answer answer{};
    std::string text{};
    std::vector<ShownToken> shown{};
    std::optional<engine::ToolCallReader> reader{};  // where tools may be called
    ToolCall call{};                                 // with a name, once there is one

    // Of the text that is shown: what is no call, and the parts of a call.
    std::vector<engine::ToolCallReader::Part> read(std::string_view more);
    std::vector<engine::ToolCallReader::Part> read_end();
    void took(const engine::ToolCallReader::Part& part);  // into text or call
    std::string_view finish_reason() const;
  };

  // job: what it is part of; null: nothing that is kept.
  void answer(ApiRequest::Kind kind, std::string_view body, const Caller& caller,
              const JobRecord* job, ReplySink& sink);
  ApiResult<Plan> plan(const ApiRequest& request) const;
  // The answer may, or is to, call one of the tools.
  ApiResult<void> allow_calls(Plan& plan, const ToolRequest& tools) const;
  // The answer is to be one the automaton accepts; `param` asked for it.
  ApiResult<void> constrain(Plan& plan, const Result<std::shared_ptr<const Compiled>>& compiled,
                            const std::string& param) const;
  struct Quoted {
    Wish wish;
    market::Quote cost;
    std::vector<market::Candidate> chosen;  // and who is asked besides
    std::optional<std::uint32_t> hedge_ms;  // after so long
  };
  ApiResult<Quoted> quoted(const ApiRequest& request);
  bool always_audited(const ApiRequest& request) const;
  ApiResult<void> check_repeatable(const ApiRequest& request) const;
  ApiResult<std::vector<Choice>> choices(const ApiRequest& request, const Caller& caller,
                                         const JobRecord* job) const;
  ApiResult<void> reserve(const ApiRequest& request, std::vector<Choice>& choices);
  // What was answered, in metrics and in the caller's limits: before the reply's end, after which
  // the caller may ask again.
  void count(const Caller& caller, const std::vector<Choice>& choices);
  void whole(const ApiRequest& request, std::vector<Choice>& choices, const Caller& caller,
             const ApiRenderer& renderer, ReplySink& reply);
  void stream(const ApiRequest& request, std::vector<Choice>& choices, const Caller& caller,
              const ApiRenderer& renderer, ReplySink& reply);
  Answer make(const ApiRequest& request, const Plan& plan, TokenSink& sink);
  json::object assay_object(const Choice& choice) const;
  json::object assay_object(const std::vector<Choice>& choices) const;

  Buyer& buyer_;
  MarketView& market_;
  Auctions& auctions_;
  Answers& answers_;
  Gatekeeper& gatekeeper_;
  Jobs& jobs_;
  mutable Automata automata_;  // a cache
};

// "stop" or "length".
std::string_view stop_reason(const Answer& answer);

// Sends the error, with x-should-retry for client libraries.
void send_api_error(io::HttpResponse& response, const ApiError& error);
void send_api_error(ReplySink& reply, const ApiError& error);

}  // namespace assay::services
