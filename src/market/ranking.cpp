#include "market/ranking.hpp"

#include <algorithm>
#include <tuple>

#include "market/screen.hpp"

namespace assay::market {

namespace {
constexpr Sort kSorts[] = {Sort::balanced, Sort::price, Sort::throughput, Sort::latency};
}

std::string_view to_string(Sort sort) {
  switch (sort) {
    case Sort::balanced:
      return "balanced";
    case Sort::price:
      return "price";
    case Sort::throughput:
      return "throughput";
    case Sort::latency:
      return "latency";
  }
  return "unknown";
}

Result<Sort> parse_sort(std::string_view name) {
  for (const Sort sort : kSorts)
    if (name == to_string(sort)) return sort;
  return fail(Errc::invalid, "there is no order '{}': use balanced, price, throughput or latency",
              name);
}

Speed speed_of(const protocol::Offer& offer, const Record& record) {
  if (record.measured >= kMeasuredMin) return {record.first_token_ms, record.per_token_ms, true};
  return {offer.first_token_ms, offer.per_token_ms, false};
}

std::uint32_t rebate_of(const protocol::Offer& offer, const Record& record) {
  return record.rebates_refused * 3 > record.rebates_kept ? 0 : offer.rebate_ppm;
}

bool ranks_before(const Candidate& a, const Candidate& b) {
  return std::tie(a.primary, a.score, b.stake, a.offer.message.provider) <
         std::tie(b.primary, b.score, a.stake, b.offer.message.provider);
}

void spread(std::span<Candidate> ranked, std::uint64_t draw) {
  if (ranked.size() < 2) return;
  const auto first = [&](std::size_t place) {
    std::rotate(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(place),
                ranked.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  };
  const double limit = ranked[0].score * kBand;
  if (draw % kNewcomerOneIn == 0) {
    std::vector<std::size_t> newcomers;
    for (std::size_t i = 0; i < ranked.size(); ++i) {
      const double unproven = unreliability(ranked[i].reliability_ppm);
      const double proven = unreliability(ranked[0].reliability_ppm);
      if (ranked[i].newcomer && ranked[i].score / unproven * proven <= limit)
        newcomers.push_back(i);
    }
    if (!newcomers.empty()) return first(newcomers[(draw >> 32) % newcomers.size()]);
  }
  std::size_t band = 1;
  while (band < ranked.size() && ranked[band].score <= limit) ++band;
  first((draw >> 32) % band);
}

}  // namespace assay::market
