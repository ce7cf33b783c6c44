// Sends one key's transactions, each intent exactly once: signed and stored first, then sent, sent
// again when a node forgot it, replaced under the same nonce when its fee is too low, watched until
// its block is deep enough, and sent again when a reorganization removed it. One that nodes will
// never take does not hold up those behind it: an empty transfer fills its nonce, and it has failed.
//
// After a crash at any moment, open() finds every transaction that may be on its way: advance()
// goes on where the old process was. The key must be this file's alone; a nonce that another
// wallet used is noticed, and the intent moves to a new one only once that is final.
//
// Trust: a reorganization deeper than `confirmations` is not noticed, and an endpoint that lies
// about receipts is believed.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <mutex>

#include "base/clock.hpp"
#include "io/chain_rpc.hpp"
#include "io/chain_store.hpp"

namespace assay::io {

struct ChainSenderOptions {
  std::uint64_t confirmations = 3;                  // 1: its own block suffices
  std::uint64_t max_fee_ceiling = 200'000'000'000;  // wei per gas; below 2^62
  std::uint64_t min_priority_fee = 1'000'000;       // wei per gas
  std::uint64_t gas_limit_most = 16'777'216;        // a transaction's cap (EIP-7825)
  std::size_t bytes_most = 131'072;                 // signed: what pools take (geth's txMaxSize)
  std::int64_t resend_ms = 15'000;                  // a node may have dropped it
  std::int64_t stuck_ms = 60'000;                   // then the fee is raised
  // A nonce stays taken by somebody else for so long before it is given up: a node may count a
  // transaction a moment before it knows its receipt.
  std::int64_t doubt_ms = 5'000;
  std::int64_t poll_ms = 1'000;  // between two looks in wait()
  // Asked by wait(), which ends when it says true; what is stored goes on all the same.
  std::function<bool()> stopping{};
};

struct TxStatus {
  Hash id{};
  TxState state = TxState::pending;
  std::uint64_t nonce = 0;
  Hash hash{};                                // of the form that was mined, else of the newest
  unsigned attempts = 1;                      // forms signed so far
  std::uint64_t block_num = 0, gas_used = 0;  // from mined on
  std::string reason{};                       // why reverted, or given up
  bool given_up = false;   // reverted: what was asked for never went into a block, nor will it
  std::string trouble{};                      // why the last sending failed, while pending

  bool final() const { return state == TxState::confirmed || state == TxState::reverted; }
};

// Safe for many threads.
class ChainSender {
 public:
  // `rpc`, `clock` and `pacer` outlive it. Asks the node for chain id and genesis.
  static ChainResult<std::unique_ptr<ChainSender>> open(const std::string& path, ChainRpc& rpc,
                                                        const crypto::SecretKey& key,
                                                        const Clock& clock,
                                                        ChainSenderOptions options = {},
                                                        Pacer& pacer = system_pacer());

  const Address& address() const { return address_; }

  // Success: stored, and sent unless `trouble` says why not yet. Errors, with nothing stored:
  // reverted (gas estimation ran it), transport, …; never_valid when it is larger than bytes_most;
  // rejected when the id is another intent's.
  ChainResult<TxStatus> submit(const Intent& intent);
  ChainResult<std::optional<TxStatus>> status(const Hash& id);

  // One look at everything open; to be called about once per block. Returns how many are open.
  ChainResult<std::size_t> advance();
  // advance() until the intent is final. Errors: transport after timeout_ms, or when this process
  // is stopping; it stays open.
  ChainResult<TxStatus> wait(const Hash& id, std::int64_t timeout_ms);
  // Of the newest block that advance() has seen, wei per gas.
  std::uint64_t base_fee() const { return base_fee_; }

 private:
  struct Fees {
    std::uint64_t max_fee = 0, priority_fee = 0;
  };
  ChainSender(ChainStore store, ChainRpc& rpc, const crypto::SecretKey& key, const Clock& clock,
              const ChainSenderOptions& options, Pacer& pacer, std::uint64_t chain_id);

  ChainResult<Fees> suggest_fees();
  std::optional<Fees> raised(const Attempt& over, const Fees& market) const;
  Attempt sign(const Intent& intent, std::uint64_t nonce, const Fees& fees) const;
  // The newest form again, at other fees.
  Attempt again(const TxRow& row, const Fees& fees) const;
  Attempt filler(std::uint64_t nonce, const Fees& fees) const;
  ChainResult<std::uint64_t> gas_limit(const Intent& intent);
  void send(const TxRow& row);
  // The receipt of whichever attempt has one.
  ChainResult<std::optional<ChainReceipt>> find_receipt(const TxRow& row);
  ChainResult<void> watch(TxRow& row, const BlockHeader& head, bool first_pending);
  ChainResult<void> settle(TxRow& row, const ChainReceipt& receipt, const BlockHeader& head);
  ChainResult<void> chase(TxRow& row, const BlockHeader& head, bool first_pending);
  ChainResult<void> give_up(TxRow& row);
  ChainResult<bool> nonce_lost(const TxRow& row, const BlockHeader& head);
  std::string revert_reason(const TxRow& row);
  TxStatus status_of(const TxRow& row) const;

  std::mutex mutex_;
  ChainStore store_;
  ChainRpc& rpc_;
  const crypto::SecretKey key_;
  const Address address_;
  const Clock& clock_;
  const ChainSenderOptions options_;
  Pacer& pacer_;
  const std::uint64_t chain_id_;
  std::atomic<std::uint64_t> base_fee_ = 0;
  std::map<Hash, std::int64_t> sent_ms_;     // by id: when last sent by this process
  std::map<Hash, std::int64_t> doubted_ms_;  // by id: since when its nonce seems lost
  std::map<Hash, std::string> trouble_;      // by id
  std::map<Hash, unsigned> never_valid_;     // by id: how often in a row nodes said so
};

}  // namespace assay::io
