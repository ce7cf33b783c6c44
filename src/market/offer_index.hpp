// A board prepared for many screenings: built when the offers were read, asked for each request.
//
// best() is screen() with the first `most` of its ranking and without its reasons, which take a
// look at every offer: a request asks screen() for those once nobody fits. The rows of one
// execution lie in order of price, 64 bytes each: what is dearer than the ranking found so far is
// not looked at, and what is comes through the cache in order.
#pragma once
#include "market/screen.hpp"

namespace assay::market {

class OfferIndex {
 public:
  OfferIndex() = default;
  // Offers as for screen(), one of a provider. Those of a provider without facts are left out.
  OfferIndex(std::vector<Signed<Offer>> offers, const std::map<Address, ProviderFacts>& facts);

  void set_facts(const Address& provider, const ProviderFacts& facts);

  // `job.identity` is given (asserted).
  std::vector<Candidate> best(const Job& job, std::uint64_t now, std::size_t most) const;

  std::span<const Signed<Offer>> offers() const { return offers_; }

 private:
  // What a scan looks at; whoever passes is screened like any other offer.
  struct Row {
    Micros price_in, price_out, stake, room;  // room: what a lease may still hold
    double unreliable;
    std::uint32_t context, vram_mib;
    std::uint32_t first_token_ms, per_token_ms;
    std::uint32_t offer;  // in offers_
    std::uint16_t region;
    std::uint8_t model : 7, in_the_clear : 1;
    std::uint8_t rebate;  // promised, in begun units of kRebateUnit
  };
  static constexpr std::uint32_t kRebateUnit = 2'000;  // millionths
  static_assert(kOfferModelsMax < 128 && protocol::kRebateMax / kRebateUnit < 256);
  static_assert(sizeof(Row) == 64);
  struct Rows {
    protocol::ExecutionId execution;
    std::vector<Row> rows;  // by price_out
    Micros least_price_in = INT64_MAX;
  };
  struct Place {
    std::uint32_t group, row;
  };
  class Ranking;

  static void fill(Row& row, const Offer& offer, const ProviderFacts& facts);

  std::vector<Signed<Offer>> offers_;
  std::vector<ProviderFacts> facts_;  // of the same offer
  std::vector<std::string> regions_;  // by Row::region
  std::vector<Rows> groups_;
  std::map<Address, std::vector<Place>> places_;
};

}  // namespace assay::market
