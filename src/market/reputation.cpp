#include "market/reputation.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/int128.hpp"

namespace assay::market {

using protocol::Address;

namespace {

constexpr std::uint64_t kMilliMax = 1'000'000'000;
constexpr std::uint64_t kPriorMilli = 4'000;

// The least r with r² ≥ v.
std::uint64_t root_up(std::uint64_t v) {
  std::uint64_t low = 0, high = std::uint64_t{1} << 32;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (static_cast<Uint128>(middle) * middle >= v)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

// Nine in ten are at most this.
std::uint32_t ninth_decile(std::vector<std::uint32_t> samples) {
  ASSAY_ASSERT(!samples.empty());
  const auto place = samples.begin() + static_cast<std::ptrdiff_t>((samples.size() - 1) * 9 / 10);
  std::ranges::nth_element(samples, place);
  return *place;
}

}  // namespace

Record Reputation::of(const Address& provider) const {
  const auto it = records_.find(provider);
  return it == records_.end() ? Record{} : it->second;
}

void Reputation::served(const Address& provider) { ++records_[provider].served; }
void Reputation::audited(const Address& provider) { ++records_[provider].audited; }
void Reputation::failed(const Address& provider) { ++records_[provider].failures; }

void Reputation::convicted(const Address& provider, std::string reason) {
  auto& record = records_[provider];
  ++record.convictions;
  record.last_conviction = std::move(reason);
}

void LatencySamples::add(std::uint32_t first_token_ms, std::uint32_t per_token_ms) {
  const std::size_t place = answers_++ % kLatencySamples;
  if (place == first_token_ms_.size()) {
    first_token_ms_.push_back(first_token_ms);
    per_token_ms_.push_back(per_token_ms);
  } else {
    first_token_ms_[place] = first_token_ms;
    per_token_ms_[place] = per_token_ms;
  }
}

std::uint32_t LatencySamples::first_token_ms() const { return ninth_decile(first_token_ms_); }
std::uint32_t LatencySamples::per_token_ms() const { return ninth_decile(per_token_ms_); }

void Reputation::measured(const Address& provider, std::uint32_t first_token_ms,
                          std::uint32_t per_token_ms) {
  LatencySamples& samples = samples_[provider];
  samples.add(first_token_ms, per_token_ms);
  Record& record = records_[provider];
  record.measured = samples.held();
  record.first_token_ms = samples.first_token_ms();
  record.per_token_ms = samples.per_token_ms();
}

void Reputation::rebate(const Address& provider, RebateEnd end) {
  Record& record = records_[provider];
  ++(end == RebateEnd::kept      ? record.rebates_kept
     : end == RebateEnd::refused ? record.rebates_refused
                                 : record.rebates_broken);
}

// With s good, f bad, n = s + f and z = 1: (s + 1/2 − √(s·f/n + 1/4)) / (n + 1); all in
// thousandths.
std::uint32_t lower_bound_ppm(std::uint64_t good_milli, std::uint64_t bad_milli) {
  ASSAY_ASSERT(good_milli <= kMilliMax && bad_milli <= kMilliMax);
  const std::uint64_t n = good_milli + bad_milli;
  if (n == 0) return 0;
  const auto variance =
      static_cast<std::uint64_t>((static_cast<Uint128>(good_milli) * bad_milli * 1000 + n - 1) / n);
  const std::uint64_t root = root_up(variance + 250'000);
  const std::uint64_t middle = good_milli + 500;
  if (root >= middle) return 0;
  return static_cast<std::uint32_t>((middle - root) * 1'000'000 / (n + 1000));
}

std::uint32_t reliability_ppm(const Record& record) {
  const auto observed = [](std::uint64_t count, std::uint64_t proven_milli, std::uint64_t prior) {
    constexpr std::uint64_t kMost = kMilliMax / 4;
    return std::min(count, kMost / 1000) * 1000 + std::min(proven_milli, kMost) + prior;
  };
  return lower_bound_ppm(
      observed(record.served, record.proven_good_milli, kPriorMilli),
      observed(record.failures + record.rebates_refused, record.proven_bad_milli, 0));
}

}  // namespace assay::market
