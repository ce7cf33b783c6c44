// Screening and ranking over a large board: the request path (market/offer_index.hpp), the whole
// screening with every reason, and how long the index takes to build.
//   assay_screen_bench [--offers N] [--rounds N]
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fmt/format.h>
#include <random>
#include <string_view>

#include "market/offer_index.hpp"
#include "market/relaxation.hpp"

namespace {

using namespace assay;
using namespace assay::market;

constexpr std::uint64_t kNow = 1'000'000;
constexpr const char* kRegions[] = {"eu", "us", "ap", "sa", "af", "local"};
constexpr const char* kQuantizations[] = {"Q8_0", "Q4_K_M", "Q6_K"};

struct Market {
  std::vector<Signed<Offer>> offers;
  std::map<Address, ProviderFacts> facts;
  protocol::ExecutionId execution{Hash{1}, Hash{2}, protocol::kCanon};
};

// Every offer sells the model asked for, the worst case of an index by execution, and two others.
Market make(std::size_t count) {
  Market out;
  std::mt19937_64 random(7);
  const auto up_to = [&](std::uint64_t most) {
    return static_cast<std::uint32_t>(random() % most);
  };
  for (std::size_t i = 0; i < count; ++i) {
    Signed<Offer> offer;
    Offer& m = offer.message;
    for (auto& byte : m.provider.bytes) byte = static_cast<std::uint8_t>(random());
    m.endpoint = fmt::format("http://10.{}.{}.{}:8800", i >> 16 & 255, i >> 8 & 255, i & 255);
    m.region = kRegions[up_to(6)];
    m.vram_mib = 8192u << up_to(4);
    m.first_token_ms = 50 + up_to(2'000);
    m.per_token_ms = 5 + up_to(95);
    m.expires = kNow + 3'600;
    for (std::uint8_t k = 1; k <= 3; ++k)
      m.models.push_back({.name = fmt::format("model-{}", k),
                          .weights_root = Hash{k},
                          .program_hash = Hash{2},
                          .quantization = kQuantizations[up_to(3)],
                          .price_in = 100'000 + up_to(900'000),
                          .price_out = 200'000 + up_to(1'800'000),
                          .context = 4096u << up_to(4)});
    ProviderFacts& facts = out.facts[m.provider];
    facts.account.stake = 10'000'000 + up_to(90'000'000);
    facts.account.exposure_limit = 3 * facts.account.stake;
    facts.account.exposure = up_to(20'000'000);
    facts.record.served = up_to(50);
    facts.record.failures = up_to(5);
    out.offers.push_back(std::move(offer));
  }
  return out;
}

Job job_of(const Market& market, std::mt19937_64& random) {
  Job job;
  job.names = {"model-1"};
  job.identity = market.execution;
  job.prompt_tokens = 100 + static_cast<std::uint32_t>(random() % 2'000);
  job.max_tokens = 50 + static_cast<std::uint32_t>(random() % 1'000);
  job.escrow = 1'000'000;
  return job;
}

double ms_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

void show(const char* name, std::vector<double>& times) {
  std::ranges::sort(times);
  fmt::print("   {} p50 {:7.3f} p99 {:7.3f} max {:7.3f}", name, times[times.size() / 2],
             times[times.size() * 99 / 100], times.back());
}

// Milliseconds by the clock on the wall, and of this thread's CPU time, which leaves out what the
// machine did for others meanwhile.
template <class F>
void measure(const char* what, int rounds, F&& once) {
  std::vector<double> wall, cpu;
  for (int i = 0; i < rounds; ++i) {
    const double at = ms_of(CLOCK_MONOTONIC), used = ms_of(CLOCK_THREAD_CPUTIME_ID);
    once();
    cpu.push_back(ms_of(CLOCK_THREAD_CPUTIME_ID) - used);
    wall.push_back(ms_of(CLOCK_MONOTONIC) - at);
  }
  fmt::print("{:<40}", what);
  show("wall ms", wall);
  show("cpu ms", cpu);
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 100'000;
  int rounds = 2'000;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--offers") count = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::string_view(argv[i]) == "--rounds") rounds = std::atoi(argv[i + 1]);
  }
  const Market market = make(std::max<std::size_t>(count, 1));
  rounds = std::max(rounds, 1);
  constexpr std::size_t kMost = 16;
  const double built = ms_of(CLOCK_THREAD_CPUTIME_ID);
  OfferIndex index(market.offers, market.facts);
  fmt::print("{} offers of 3 models, index built in {:.0f} ms of CPU time\n", count,
             ms_of(CLOCK_THREAD_CPUTIME_ID) - built);

  std::mt19937_64 random(11);
  std::size_t found = 0;
  measure("no limits, balanced", rounds,
          [&] { found += index.best(job_of(market, random), kNow, kMost).size(); });
  measure("price, VRAM, region and latency limits", rounds, [&] {
    Job job = job_of(market, random);
    job.max_price_out = 1'500'000;
    job.min_vram_mib = 32'768;
    job.regions = {"eu", "us"};
    job.max_first_token_ms = 500;
    job.max_per_token_ms = 40;
    found += index.best(job, kNow, kMost).size();
  });
  measure("sorted by throughput", rounds, [&] {
    Job job = job_of(market, random);
    job.sort = Sort::throughput;
    found += index.best(job, kNow, kMost).size();
  });
  measure("nobody fits: every row is looked at", rounds, [&] {
    Job job = job_of(market, random);
    job.max_per_token_ms = 1;
    found += index.best(job, kNow, kMost).size();
  });
  const int few = std::max(1, rounds / 200);
  measure("every reason of every refusal (screen)", few, [&] {
    Job job = job_of(market, random);
    job.max_per_token_ms = 1;
    found += screen(market.offers, job, market.facts, kNow).refused.size();
  });
  measure("cheapest relaxation", few, [&] {
    Job job = job_of(market, random);
    job.max_per_token_ms = 1;
    found += cheapest_relaxation(market.offers, job, market.facts, kNow)->changes;
  });
  return found == 0;
}
