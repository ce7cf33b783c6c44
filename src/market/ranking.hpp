// Which of the fitting offers first: price, speed and reliability in one number, ties by stake.
// A score compares offers; money is computed elsewhere, exactly.
#pragma once
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "market/reputation.hpp"

namespace assay::market {

struct Candidate;

enum class Sort : std::uint32_t {
  balanced = 0,    // by score, and load is spread over those that are about as good
  price = 1,       // cheapest
  throughput = 2,  // least time per token
  latency = 3,     // least time to the first token
};
std::string_view to_string(Sort sort);
Result<Sort> parse_sort(std::string_view name);

// What a provider takes, measured by this buyer where it was, else as the offer claims.
struct Speed {
  std::uint32_t first_token_ms = 0, per_token_ms = 0;
  bool is_measured = false;
};
Speed speed_of(const protocol::Offer& offer, const Record& record);

// What an offer's promise of a rebate is worth to this buyer, in millionths: nothing once more than
// one in four of those asked for were refused.
std::uint32_t rebate_of(const protocol::Offer& offer, const Record& record);

// So much waiting counts as much as the price itself.
inline constexpr double kPatienceMs = 10'000;

// Of a job: unrounded price in micro-units.
inline double price_of(protocol::Micros price_in, protocol::Micros price_out, std::uint32_t prompt,
                       std::uint32_t answer) {
  return (static_cast<double>(price_in) * prompt + static_cast<double>(price_out) * answer) / 1e6;
}
inline double unreliability(std::uint32_t reliability_ppm) {
  return 1e6 / static_cast<double>(reliability_ppm < 10'000 ? 10'000 : reliability_ppm);
}
// (price + 1) × (1 + time / patience) / reliability: smaller is better.
inline double score_of(double price, const Speed& speed, std::uint32_t answer, double unreliable) {
  const double time_ms =
      static_cast<double>(speed.first_token_ms) + static_cast<double>(speed.per_token_ms) * answer;
  return (price + 1.0) * (1.0 + time_ms / kPatienceMs) * unreliable;
}
// What comes first under `sort`; the score decides where it is equal.
inline double primary_of(Sort sort, double price, const Speed& speed, double score) {
  switch (sort) {
    case Sort::balanced:
      return score;
    case Sort::price:
      return price;
    case Sort::throughput:
      return speed.per_token_ms;
    case Sort::latency:
      return speed.first_token_ms;
  }
  return score;
}

// A total order: primary, score, more stake, address.
bool ranks_before(const Candidate& a, const Candidate& b);

// Providers whose score is within this of the best are as good as it.
inline constexpr double kBand = 1.1;
// Of so many requests one goes first to a newcomer, where one would be in the band if it were
// known.
inline constexpr std::uint64_t kNewcomerOneIn = 20;

// Moves the one to be asked first to the front of a ranking by score; `draw` is uniform and the
// caller's. Each of the band is drawn with the same chance, so that none of them gets all.
void spread(std::span<Candidate> ranked, std::uint64_t draw);

}  // namespace assay::market
