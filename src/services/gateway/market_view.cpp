#include "services/gateway/market_view.hpp"

#include <algorithm>
#include <tuple>

#include "io/log.hpp"
#include "io/pinned_url.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "market/audit_policy.hpp"
#include "market/money.hpp"

namespace assay::services {
namespace {

// A provider that failed n times in a row comes last for 2^n seconds, at most about two minutes.
constexpr std::int64_t kPauseMs = 1'000;
constexpr std::uint32_t kFailuresMax = 7;

}  // namespace

market::Job MarketView::job_of(const Wish& wish) const {
  market::Job job;
  const LocalModel& model = *wish.model;
  for (const std::string& name : {wish.name, model.name, model.title})
    if (!name.empty()) job.names.push_back(name);
  job.execution = model.execution_hash;
  job.identity = model.execution;
  job.prompt_tokens = wish.prompt_tokens;
  job.max_tokens = wish.max_tokens;
  const Routing& routing = wish.routing;
  job.max_price_in = routing.max_price_in;
  job.max_price_out = routing.max_price_out;
  job.min_stake = routing.min_stake.value_or(0);
  job.min_vram_mib = routing.min_vram_mib.value_or(0);
  job.max_first_token_ms = routing.max_latency_ms;
  job.max_per_token_ms = routing.max_per_token_ms;
  job.min_rebate_ppm = routing.min_rebate_ppm.value_or(0);
  job.plain_http = buyer_.options.limits.plain_http;
  job.regions = routing.regions;
  job.quantizations = routing.quantizations;
  job.only = routing.only;
  job.ignore = routing.ignore;
  job.evidence = routing.proof.evidence;
  job.sort = routing.sort.value_or(market::Sort::balanced);
  job.escrow = buyer_.options.escrow;
  return job;
}

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
  TRY(const auto rebates, buyer_.store->rebates());
  for (const RebateRecord& rebate : rebates) {
    if (rebate.state == RebateState::due || rebate.state == RebateState::lapsed) continue;
    TRY(const RequestRecord request, buyer_.store->request(rebate.request));
    TRY(const LeaseRecord lease, buyer_.store->lease(request.lease));
    reputation_.rebate(lease.lease.message.provider, end_of(rebate.state));
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
  leased_.clear();
  TRY(const auto leases, buyer_.store->unreturned_leases());
  for (const LeaseRecord& lease : leases)
    if (lease.stage != LeaseStage::ended) leased_.insert(lease.lease.message.provider);
  std::map<Address, market::ProviderFacts> facts;
  for (const auto& [provider, account] : accounts_) facts[provider] = roomy_facts_of(provider);
  index_ = market::OfferIndex(offers_, facts);
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

market::ProviderFacts MarketView::facts_of(const Address& provider, const Hash& execution) {
  market::ProviderFacts facts{accounts_.at(provider), record_of(provider)};
  // Where a lease is open already, its escrow is part of the exposure and no new one is needed.
  if (auto lease = buyer_.store->usable_lease(provider, execution, buyer_.now()); lease && *lease)
    facts.account.exposure = std::max<Micros>(0, facts.account.exposure - buyer_.options.escrow);
  return facts;
}

// As if any lease with it could be used: the index refuses nobody whom facts_of lets pass.
market::ProviderFacts MarketView::roomy_facts_of(const Address& provider) const {
  market::ProviderFacts facts{accounts_.at(provider), record_of(provider)};
  if (leased_.contains(provider))
    facts.account.exposure = std::max<Micros>(0, facts.account.exposure - buyer_.options.escrow);
  return facts;
}

market::Record MarketView::record_of(const Address& provider) const {
  market::Record out = reputation_.of(provider);
  if (const auto it = standings_.find(provider); it != standings_.end()) {
    out.proven_good_milli = it->second.good_milli;
    out.proven_bad_milli = it->second.bad_milli;
  }
  return out;
}

// What was learned about a provider reaches the index.
void MarketView::note(const Address& provider) {
  if (accounts_.contains(provider)) index_.set_facts(provider, roomy_facts_of(provider));
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
  return screen_locked(wish);
}

Result<MarketView::Screened> MarketView::screen_locked(const Wish& wish) {
  std::map<Address, market::ProviderFacts> facts;
  for (const auto& [provider, account] : accounts_)
    facts[provider] = facts_of(provider, wish.model->execution_hash);
  const market::Job job = job_of(wish);
  Screened out{market::screen(offers_, job, facts, buyer_.now()), std::nullopt};
  arrange(out.screening.fitting, wish.routing.order);
  if (out.screening.fitting.empty())
    out.relaxation = market::cheapest_relaxation(offers_, job, facts, buyer_.now());
  return out;
}

Result<MarketView::Screened> MarketView::choose(const Wish& wish) {
  const std::lock_guard lock(mutex_);
  CHECK_OK(refresh());
  const market::Job job = job_of(wish);
  std::vector<market::Candidate> chosen;
  const auto take = [&](const market::Job& asked) {
    for (market::Candidate& candidate : index_.best(asked, buyer_.now(), kShortlist)) {
      const auto& offer = candidate.offer.message;
      std::vector<market::Refusal> reasons;
      const auto facts = facts_of(offer.provider, wish.model->execution_hash);
      market::check_provider(offer, asked, &facts, buyer_.now(), reasons);
      const bool is_there = std::ranges::any_of(chosen, [&](const market::Candidate& have) {
        return have.offer.message.provider == offer.provider;
      });
      if (reasons.empty() && !is_there) chosen.push_back(std::move(candidate));
    }
  };
  if (!wish.routing.order.empty()) {
    market::Job first = job;
    for (const Address& provider : wish.routing.order)
      if (job.only.empty() || std::ranges::find(job.only, provider) != job.only.end()) {
        first.only = {provider};
        take(first);
      }
  }
  take(job);
  // Somebody beyond the shortlist may fit, and whoever does not is told why.
  if (chosen.empty()) return screen_locked(wish);
  if (job.sort == market::Sort::balanced && wish.routing.order.empty())
    market::spread(chosen, io::random_u64());
  arrange(chosen, wish.routing.order);
  return Screened{{std::move(chosen), {}}, std::nullopt};
}

Result<market::Candidate> MarketView::admit(const Signed<protocol::Offer>& offer,
                                            const Wish& wish) {
  CHECK_OK(market::check_offer(buyer_.ledger.domain, offer, buyer_.now()));
  const std::lock_guard lock(mutex_);
  CHECK_OK(refresh());
  const Address& provider = offer.message.provider;
  if (!accounts_.contains(provider))
    return fail(Errc::refused, "its account could not be read from the ledger");
  std::map<Address, market::ProviderFacts> facts;
  facts[provider] = facts_of(provider, wish.model->execution_hash);
  market::Screening out = market::screen(std::span(&offer, 1), job_of(wish), facts, buyer_.now());
  if (out.fitting.empty()) return fail(Errc::refused, "{}", market::explain(out));
  return std::move(out.fitting.front());
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
  note(provider);
}
void MarketView::audited(const Address& provider) {
  const std::lock_guard lock(mutex_);
  reputation_.audited(provider);
  note(provider);
}
void MarketView::failed(const Address& provider) {
  const std::lock_guard lock(mutex_);
  reputation_.failed(provider);
  note(provider);
  Pause& pause = pauses_[provider];
  pause.failures = std::min(pause.failures + 1, kFailuresMax);
  pause.until_ms = io::steady_ms() + (kPauseMs << pause.failures);
}
void MarketView::convicted(const Address& provider, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  reputation_.convicted(provider, reason);
  note(provider);
}
void MarketView::rebate(const Address& provider, market::Reputation::RebateEnd end) {
  const std::lock_guard lock(mutex_);
  reputation_.rebate(provider, end);
  note(provider);
}
void MarketView::learn(std::span<const market::Standing> standings) {
  const std::lock_guard lock(mutex_);
  for (const market::Standing& standing : standings) {
    standings_[standing.provider] = standing;
    note(standing.provider);
  }
}
void MarketView::measured(const Address& provider, std::uint32_t first_token_ms,
                          std::uint32_t per_token_ms) {
  const std::lock_guard lock(mutex_);
  reputation_.measured(provider, first_token_ms, per_token_ms);
  note(provider);
}

market::Reputation::RebateEnd end_of(RebateState state) {
  using End = market::Reputation::RebateEnd;
  return state == RebateState::accepted ? End::kept
         : state == RebateState::broken ? End::broken
                                        : End::refused;
}

Routing merged(const Routing& defaults, const Routing& request) {
  Routing out = request;
  const auto tighter = [](auto& own, const auto& general, auto better) {
    if (!own || (general && better(*general, *own))) own = general ? general : own;
  };
  tighter(out.max_price_in, defaults.max_price_in, std::less<>());
  tighter(out.max_price_out, defaults.max_price_out, std::less<>());
  tighter(out.max_latency_ms, defaults.max_latency_ms, std::less<>());
  tighter(out.max_per_token_ms, defaults.max_per_token_ms, std::less<>());
  tighter(out.min_vram_mib, defaults.min_vram_mib, std::greater<>());
  tighter(out.min_stake, defaults.min_stake, std::greater<>());
  tighter(out.min_rebate_ppm, defaults.min_rebate_ppm, std::greater<>());
  if (!out.hedge_ms) out.hedge_ms = defaults.hedge_ms;
  if (out.regions.empty()) out.regions = defaults.regions;
  if (out.quantizations.empty()) out.quantizations = defaults.quantizations;
  if (out.only.empty()) out.only = defaults.only;
  out.ignore.insert(out.ignore.end(), defaults.ignore.begin(), defaults.ignore.end());
  if (out.order.empty()) out.order = defaults.order;
  if (!out.sort) out.sort = defaults.sort;
  return out;
}

json::object screening_json(const MarketView::Screened& screened) {
  json::object out = market::to_json(screened.screening);
  out["relaxation"] =
      screened.relaxation ? json::value(market::to_json(*screened.relaxation)) : json::value();
  return out;
}

}  // namespace assay::services
