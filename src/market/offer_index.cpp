#include "market/offer_index.hpp"

#include <algorithm>
#include <limits>

#include "base/assert.hpp"

namespace assay::market {

// The best so far, worst of them first to go.
class OfferIndex::Ranking {
 public:
  explicit Ranking(std::size_t most) : most_(most) {}

  // What comes after this cannot enter.
  double limit() const {
    return best_.size() < most_ ? std::numeric_limits<double>::infinity() : best_.front().primary;
  }
  bool comes_after(double primary, double score) const {
    return best_.size() == most_ &&
           std::pair(primary, score) > std::pair(best_.front().primary, best_.front().score);
  }

  void offer(Candidate found) {
    // Of one offer's models the cheapest counts.
    for (auto& have : best_) {
      if (have.offer.message.provider != found.offer.message.provider) continue;
      if (std::pair(found.price, found.model) < std::pair(have.price, have.model)) {
        have = std::move(found);
        std::ranges::make_heap(best_, ranks_before);
      }
      return;
    }
    if (best_.size() == most_) {
      if (!ranks_before(found, best_.front())) return;
      std::ranges::pop_heap(best_, ranks_before);
      best_.pop_back();
    }
    best_.push_back(std::move(found));
    std::ranges::push_heap(best_, ranks_before);
  }

  std::vector<Candidate> take() {
    std::ranges::sort_heap(best_, ranks_before);
    return std::move(best_);
  }

