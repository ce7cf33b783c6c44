// What this gateway tells everybody about the speed of its providers (spec/reputation.md): for each
// lease how many answers it measured and how fast nine in ten of them were; nothing about any one.
// Sent once in a while and when the lease is over, and only where something was paid since.
#pragma once
#include "base/repeating.hpp"
#include "services/gateway/buyer.hpp"

namespace assay::services {

class LatencyReports {
 public:
  // `buyer` outlives it. Nothing happens before start() or round().
  explicit LatencyReports(Buyer& buyer) : buyer_(buyer), since_(buyer.now()) {}

  // Nothing where the options say so, or the ledger is contracts on a chain: they take no reports.
  void start();
  void stop() { rounds_.stop(); }
  void round();  // sends what is due

 private:
  // True when there is nothing more to say about this lease.
  Result<bool> report(const Hash& lease, const LatencyBook::Figures& figures);

  Buyer& buyer_;
  const std::uint64_t since_;  // nothing was measured here before
  struct Sent {
    std::uint64_t at = 0;
    Micros paid = 0;
  };
  std::map<Hash, Sent> sent_;
  Repeating rounds_;
};

}  // namespace assay::services
