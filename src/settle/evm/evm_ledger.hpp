// The ledger on an EVM chain: the contracts of contracts/src behind the interface every party uses.
// Each process talks to the chain by itself: operations are signed by the parties they concern,
// whoever sends them, and the key here only pays for gas (decision 24).
//
// An operation is a transaction whose intent is derived from the operation's id: a restarted
// process finds what it had sent, and neither loses nor repeats one. Success means that its block
// is `confirmations` deep; what is read is read at that depth.
//
// What differs from an embedded ledger (decision 16): reports of latency are refused (unsupported);
// an audit may wait although its round was published (draw()); an operation that somebody else has
// sent already may be refused by the state it left; Applied's sequence is the block's number;
// Totals are added up over all accounts, for people and tests.
//
// Trust: the chain, and the endpoints for what they answer (io/chain_rpc.hpp).
#pragma once
#include <atomic>
#include <mutex>

#include "base/repeating.hpp"
#include "io/chain_sender.hpp"
#include "io/files.hpp"
#include "settle/evm/calls.hpp"
#include "settle/evm/chain_view.hpp"

namespace assay::settle::evm {

struct EvmOptions {
  io::ChainRpcOptions rpc{};
  crypto::Address market{};
  std::uint64_t first_block = 0;       // of the deployment: nothing is read before it
  std::uint64_t confirmations = 3;     // 1: the newest block is believed
  std::string data_dir{};              // events.db, transactions.db
  std::int64_t patience_ms = 120'000;  // for a transaction to be final
  std::int64_t poll_ms = 1'000;        // about a block
  std::int64_t view_ms = 500;          // what is read is at most so old
  std::uint64_t max_fee_ceiling = io::ChainSenderOptions{}.max_fee_ceiling;  // wei per gas
  // True: nobody waits for transactions any more (unavailable); the next process goes on with them.
  std::function<bool()> stopping{};
};

// For who publishes the beacon.
struct BeaconNeed {
  std::uint64_t round = 0;    // that was published last
  std::vector<Hash> waiting;  // audits for the next one, which can still draw for them in time
  std::vector<Hash> undrawn;  // that wait although their round is there: see draw()
};

class EvmLedger : public market::Settlement {
 public:
  // `key` pays for gas, and for deposits with its tokens; its transactions must be this folder's
  // alone. `clock` outlives it.
  static Result<std::unique_ptr<EvmLedger>> open(EvmOptions options, const crypto::SecretKey& key,
                                                 const Clock& clock);
  ~EvmLedger() override { rounds_.stop(); }

  // Its host signs the beacon's rounds; deposits are the sender's.
  Result<market::LedgerInfo> info() override;
  Result<market::AccountView> account(const market::Address& address) override;
  Result<market::LeaseView> lease(const Hash& id) override;
  Result<market::DisputeView> dispute(const Hash& id) override;
  Result<market::Totals> totals() override;
  // A deposit is signed by the key here, and paid with its tokens. A beacon's round draws the
  // audits that wait for it, as many as fit a transaction. Errors: unavailable when the transaction
  // is not final in time; the same operation goes on with it.
  Result<market::Applied> submit(const market::Operation& operation) override;
  Result<market::FileDispute> game(const Hash& dispute) override;
  // Filings, demands, deliveries, opened claims, requests for audits and checks, from the
  // transactions that brought them.
  Result<market::Operation> operation(const Hash& id) override;
  Result<market::AuditView> audit(const Hash& id) override;
  Result<std::vector<market::AuditorView>> auditors(const Hash& execution) override;

  Result<BeaconNeed> beacon_need();
  // Draws an audit whose round was published without it, as far as one transaction goes. True: it
  // is drawn. Errors: those of submit().
  Result<bool> draw(const Hash& audit);

  // The next view is a new one: after something became final that was not waited for here.
  void read_anew() { stale_ = true; }
  // Transactions that are not final yet.
  std::size_t in_flight() const { return in_flight_; }
  // Calls `use` with a view that is at most view_ms old and knows everything sent here, alone. What
  // is not in it is looked for again in a new one: somebody else may just have put it there.
  template <class F>
  auto with_view(F&& use) -> decltype(use(std::declval<ChainView&>())) {
    const std::scoped_lock lock(view_mutex_);
    const std::uint64_t before = syncs_;
    if (auto synced = sync(); !synced) return std::unexpected(synced.error());
    auto out = use(*view_);
    if (out || out.error().code != Errc::not_found || syncs_ != before) return out;
    stale_ = true;
    if (auto synced = sync(); !synced) return std::unexpected(synced.error());
    return use(*view_);
  }
  const crypto::Address& sender() const { return sender_->address(); }
  // For whatever else this key sends on this chain: one key has one queue. They live as long as
  // this.
  io::ChainRpc& rpc() { return *rpc_; }
  io::ChainSender& transactions() { return *sender_; }

 private:
  EvmLedger(EvmOptions options, io::FileLock lock, std::unique_ptr<io::ChainRpc> rpc)
      : options_(std::move(options)), lock_(std::move(lock)), rpc_(std::move(rpc)) {}

  Status sync();
  void look_at_fees(std::size_t open);
  // One transaction for this id, until it is final. `call` is asked for only when none was sent.
  Result<market::Applied> send_once(const Hash& id, const std::function<Result<Call>()>& call);
  // What the call would come to now: the contract's own error.
  Status rehearse(const Call& call);
  Result<market::Applied> deposit(const market::Signed<protocol::Deposit>& op, const Hash& id);
  Status approve(market::Micros amount, const Hash& id);
  // What the contracts will ask for by its hash.
  Status store_program(const Hash& hash, const Bytes& program);
  Result<bool> needs_program(const market::FileDispute& op);

  EvmOptions options_;
  io::FileLock lock_;  // one process at a time counts the key's nonces
  std::unique_ptr<io::ChainRpc> rpc_;
  std::unique_ptr<io::ChainSender> sender_;
  std::mutex view_mutex_, deposit_mutex_;
  std::unique_ptr<ChainView> view_;
  std::map<Hash, std::string> reasons_;  // of decided disputes; under view_mutex_
  std::atomic<std::size_t> in_flight_ = 0;
  std::atomic<bool> stale_ = false;  // something became final since the view was read
  std::int64_t synced_ms_ = 0;       // steady
  std::uint64_t syncs_ = 0;          // how often it was read anew
  std::int64_t fees_said_ms_ = 0;    // steady; of rounds_
  Repeating rounds_;                 // last: it ends first
};

}  // namespace assay::settle::evm
