// Answers that were really sealed under a request's secret, for demands.
#pragma once
#include "market/ledger_testutil.hpp"

namespace assay::market::test {

// A receipt whose roots are those of an answer, with what its buyer and provider know beside it.
struct Sold {
  ClaimLeaf leaf;
  Hash lease{}, secret{};
  std::vector<std::uint32_t> answer, logprobs;
};
// `alternatives`: of the log-probabilities; none: none asked for.
Sold sold(const World& world, const Hash& lease, std::uint64_t sequence, std::uint32_t count,
          const Party& buyer, const Party& provider,
          std::optional<std::uint32_t> alternatives = std::nullopt);

DemandDelivery demand(World& world, const Sold& sold, const Party& buyer, Micros bond = 100'000);
// `answer` beside the right signature over it.
Deliver deliver(const World& world, const Hash& demand, Bytes answer, const Party& provider);
Bytes sealed(const Sold& sold, const Hash& demand);
ReportDelivery report(const World& world, const Hash& demand, const Deliver& delivered,
                      const Hash& secret, const Party& buyer);

}  // namespace assay::market::test
