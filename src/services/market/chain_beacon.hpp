// The beacon of a market on a chain (spec/audits.md): the next round when an audit waits for it,
// and the draw of what a publication did not draw. Files: beacon.seed, the chain of values, which
// nobody else must see; and the ledger's transactions.
//
// A round is one operation with one id. To be killed at any moment loses nothing: the next process
// finds the transaction under that id, the contract takes each round once, and only in order.
#pragma once
#include "base/clock.hpp"
#include "settle/beacon_chain.hpp"
#include "settle/deadline_alarm.hpp"
#include "settle/evm/evm_ledger.hpp"

namespace assay::services {

class ChainBeacon {
 public:
  // ledger and clock outlive it. `key` signs the rounds. Errors: unsupported (the market was made
  // without a beacon), not_found (no chain of values in the file), mismatch (another's chain, or
  // another's key), and the ledger's.
  static Result<ChainBeacon> open(settle::evm::EvmLedger& ledger, const std::string& seed_file,
                                  const crypto::SecretKey& key, const Clock& clock);

  struct Done {
    std::optional<std::uint64_t> round;  // that was published
    std::uint64_t block_num = 0;         // it is in
    std::vector<Hash> drawn;             // audits, by the publication or after it
    bool nothing() const { return !round && drawn.empty(); }
  };
  // Publishes at most one round; sends nothing where no audit waits.
  Result<Done> step();

 private:
  ChainBeacon(settle::evm::EvmLedger& ledger, settle::BeaconChain chain,
              const crypto::SecretKey& key, market::LedgerInfo info, const Clock& clock);
  Status watch(const settle::evm::BeaconNeed& need);
  Status draw_rest(const std::vector<Hash>& undrawn, Done& done);
  Status publish(const settle::evm::BeaconNeed& need, Done& done);

  settle::evm::EvmLedger& ledger_;
  settle::BeaconChain chain_;
  crypto::SecretKey key_;
  market::LedgerInfo info_;
  const Clock& clock_;
  std::unique_ptr<settle::DeadlineAlarm> alarm_;
};

}  // namespace assay::services
