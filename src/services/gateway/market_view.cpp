#include "services/gateway/market_view.hpp"

#include <algorithm>
#include <tuple>

#include "base/hex.hpp"
#include "io/log.hpp"
#include "io/pinned_url.hpp"
#include "io/system_clock.hpp"
#include "market/audit_policy.hpp"
#include "market/money.hpp"

namespace assay::services {
namespace {

// A provider that failed n times in a row comes last for 2^n seconds, at most about two minutes.
constexpr std::int64_t kPauseMs = 1'000;
constexpr std::uint32_t kFailuresMax = 7;

market::Job job_of(const Wish& wish, Micros escrow) {
  market::Job job;
  job.execution = wish.model->execution_hash;
  job.prompt_tokens = wish.prompt_tokens;
  job.max_tokens = wish.max_tokens;
  job.max_price_in = wish.routing.max_price_in;
  job.max_price_out = wish.routing.max_price_out;
  job.min_vram_mib = wish.routing.min_vram_mib.value_or(0);
  job.max_first_token_ms = wish.routing.max_latency_ms;
  job.regions = wish.routing.regions;
  job.only = wish.routing.only;
  job.ignore = wish.routing.ignore;
  job.escrow = escrow;
  return job;
}

bool is_named(const protocol::OfferModel& model, const Wish& wish) {
  return model.name == wish.name || model.name == wish.model->name ||
         (!wish.model->title.empty() && model.name == wish.model->title);
}

// The screen compares execution ids; the buyer thinks in names.
void name_execution_refusals(market::Screening& screening,
                             std::span<const Signed<protocol::Offer>> offers, const Wish& wish) {
  for (market::Refused& refused : screening.refused) {
    const auto offer = std::ranges::find_if(
        offers, [&](const auto& o) { return o.message.provider == refused.provider; });
    if (offer == offers.end()) continue;
    for (market::Refusal& refusal : refused.reasons) {
      if (refusal.code != market::Reason::execution) continue;
      const auto& models = offer->message.models;
      const auto same_name =
          std::ranges::find_if(models, [&](const auto& model) { return is_named(model, wish); });
      if (same_name == models.end()) {
        refusal = {market::Reason::model, fmt::format("does not offer '{}'", wish.name)};
      } else if (same_name->weights_root != wish.model->execution.weights_root) {
        refusal.text = fmt::format("offers '{}' with other weights: {}… instead of {}…",
                                   same_name->name, to_hex(same_name->weights_root).substr(0, 10),
                                   to_hex(wish.model->execution.weights_root).substr(0, 10));
      } else {
        refusal.text = fmt::format(
            "offers '{}' with another program (tokenizer, template or "
            "hyper-parameters) or canon",
            same_name->name);
      }
    }
  }
}

}  // namespace

Status MarketView::recall() {
  const std::lock_guard lock(mutex_);
  for (const RequestStage stage :
       {RequestStage::receipted, RequestStage::audited, RequestStage::settled,
        RequestStage::mismatch, RequestStage::disputed, RequestStage::refunded,
        RequestStage::withheld, RequestStage::demanded}) {
    TRY(const auto requests, buyer_.store->requests_in(stage));
    for (const RequestRecord& request : requests) {
      TRY(const LeaseRecord lease, buyer_.store->lease(request.lease));
      const Address& provider = lease.lease.message.provider;
      reputation_.served(provider);
      if (request.audit == AuditState::match) reputation_.audited(provider);
      // A referee that found the provider right has made the receipt payable again.
      const bool overruled = stage == RequestStage::audited || stage == RequestStage::settled;
      if (request.audit == AuditState::mismatch && !overruled)
        reputation_.convicted(provider, request.reason);
    }
  }
  return {};
}

void MarketView::forget_cache() {
  const std::lock_guard lock(mutex_);
  read_ms_ = 0;
}

Status MarketView::refresh() {
  const std::int64_t now_ms = io::steady_ms();
  if (read_ms_ != 0 && now_ms - read_ms_ < buyer_.options.market_ttl_ms) return {};
  TRY(auto listed, buyer_.board.offers());
  std::vector<Signed<protocol::Offer>> offers;
  std::map<Address, market::AccountView> accounts;
  for (auto& offer : listed) {
    // The board is not trusted: what it lists is checked as if it came from anybody.
    if (const Status ok = market::check_offer(buyer_.ledger.domain, offer, buyer_.now()); !ok) {
      io::log_debug("offer left out: {}", ok.error().message);
      continue;
    }
    const Address provider = offer.message.provider;
    if (auto account = buyer_.settlement.account(provider)) accounts[provider] = *account;
    offers.push_back(std::move(offer));
  }
  offers_ = std::move(offers);
  accounts_ = std::move(accounts);
  read_ms_ = std::max<std::int64_t>(now_ms, 1);
  return {};
}

std::string MarketView::endpoint_of(const LeaseRecord& lease) {
  const std::lock_guard lock(mutex_);
  // An unreachable board leaves what was read last, or the address the lease was agreed at.
  if (const Status fresh = refresh(); !fresh) io::log_debug("board: {}", fresh.error().message);
  for (const auto& offer : offers_)
    if (offer.message.provider == lease.lease.message.provider)
      return io::pinned(offer.message.endpoint, offer.message.tls_key);
  return io::pinned(lease.offer.message.endpoint, lease.offer.message.tls_key);
}

market::ProviderFacts MarketView::facts_of(const Address& provider, const Hash& execution,
                                           const market::AccountView& account) {
  market::ProviderFacts facts{account, reputation_.of(provider)};
  // Where a lease is open already, its escrow is part of the exposure and no new one is needed.
  if (auto lease = buyer_.store->usable_lease(provider, execution, buyer_.now()); lease && *lease)
    facts.account.exposure = std::max<Micros>(0, facts.account.exposure - buyer_.options.escrow);
  return facts;
}

void MarketView::arrange(std::vector<market::Candidate>& fitting,
                         std::span<const Address> order) const {
  const std::int64_t now_ms = io::steady_ms();
  using Key = std::tuple<std::ptrdiff_t, bool, std::size_t>;  // ends with the place in the ranking
  std::vector<Key> keys;
  for (const market::Candidate& candidate : fitting) {
    const Address& provider = candidate.offer.message.provider;
    const auto pause = pauses_.find(provider);
    keys.emplace_back(std::ranges::find(order, provider) - order.begin(),
                      pause != pauses_.end() && pause->second.until_ms > now_ms, keys.size());
  }
  std::ranges::sort(keys);
  std::vector<market::Candidate> arranged;
  for (const Key& key : keys) arranged.push_back(std::move(fitting[std::get<2>(key)]));
  fitting = std::move(arranged);
}

Result<MarketView::Screened> MarketView::screen(const Wish& wish) {
  const std::lock_guard lock(mutex_);
  CHECK_OK(refresh());
  std::map<Address, market::ProviderFacts> facts;
  for (const auto& [provider, account] : accounts_)
    facts[provider] = facts_of(provider, wish.model->execution_hash, account);
  market::Screening out =
      market::screen(offers_, job_of(wish, buyer_.options.escrow), facts, buyer_.now());
  name_execution_refusals(out, offers_, wish);

  arrange(out.fitting, wish.routing.order);
  json::object relaxation;
  if (out.fitting.empty()) relaxation = cheapest_relaxation(out, wish, offers_);
  return Screened{std::move(out), std::move(relaxation)};
}

std::uint64_t MarketView::audit_rate_q32(const Address& provider, Micros cap) {
  if (buyer_.options.audit_rate)
    return static_cast<std::uint64_t>(std::clamp(*buyer_.options.audit_rate, 0.0, 1.0) *
                                      static_cast<double>(market::kAuditAlways));
  const std::lock_guard lock(mutex_);
  const auto account = accounts_.find(provider);
  return market::audit_rate_q32({.price = cap,
                                 .stake = account == accounts_.end() ? 0 : account->second.stake,
                                 .history = reputation_.of(provider).audited,
                                 .lost_bps = buyer_.ledger.parameters.burned_bps});
}

void MarketView::served(const Address& provider) {
  const std::lock_guard lock(mutex_);
  reputation_.served(provider);
  pauses_.erase(provider);
}
void MarketView::audited(const Address& provider) {
  const std::lock_guard lock(mutex_);
  reputation_.audited(provider);
}
void MarketView::failed(const Address& provider) {
  const std::lock_guard lock(mutex_);
  reputation_.failed(provider);
  Pause& pause = pauses_[provider];
  pause.failures = std::min(pause.failures + 1, kFailuresMax);
  pause.until_ms = io::steady_ms() + (kPauseMs << pause.failures);
}
void MarketView::convicted(const Address& provider, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  reputation_.convicted(provider, reason);
}

Routing merged(const Routing& defaults, const Routing& request) {
  Routing out = request;
  const auto tighter = [](auto& own, const auto& general, auto better) {
    if (!own || (general && better(*general, *own))) own = general ? general : own;
  };
  tighter(out.max_price_in, defaults.max_price_in, std::less<>());
  tighter(out.max_price_out, defaults.max_price_out, std::less<>());
  tighter(out.max_latency_ms, defaults.max_latency_ms, std::less<>());
  tighter(out.min_vram_mib, defaults.min_vram_mib, std::greater<>());
  if (out.regions.empty()) out.regions = defaults.regions;
  if (out.only.empty()) out.only = defaults.only;
  out.ignore.insert(out.ignore.end(), defaults.ignore.begin(), defaults.ignore.end());
  if (out.order.empty()) out.order = defaults.order;
  return out;
}

json::object screening_json(const MarketView::Screened& screened) {
  json::array fitting, refused;
  for (const market::Candidate& c : screened.screening.fitting) {
    const auto& offer = c.offer.message;
    const auto& model = offer.models[c.model];
    fitting.push_back({{"provider", offer.provider.to_string()},
                       {"endpoint", offer.endpoint},
                       {"model", model.name},
                       {"price_in", market::format_money(model.price_in)},
                       {"price_out", market::format_money(model.price_out)},
                       {"expected_price", market::format_money(c.expected_price)},
                       {"success_ppm", c.success_ppm},
                       {"stake", market::format_money(c.stake)},
                       {"region", offer.region},
                       {"vram_mib", offer.vram_mib}});
  }
  for (const market::Refused& r : screened.screening.refused) {
    json::array reasons;
    for (const market::Refusal& reason : r.reasons)
      reasons.push_back({{"code", market::to_string(reason.code)}, {"text", reason.text}});
    refused.push_back({{"provider", r.provider.to_string()},
                       {"endpoint", r.endpoint},
                       {"reasons", std::move(reasons)}});
  }
  json::object out{{"fitting", std::move(fitting)}, {"refused", std::move(refused)}};
  out["relaxation"] = screened.relaxation.empty() ? json::value() : screened.relaxation;
  return out;
}

}  // namespace assay::services
