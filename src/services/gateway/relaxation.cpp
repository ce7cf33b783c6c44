#include <algorithm>

#include "market/money.hpp"
#include "services/gateway/market_view.hpp"

namespace assay::services {
namespace {

struct Relaxation {
  json::object change;
  std::string text;
  Micros price = 0;
};

// nullopt when the buyer cannot do anything about one of the reasons.
std::optional<Relaxation> relax(const market::Refused& refused, const protocol::Offer& offer,
                                const protocol::OfferModel& model, const Wish& wish) {
  Relaxation out;
  const auto change = [&](std::string_view key, json::value value, std::string_view text) {
    out.change[key] = std::move(value);
    out.text += fmt::format("{}{}", out.text.empty() ? "" : ", ", text);
  };
  for (const market::Refusal& refusal : refused.reasons) {
    switch (refusal.code) {
      case market::Reason::price_in: {
        const std::string price = market::format_money(model.price_in);
        change("max_price_in", json::value(price),
               fmt::format("raise the price ceiling in to {}", price));
        break;
      }
      case market::Reason::price_out: {
        const std::string price = market::format_money(model.price_out);
        change("max_price_out", json::value(price),
               fmt::format("raise the price ceiling out to {}", price));
        break;
      }
      case market::Reason::vram:
        change("min_vram_mib", offer.vram_mib,
               fmt::format("lower the minimum VRAM to {} MiB", offer.vram_mib));
        break;
      case market::Reason::first_token:
        change("max_latency_ms", offer.first_token_ms,
               fmt::format("allow {} ms to the first token", offer.first_token_ms));
        break;
      case market::Reason::region:
        change("regions", json::array{offer.region},
               fmt::format("allow the region {}", offer.region));
        break;
      case market::Reason::not_listed:
        change("only", json::array{}, "drop `only`");
        break;
      case market::Reason::ignored:
        change("ignore", json::array{}, "stop ignoring it");
        break;
      case market::Reason::context:
        if (model.context <= wish.prompt_tokens) return std::nullopt;
        change("max_tokens", model.context - wish.prompt_tokens,
               fmt::format("lower max_tokens to {}", model.context - wish.prompt_tokens));
        break;
      default:
        return std::nullopt;
    }
  }
  if (out.change.empty()) return std::nullopt;
  out.price = model.price_in + model.price_out;
  return out;
}

}  // namespace

json::object cheapest_relaxation(const market::Screening& screening, const Wish& wish,
                                 std::span<const Signed<protocol::Offer>> offers) {
  std::optional<Relaxation> best;
  Address provider;
  for (const market::Refused& refused : screening.refused) {
    const auto offer = std::ranges::find_if(
        offers, [&](const auto& o) { return o.message.provider == refused.provider; });
    if (offer == offers.end()) continue;
    for (const protocol::OfferModel& model : offer->message.models) {
      const protocol::ExecutionId execution{model.weights_root, model.program_hash, model.canon};
      if (protocol::struct_hash(execution) != wish.model->execution_hash) continue;
      auto found = relax(refused, offer->message, model, wish);
      if (!found) continue;
      const auto cost = [](const Relaxation& r) { return std::pair(r.change.size(), r.price); };
      if (best && cost(*best) <= cost(*found)) continue;
      best = std::move(found);
      provider = refused.provider;
    }
  }
  if (!best) return {};
  return {{"provider", provider.to_string()},
          {"change", std::move(best->change)},
          {"text", std::move(best->text)}};
}

}  // namespace assay::services
