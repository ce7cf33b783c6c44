// POST /assay/quote: an OpenAI body; what all its answers would cost, and from whom. Nothing is
// signed or sent.
#include "market/quote.hpp"

#include "services/gateway/completions.hpp"

namespace assay::services {

ApiResult<Completions::Quoted> Completions::quoted(const ApiRequest& request) {
  TRY(const Plan made, plan(request));
  const Routing routing = merged(buyer_.options.routing, request.routing);
  Wish wish = answers_.wish_of(made, routing);
  auto screened = market_.screen(wish);
  if (!screened) return std::unexpected(to_api_error(screened.error()));
  const auto& fitting = screened->screening.fitting;
  if (fitting.empty()) return std::unexpected(no_provider_fits(*screened, wish));
  if (fitting.size() < routing.proof.replicas)
    return std::unexpected(too_few_replicas(routing.proof.replicas, fitting.size()));

  const GatewayOptions& options = buyer_.options;
  market::QuoteTerms terms{.replicas = routing.proof.replicas,
                           .answers = request.n,
                           .always_audited = always_audited(request),
                           .auditors = options.audit_by == AuditBy::hire ? options.auditors : 0,
                           .audit_fee = options.audit_fee_max,
                           .escrow = options.escrow,
                           .parameters = buyer_.ledger.parameters};
  if (options.audit_rate) terms.audit_rate_q32 = market_.audit_rate_q32({}, 0);
  auto cost = market::quote(fitting, market_.job_of(wish), terms);
  if (!cost) return std::unexpected(to_api_error(cost.error()));
  const bool hedged = may_hedge(routing, std::min<std::size_t>(fitting.size(), options.attempts));
  if (hedged) {
    // The second one, asked for the first token, may get as far as the first did.
    terms.replicas = 2;
    const auto both = market::quote(fitting, market_.job_of(wish), terms);
    if (!both) return std::unexpected(to_api_error(both.error()));
    cost->most = both->most;
    cost->audits_most = both->audits_most;
    cost->held = both->held;
  }
  const auto chosen = std::span(fitting).first(terms.replicas);
  return Quoted{std::move(wish),
                *cost,
                {chosen.begin(), chosen.end()},
                hedged ? routing.hedge_ms : std::nullopt};
}

ApiResult<Completions::Price> Completions::price(ApiRequest::Kind kind, std::string_view body) {
  auto request = parse_request(kind, body);
  if (!request) return std::unexpected(request.error());
  request->routing.hedge_ms = 0;  // as answer() does for who has paid
  CHECK_OK(check_repeatable(*request));
  TRY(const Quoted all, quoted(*request));
  return Price{all.cost.most, std::min(all.cost.audits, all.cost.audits_most)};
}

void Completions::quote(const io::HttpRequest& http, io::HttpResponse& response) {
  if (const auto caller = gatekeeper_.admit(http); !caller)
    return send_api_error(response, caller.error());
  const auto request = parse_any_request(http.body);
  if (!request) return send_api_error(response, request.error());
  const auto made = quoted(*request);
  if (!made) return send_api_error(response, made.error());
  json::object out{
      {"model", made->wish.name},
      {"prompt_tokens", made->wish.prompt_tokens},
      {"max_tokens", made->wish.max_tokens},
      {"n", request->n},
      {"audited_by", buyer_.options.audit_by == AuditBy::hire ? "hired auditors" : "this gateway"}};
  for (const auto& [key, value] : market::to_json(made->cost)) out[key] = value;
  // "most" covers the second provider.
  out["hedge_ms"] = made->hedge_ms ? json::value(*made->hedge_ms) : json::value();
  json::array providers;
  for (const market::Candidate& candidate : made->chosen)
    providers.push_back(market::to_json(candidate));
  out["providers"] = std::move(providers);
  response.send_json(200, out);
}

}  // namespace assay::services
