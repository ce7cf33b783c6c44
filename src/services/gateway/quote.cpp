// POST /assay/quote: an OpenAI body; what it would cost, and from whom. Nothing is signed or sent.
#include "market/quote.hpp"

#include "services/gateway/completions.hpp"

namespace assay::services {

void Completions::quote(const io::HttpRequest& http, io::HttpResponse& response) {
  if (const auto caller = gatekeeper_.admit(http); !caller)
    return send_api_error(response, caller.error());
  const auto request = parse_any_request(http.body);
  if (!request) return send_api_error(response, request.error());
  const auto made = plan(*request);
  if (!made) return send_api_error(response, made.error());
  const Routing routing = merged(buyer_.options.routing, request->routing);
  const Wish wish = answers_.wish_of(*made, routing);
  auto screened = market_.screen(wish);
  if (!screened) return send_api_error(response, to_api_error(screened.error()));
  const auto& fitting = screened->screening.fitting;
  if (fitting.size() < routing.proof.replicas)
    return send_api_error(response, fitting.empty()
                                        ? no_provider_fits(*screened, wish)
                                        : too_few_replicas(routing.proof.replicas, fitting.size()));

  const GatewayOptions& options = buyer_.options;
  const bool hires = options.audit_by == AuditBy::hire;
  market::QuoteTerms terms{.replicas = routing.proof.replicas,
                           .always_audited = always_audited(*request),
                           .auditors = hires ? options.auditors : 0,
                           .audit_fee = options.audit_fee_max,
                           .escrow = options.escrow,
                           .parameters = buyer_.ledger.parameters};
  if (options.audit_rate) terms.audit_rate_q32 = market_.audit_rate_q32({}, 0);
  const auto chosen = std::span(fitting).first(terms.replicas);
  const auto cost = market::quote(chosen, market_.job_of(wish), terms);
  if (!cost) return send_api_error(response, to_api_error(cost.error()));
  json::object out{{"model", wish.name},
                   {"prompt_tokens", wish.prompt_tokens},
                   {"max_tokens", wish.max_tokens},
                   {"audited_by", hires ? "hired auditors" : "this gateway"}};
  for (const auto& [key, value] : market::to_json(*cost)) out[key] = value;
  json::array providers;
  for (const market::Candidate& candidate : chosen) providers.push_back(market::to_json(candidate));
  out["providers"] = std::move(providers);
  response.send_json(200, out);
}

}  // namespace assay::services
