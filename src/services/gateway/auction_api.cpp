// POST /assay/jobs: an OpenAI body, answered by the winner of a sealed-bid auction.
#include "base/hex.hpp"
#include "io/random.hpp"
#include "market/money.hpp"
#include "services/gateway/completions.hpp"

namespace assay::services {
namespace {

constexpr std::uint64_t kSecondsDefault = 2, kSecondsMax = 60;

struct Terms {
  protocol::Pricing pricing = protocol::Pricing::second;
  std::uint64_t seconds = kSecondsDefault;
};

// The query: ?pricing=first|second&deadline=SECONDS. The body is the client's own.
ApiResult<Terms> terms_of(const io::HttpRequest& http) {
  Terms out;
  const std::string_view pricing = http.query_value("pricing");
  if (pricing == "first")
    out.pricing = protocol::Pricing::first;
  else if (!pricing.empty() && pricing != "second")
    return api_fail(400, "invalid_value", "pricing", "'pricing' is '{}': use first or second",
                    pricing);
  if (const std::string_view text = http.query_value("deadline"); !text.empty()) {
    const auto seconds = json::parse_u64(text);
    if (!seconds || *seconds < 1 || *seconds > kSecondsMax)
      return api_fail(400, "invalid_value", "deadline", "'deadline' is '{}': use 1 to {} seconds",
                      text, kSecondsMax);
    out.seconds = *seconds;
  }
  return out;
}

}  // namespace

void Completions::job(const io::HttpRequest& http, io::HttpResponse& response) {
  ClientSink sink(response);
  const auto caller = gatekeeper_.let_in(http, response);
  if (!caller) return send_api_error(sink, caller.error());
  const auto terms = terms_of(http);
  if (!terms) return send_api_error(sink, terms.error());
  const auto request = parse_any_request(http.body);
  if (!request) return send_api_error(sink, request.error());
  if (request->stream)
    return send_api_error(sink, {.status = 400,
                                 .code = "unsupported_value",
                                 .message = "an auction's answer is not streamed",
                                 .param = "stream"});
  auto asked = choices(*request, *caller, nullptr);
  if (!asked) return send_api_error(sink, asked.error());
  const Routing routing = merged(buyer_.options.routing, request->routing);
  const Wish wish = answers_.wish_of(asked->front().plan, routing);
  auto screened = market_.screen(wish);
  if (!screened) return send_api_error(sink, to_api_error(screened.error()));
  if (screened->screening.fitting.empty())
    return send_api_error(sink, no_provider_fits(*screened, wish));
  // Nobody is to seal a bid for money that is not there. A bid may be below what is listed; who
  // wins is paid the second one.
  if (const auto payable =
          answers_.check_money(asked->front().plan, asked->size(), screened->screening.fitting);
      !payable)
    return send_api_error(sink, payable.error());
  const auto won = auctions_.run(wish, screened->screening.fitting, terms->pricing, terms->seconds);
  if (!won) return send_api_error(sink, won.error());
  const json::object auction{{"id", to_hex(won->call)},
                             {"winner", won->verdict.winner.to_string()},
                             {"price_in", market::format_money(won->verdict.price_in)},
                             {"price_out", market::format_money(won->verdict.price_out)},
                             {"bids", won->bids}};
  for (Choice& choice : *asked) {
    choice.plan.candidates = won->candidates;
    choice.plan.auction = auction;
  }
  if (const auto kept = reserve(*request, *asked); !kept) return send_api_error(sink, kept.error());
  const std::string id = to_hex_bare(io::random_hash()).substr(0, 24);
  whole(*request, *asked, *caller,
        ApiRenderer(request->kind, id, request->model, buyer_.clock.now_s()), sink);
}

}  // namespace assay::services
