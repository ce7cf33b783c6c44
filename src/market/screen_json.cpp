#include "market/money.hpp"
#include "market/screen.hpp"

namespace assay::market {

json::object to_json(const Candidate& c) {
  const auto& offer = c.offer.message;
  const auto& model = offer.models[c.model];
  return {{"provider", offer.provider.to_string()},
          {"endpoint", offer.endpoint},
          {"model", model.name},
          {"quantization", model.quantization},
          {"price_in", format_money(model.price_in)},
          {"price_out", format_money(model.price_out)},
          {"expected_price", format_money(c.expected_price)},
          {"first_token_ms", c.speed.first_token_ms},
          {"per_token_ms", c.speed.per_token_ms},
          {"latency", c.speed.is_measured ? "measured" : "claimed"},
          {"rebate", static_cast<double>(offer.rebate_ppm) / 1e6},
          {"reliability", static_cast<double>(c.reliability_ppm) / 1e6},
          {"score", c.score},
          {"stake", format_money(c.stake)},
          {"region", offer.region},
          {"vram_mib", offer.vram_mib}};
}

json::object to_json(const Screening& screening) {
  json::array fitting, refused;
  for (const Candidate& candidate : screening.fitting) fitting.push_back(to_json(candidate));
  for (const Refused& r : screening.refused) {
    json::array reasons;
    for (const Refusal& reason : r.reasons)
      reasons.push_back({{"code", to_string(reason.code)}, {"text", reason.text}});
    refused.push_back({{"provider", r.provider.to_string()},
                       {"endpoint", r.endpoint},
                       {"reasons", std::move(reasons)}});
  }
  return {{"fitting", std::move(fitting)}, {"refused", std::move(refused)}};
}

}  // namespace assay::market
