// Who is asked first: scores, order, spread; what few observations are worth.
#include "market/ranking.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

#include "market/screen.hpp"

namespace assay::market::test {
namespace {

TEST(Reliability, IsWilsonsLowerBound) {
  for (const std::uint64_t good : {0u, 1u, 4u, 9u, 100u, 5'000u})
    for (const std::uint64_t bad : {0u, 1u, 3u, 40u, 900u}) {
      const double s = static_cast<double>(good), f = static_cast<double>(bad), n = s + f;
      const double exact =
          n == 0 ? 0 : std::max(0.0, (s + 0.5 - std::sqrt(s * f / n + 0.25)) / (n + 1));
      // Rounded against the provider, by less than the root's last thousandth.
      const double got = lower_bound_ppm(good * 1000, bad * 1000) / 1e6;
      EXPECT_LE(got, exact + 1e-12) << good << " " << bad;
      EXPECT_GE(got, exact - 2.0e-3 / (n + 1) - 1e-6) << good << " " << bad;
    }
  EXPECT_EQ(lower_bound_ppm(0, 0), 0u);
  EXPECT_EQ(lower_bound_ppm(1'000'000'000, 0), 999'999u);
}

TEST(Reliability, MoreOfTheSameIsWorthMore) {
  const auto of = [](std::uint64_t served, std::uint64_t failures) {
    Record record;
    record.served = served;
    record.failures = failures;
    return reliability_ppm(record);
  };
  EXPECT_EQ(of(0, 0), 800'000u);
  EXPECT_LT(of(0, 0), of(1, 0));
  EXPECT_LT(of(9, 1), of(90, 10));  // the same share, better known
  EXPECT_LT(of(90, 10), of(99, 1));
  EXPECT_LT(of(0, 5), of(0, 4));
  Record proven;
  proven.proven_good_milli = 5'000;
  EXPECT_EQ(reliability_ppm(proven), of(5, 0));
  proven.proven_bad_milli = 20'000;
  EXPECT_EQ(reliability_ppm(proven), of(5, 20));
  EXPECT_GT(of(UINT64_MAX, 0), 999'000u);
  EXPECT_LT(of(0, UINT64_MAX), 1'000u);
}

TEST(Latency, NineInTenOfTheLatest) {
  Reputation reputation;
  const protocol::Address provider{};
  for (std::uint32_t i = 1; i <= 10; ++i) reputation.measured(provider, i * 10, i);
  EXPECT_EQ(reputation.of(provider).first_token_ms, 90u);
  EXPECT_EQ(reputation.of(provider).per_token_ms, 9u);
  EXPECT_EQ(reputation.of(provider).measured, 10u);
  for (std::size_t i = 0; i < kLatencySamples; ++i) reputation.measured(provider, 7, 3);
  EXPECT_EQ(reputation.of(provider).first_token_ms, 7u);  // the old ones are forgotten
  EXPECT_EQ(reputation.of(provider).measured, kLatencySamples);
}

Candidate candidate(double score, bool newcomer = false, std::uint32_t reliability = 950'000) {
  Candidate out;
  out.score = out.primary = score;
  out.newcomer = newcomer;
  out.reliability_ppm = reliability;
  return out;
}

// How often each place of the ranking comes first.
std::vector<int> shares(const std::vector<Candidate>& ranked, int draws) {
  std::mt19937_64 random(5);
  std::vector<int> out(ranked.size(), 0);
  for (int i = 0; i < draws; ++i) {
    auto copy = ranked;
    for (std::size_t k = 0; k < copy.size(); ++k) copy[k].model = k;
    spread(copy, random());
    ++out[copy[0].model];
    for (std::size_t k = 2; k < copy.size(); ++k)
      EXPECT_TRUE(copy[k - 1].model < copy[k].model || copy[0].model == 0);
  }
  return out;
}

TEST(Spread, NobodyInTheBandDominatesAndNobodyOutsideIsAsked) {
  const auto out = shares({candidate(100), candidate(105), candidate(110), candidate(111)}, 6'000);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GT(out[i], 1'800) << i;
    EXPECT_LT(out[i], 2'200) << i;
  }
  EXPECT_EQ(out[3], 0);
}

TEST(Spread, NewcomersGetABoundedShare) {
  // 125 × 0.8 / 0.95 is within 110 of 100: it would be as good if it were known.
  const auto out = shares(
      {candidate(100), candidate(125, true, 800'000), candidate(200, true, 800'000)}, 20'000);
  EXPECT_GT(out[1], 800);
  EXPECT_LT(out[1], 1'200);
  EXPECT_EQ(out[2], 0);
}

TEST(Spread, OneIsLeftAlone) {
  std::vector<Candidate> one{candidate(3)};
  spread(one, 0);
  EXPECT_EQ(one.size(), 1u);
  spread({}, 0);
}

TEST(Sort, NamesRoundTrip) {
  for (const Sort sort : {Sort::balanced, Sort::price, Sort::throughput, Sort::latency})
    EXPECT_EQ(*parse_sort(to_string(sort)), sort);
  EXPECT_EQ(parse_sort("best").error().code, Errc::invalid);
}

}  // namespace
}  // namespace assay::market::test
