// Claims this buyer does not owe. One above what it holds receipts for is contested; the ledger
// then asks the provider for the receipts. A chain asks for a block of them at a time, and what a
// block shows says what all those before it come to: so the block with the excess is found in
// halves, and its receipts are looked into, or it cannot be shown and the claim is void
// (spec/ledger.md, "Claims"; docs/decisions/0016-market-on-chain.md).
#pragma once
#include <map>

#include "services/gateway/demands.hpp"

namespace assay::services {

// A block of a claim that its provider showed.
struct ShownBlock {
  std::uint32_t number = 0;
  Micros before = 0, sum = 0;  // of the leaves in front of it, and of its own
  std::uint64_t first_sequence = 0, last_sequence = 0;
};

// Which of `blocks` to ask for next, where the claim comes to more than this buyer knows of;
// `known` says what its own receipts up to a sequence come to. `shown`: in the order they were
// asked for. nullopt: the excess is in a block that was shown. With nothing new known meanwhile, at
// most ceil(log2(blocks + 1)) are asked for.
std::optional<std::uint32_t> next_block(std::uint32_t blocks, std::span<const ShownBlock> shown,
                                        const std::function<Micros(std::uint64_t)>& known);

class Contests {
 public:
  Contests(Buyer& buyer, Intake& intake, Demands& demands)
      : buyer_(buyer), intake_(intake), demands_(demands) {}

  // What is to be done about the lease's pending claim now. Safe to repeat, also after a restart:
  // all it goes by is on the ledger.
  Status watch(const LeaseRecord& lease, const market::PendingClaim& claim);

 private:
  Status contest(const LeaseRecord& lease, const market::PendingClaim& claim, std::uint32_t block);
  // `excess`: what the claim asks for above this buyer's receipts.
  Status search(const LeaseRecord& lease, const market::PendingClaim& claim, Micros excess);
  Result<ShownBlock> shown_by(const Hash& contest, std::uint32_t block);

  Buyer& buyer_;
  Intake& intake_;
  Demands& demands_;
  std::map<Hash, ShownBlock> shown_;  // by contest
  std::set<Hash> left_;               // claims of which it was said that the rest is let go
};

}  // namespace assay::services
