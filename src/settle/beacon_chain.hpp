// The host's half of the beacon (spec/audits.md): a hash chain from a secret seed, whose end is
// written into the ledger when it is made and whose values are published backwards.
#pragma once
#include <optional>
#include <string>

#include "base/result.hpp"
#include "crypto/sha256.hpp"

namespace assay::settle {

class BeaconChain {
 public:
  // Rounds a ledger can have: with one every ten seconds, four months of audits without a pause;
  // none is used up while no audit waits.
  static constexpr std::uint64_t kRounds = std::uint64_t{1} << 20;

  explicit BeaconChain(const Hash& seed, std::uint64_t rounds = kRounds);
  // Seed and end of the chain in `path`, drawn and made durable there when it is missing.
  static Result<BeaconChain> open(const std::string& path, std::uint64_t rounds = kRounds);

  // Value `round` ≤ rounds(); 0 is what the ledger is made with. The first call for another than 0
  // hashes the whole chain once.
  Hash value(std::uint64_t round);
  std::uint64_t rounds() const { return rounds_; }

 private:
  Hash seed_;
  std::uint64_t rounds_;
  std::optional<Hash> end_;
  std::vector<Hash> marks_;  // every kStride-th, from the seed
};

}  // namespace assay::settle
