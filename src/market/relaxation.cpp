#include "market/relaxation.hpp"

#include <algorithm>
#include <tuple>

#include "market/money.hpp"
#include "protocol/tokens.hpp"

namespace assay::market {
namespace {

using protocol::Offer;
using protocol::OfferModel;

json::array array_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts) out.emplace_back(text);
  return out;
}

json::array array_of(const std::vector<Address>& addresses) {
  json::array out;
  for (const auto& address : addresses) out.emplace_back(address.to_string());
  return out;
}

// Makes `job` fit what it was refused for, and writes down how.
class Changes {
 public:
  explicit Changes(const Job& job) : job_(job) {}

  // false: nothing the buyer could change.
  bool make(Reason reason, const Offer& offer, const OfferModel& model,
            const ProviderFacts& facts) {
    const Speed speed = speed_of(offer, facts.record);
    switch (reason) {
      case Reason::price_in:
        job_.max_price_in = model.price_in;
        member("max_price")["prompt"] = format_money(model.price_in);
        return say("raise the price ceiling in to {}", format_money(model.price_in));
      case Reason::price_out:
        job_.max_price_out = model.price_out;
        member("max_price")["completion"] = format_money(model.price_out);
        return say("raise the price ceiling out to {}", format_money(model.price_out));
      case Reason::vram:
        job_.min_vram_mib = offer.vram_mib;
        out_.change["min_vram_mib"] = offer.vram_mib;
        return say("lower the minimum VRAM to {} MiB", offer.vram_mib);
      case Reason::first_token:
        job_.max_first_token_ms = speed.first_token_ms;
        member("max_latency_ms")["first_token"] = speed.first_token_ms;
        return say("allow {} ms to the first token", speed.first_token_ms);
      case Reason::per_token:
        job_.max_per_token_ms = speed.per_token_ms;
        member("max_latency_ms")["per_token"] = speed.per_token_ms;
        return say("allow {} ms per token", speed.per_token_ms);
      case Reason::region:
        job_.regions.push_back(offer.region);
        out_.change["regions"] = array_of(job_.regions);
        return say("allow the region {}", offer.region);
      case Reason::quantization:
        job_.quantizations.push_back(model.quantization);
        out_.change["quantizations"] = array_of(job_.quantizations);
        return say("allow the quantization {}", model.quantization);
      case Reason::not_listed:
        job_.only.push_back(offer.provider);
        out_.change["only"] = array_of(job_.only);
        return say("add it to `only`");
      case Reason::ignored:
        std::erase(job_.ignore, offer.provider);
        out_.change["ignore"] = array_of(job_.ignore);
        return say("stop ignoring it");
      case Reason::stake:
        job_.min_stake = facts.account.stake;
        out_.change["min_stake"] = format_money(job_.min_stake);
        return say("lower the minimum stake to {}", format_money(job_.min_stake));
      case Reason::rebate:
        job_.min_rebate_ppm = rebate_of(offer, facts.record);
        out_.change["min_rebate"] = static_cast<double>(job_.min_rebate_ppm) / 1e4;
        return say("lower the minimum rebate to {:g} %",
                   static_cast<double>(job_.min_rebate_ppm) / 1e4);
      case Reason::context:
        return lower_tokens(model);
      case Reason::exposure:
        return lower_escrow(model, facts.account);
      case Reason::evidence:
        job_.evidence = false;
        out_.change["verification"] = "audit";
        return say("verify by audit instead of tee");
      default:
        return false;
    }
  }

  const Job& job() const { return job_; }
  Relaxation take() { return std::move(out_); }

 private:
  json::object& member(std::string_view key) {
    auto& value = out_.change[key];
    return value.is_object() ? value.get_object() : value.emplace_object();
  }
  template <class... Args>
  bool say(fmt::format_string<Args...> format, Args&&... args) {
    if (!out_.text.empty()) out_.text += ", ";
    out_.text += fmt::format(format, std::forward<Args>(args)...);
    ++out_.changes;
    return true;
  }
  bool lower_tokens(const OfferModel& model) {
    if (model.context <= job_.prompt_tokens) return false;
    job_.max_tokens = model.context - job_.prompt_tokens;
    out_.change["max_tokens"] = job_.max_tokens;
    return say("lower max_tokens to {}", job_.max_tokens);
  }
  // A smaller lease, while it still pays for this one job.
  bool lower_escrow(const OfferModel& model, const AccountView& account) {
    const Micros room = account.exposure_limit - account.exposure;
    const auto price =
        protocol::price(model.price_in, model.price_out, job_.prompt_tokens, job_.max_tokens);
    if (!price || room <= 0 || *price > room) return false;
    job_.escrow = room;
    out_.change["escrow"] = format_money(room);
    return say("hold at most {} in a lease", format_money(room));
  }

  Job job_;
  Relaxation out_;
};

}  // namespace

std::optional<Relaxation> cheapest_relaxation(std::span<const Signed<Offer>> offers, const Job& job,
                                              const std::map<Address, ProviderFacts>& facts,
                                              std::uint64_t now) {
  std::optional<Relaxation> best;
  for (const auto& offer : offers) {
    const auto& m = offer.message;
    const auto known = facts.find(m.provider);
    if (known == facts.end()) continue;
    std::vector<Refusal> of_provider;
    check_provider(m, job, &known->second, now, of_provider);
    for (const auto& model : m.models) {
      if (!is_meant(model, job)) continue;
      auto reasons = of_provider;
      std::ranges::move(check_model(model, job), std::back_inserter(reasons));
      // A shorter answer may be what makes a smaller lease pay: tokens first.
      std::ranges::stable_partition(
          reasons, [](const Refusal& refusal) { return refusal.code == Reason::context; });
      Changes changes(job);
      if (!std::ranges::all_of(reasons, [&](const Refusal& refusal) {
            return changes.make(refusal.code, m, model, known->second);
          }))
        continue;
      const Job& relaxed = changes.job();
      const auto price = protocol::price(model.price_in, model.price_out, relaxed.prompt_tokens,
                                         relaxed.max_tokens);
      if (!price) continue;
      Relaxation found = changes.take();
      found.provider = m.provider;
      found.price = *price;
      const auto cost = [](const Relaxation& r) {
        return std::tie(r.changes, r.price, r.provider);
      };
      if (!best || cost(found) < cost(*best)) best = std::move(found);
    }
  }
  if (best && best->changes == 0) return std::nullopt;  // somebody fits as it is
  return best;
}

json::object to_json(const Relaxation& relaxation) {
  return {{"provider", relaxation.provider.to_string()},
          {"price", format_money(relaxation.price)},
          {"change", relaxation.change},
          {"text", relaxation.text}};
}

}  // namespace assay::market