 private:
  std::size_t most_;
  std::vector<Candidate> best_;
};

OfferIndex::OfferIndex(std::vector<Signed<Offer>> offers,
                       const std::map<Address, ProviderFacts>& facts) {
  std::map<std::string, std::uint16_t> regions;
  std::map<std::tuple<Hash, Hash, std::uint32_t>, std::uint32_t> groups;
  for (auto& offer : offers) {
    const auto known = facts.find(offer.message.provider);
    if (known == facts.end()) continue;
    const auto place = static_cast<std::uint32_t>(offers_.size());
    // A board of more regions than fit a row has the rest under one number, which always passes.
    const auto region = regions.emplace(
        offer.message.region, static_cast<std::uint16_t>(std::min<std::size_t>(
                                  regions.size(), std::numeric_limits<std::uint16_t>::max())));
    for (std::size_t m = 0; m < offer.message.models.size(); ++m) {
      const auto& model = offer.message.models[m];
      const auto [group, is_new] =
          groups.emplace(std::tuple(model.weights_root, model.program_hash, model.canon),
                         static_cast<std::uint32_t>(groups_.size()));
      if (is_new) groups_.push_back({{model.weights_root, model.program_hash, model.canon}, {}});
      Row row{};
      row.price_in = model.price_in;
      row.price_out = model.price_out;
      row.context = model.context;
      row.offer = place;
      row.region = region.first->second;
      row.model = static_cast<std::uint8_t>(m) & 0x7f;  // kOfferModelsMax
      row.in_the_clear = is_in_the_clear(offer.message.endpoint);
      fill(row, offer.message, known->second);
      Rows& rows = groups_[group->second];
      rows.rows.push_back(row);
      rows.least_price_in = std::min(rows.least_price_in, model.price_in);
    }
    offers_.push_back(std::move(offer));
    facts_.push_back(known->second);
  }
  regions_.resize(std::min<std::size_t>(regions.size(), std::numeric_limits<std::uint16_t>::max()));
  for (const auto& [name, number] : regions)
    if (number < regions_.size()) regions_[number] = name;
  for (std::uint32_t g = 0; g < groups_.size(); ++g) {
    auto& rows = groups_[g].rows;
    std::ranges::sort(rows, [](const Row& a, const Row& b) {
      return std::tie(a.price_out, a.price_in, a.offer) <
             std::tie(b.price_out, b.price_in, b.offer);
    });
    for (std::uint32_t r = 0; r < rows.size(); ++r)
      places_[offers_[rows[r].offer].message.provider].push_back({g, r});
  }
}

void OfferIndex::fill(Row& row, const Offer& offer, const ProviderFacts& facts) {
  const Speed speed = speed_of(offer, facts.record);
  row.stake = facts.account.stake;
  row.room = facts.account.exposure_limit - facts.account.exposure;
  row.unreliable = unreliability(reliability_ppm(facts.record));
  row.vram_mib = offer.vram_mib;
  row.rebate =
      static_cast<std::uint8_t>((rebate_of(offer, facts.record) + kRebateUnit - 1) / kRebateUnit);
  row.first_token_ms = speed.first_token_ms;
  row.per_token_ms = speed.per_token_ms;
}

void OfferIndex::set_facts(const Address& provider, const ProviderFacts& facts) {
  const auto places = places_.find(provider);
  if (places == places_.end()) return;
  for (const Place& place : places->second) {
    Row& row = groups_[place.group].rows[place.row];
    facts_[row.offer] = facts;
    fill(row, offers_[row.offer].message, facts);
  }
}

std::vector<Candidate> OfferIndex::best(const Job& job, std::uint64_t now, std::size_t most) const {
  ASSAY_ASSERT(job.identity.has_value() && most > 0);
  const auto group = std::ranges::find_if(groups_, [&](const Rows& rows) {
    const auto& e = rows.execution;
    return e.weights_root == job.identity->weights_root &&
           e.program_hash == job.identity->program_hash && e.canon == job.identity->canon;
  });
  if (group == groups_.end()) return {};

  const std::uint64_t tokens = std::uint64_t{job.prompt_tokens} + job.max_tokens;
  const Micros price_in = job.max_price_in.value_or(INT64_MAX);
  const Micros price_out = job.max_price_out.value_or(INT64_MAX);
  const std::uint32_t first_token = job.max_first_token_ms.value_or(UINT32_MAX);
  const std::uint32_t per_token = job.max_per_token_ms.value_or(UINT32_MAX);
  const std::uint32_t rebate = job.min_rebate_ppm / kRebateUnit;
  std::vector<char> in_region(regions_.size() + 1, job.regions.empty());
  in_region.back() = 1;
  for (std::size_t r = 0; r < regions_.size(); ++r)
    if (std::ranges::find(job.regions, regions_[r]) != job.regions.end()) in_region[r] = 1;
  Ranking ranking(most);

  const auto consider = [&](const Row& row) {
    if ((row.context < tokens) | (row.price_in > price_in) | (row.price_out > price_out) |
        (row.vram_mib < job.min_vram_mib) | (row.first_token_ms > first_token) |
        (row.per_token_ms > per_token) | (row.stake < job.min_stake) |
        (row.room < job.escrow && job.escrow > 0) | !in_region[row.region] | (row.rebate < rebate) |
        (row.in_the_clear && !job.plain_http))
      return;
    const double price = price_of(row.price_in, row.price_out, job.prompt_tokens, job.max_tokens);
    const Speed speed{row.first_token_ms, row.per_token_ms};
    const double score = score_of(price, speed, job.max_tokens, row.unreliable);
    if (ranking.comes_after(primary_of(job.sort, price, speed, score), score)) return;
    const auto& offer = offers_[row.offer];
    std::vector<Refusal> reasons;
    check_provider(offer.message, job, &facts_[row.offer], now, reasons);
    if (!reasons.empty() || !check_model(offer.message.models[row.model], job).empty()) return;
    ranking.offer(candidate_of(offer, row.model, job, facts_[row.offer]));
  };

  if (!job.only.empty()) {
    for (const auto& provider : job.only)
      if (const auto places = places_.find(provider); places != places_.end())
        for (const Place& place : places->second)
          if (&groups_[place.group] == &*group) consider(group->rows[place.row]);
    return ranking.take();
  }
  const bool by_price = job.sort == Sort::balanced || job.sort == Sort::price;
  for (const Row& row : group->rows) {
    // Neither price nor score of the rows from here on can be less.
    const double least =
        price_of(group->least_price_in, row.price_out, job.prompt_tokens, job.max_tokens);
    if (by_price && least > ranking.limit()) break;
    consider(row);
  }
  return ranking.take();
}

}  // namespace assay::market
