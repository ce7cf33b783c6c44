// POST /v1/chat/completions and /v1/completions: from a body to a signed plan to an answer.
#pragma once
#include "io/http_response.hpp"
#include "services/gateway/answer.hpp"
#include "services/gateway/api_render.hpp"
#include "services/gateway/auctions.hpp"

namespace assay::services {

class Completions {
 public:
  Completions(Buyer& buyer, MarketView& market, Auctions& auctions, Answers& answers)
      : buyer_(buyer), market_(market), auctions_(auctions), answers_(answers) {}

  void handle(ApiRequest::Kind kind, const io::HttpRequest& request, io::HttpResponse& response);
  // jobs.cpp
  void job(const io::HttpRequest& request, io::HttpResponse& response);
  // quote.cpp
  void quote(const io::HttpRequest& request, io::HttpResponse& response);

 private:
  ApiResult<Plan> plan(const ApiRequest& request) const;
  bool always_audited(const ApiRequest& request) const;
  void whole(const ApiRequest& request, const Plan& plan, const ApiRenderer& renderer,
             io::HttpResponse& response);
  void stream(const ApiRequest& request, const Plan& plan, const ApiRenderer& renderer,
              io::HttpResponse& response);
  Answer make(const ApiRequest& request, const Plan& plan, TokenSink& sink);
  json::object assay_object(const Answer& answer, const Plan& plan) const;

  Buyer& buyer_;
  MarketView& market_;
  Auctions& auctions_;
  Answers& answers_;
};

// Sends the error, with x-should-retry for client libraries.
void send_api_error(io::HttpResponse& response, const ApiError& error);

}  // namespace assay::services
