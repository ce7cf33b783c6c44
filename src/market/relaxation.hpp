// What to change in a job that nobody fits, so that somebody does.
#pragma once
#include "market/screen.hpp"

namespace assay::market {

struct Relaxation {
  Address provider{};  // who fits then
  Micros price = 0;    // expected for the job as changed
  std::size_t changes = 0;
  // As a request writes them: {"max_price": {"completion": "2.00"}, "min_vram_mib": 8192, …},
  // "max_tokens" and "escrow" beside them.
  json::object change;
  std::string text;  // "raise the price ceiling out to 2.00, allow the region eu"
};

// Of every refused offer whose reasons are all the buyer's to change: the one with the fewest
// changes, then the cheapest. nullopt: no change of the job helps.
std::optional<Relaxation> cheapest_relaxation(std::span<const Signed<protocol::Offer>> offers,
                                              const Job& job,
                                              const std::map<Address, ProviderFacts>& facts,
                                              std::uint64_t now);

// {"provider", "price", "change", "text"}
json::object to_json(const Relaxation& relaxation);

}  // namespace assay::market
