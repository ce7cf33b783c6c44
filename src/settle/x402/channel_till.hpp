// A seller's side of x402's `batch-settlement`: takes vouchers, charges what was sold, and claims
// it on the chain before a payer can withdraw it.
//
// The order (docs/decisions/0032): the voucher is checked, a deposit that comes with it is on the
// chain, the work is done and its answer kept, only then is the channel charged, in one step on
// disk, and the answer handed out. One request at a time for a channel. A process that ends in
// between has charged nothing, or has charged what the same request fetches.
//
// Trust: the contract. A seller that is away for the whole withdrawal delay can lose what it has
// not claimed.
#pragma once
#include <condition_variable>
#include <map>
#include <set>

#include "base/clock.hpp"
#include "base/repeating.hpp"
#include "io/chain_sender.hpp"
#include "settle/x402/channel_book.hpp"
#include "settle/x402/refusal.hpp"
#include "settle/x402/token.hpp"

namespace assay::settle::x402 {

using protocol::x402::ChannelPayment;

struct ChannelOptions {
  Address contract = protocol::x402::published_channels();
  Address collector = protocol::x402::published_collector();
  std::uint64_t withdraw_delay_s = 86'400;  // of every channel taken
  Micros min_deposit = 0;                   // a deposit costs the seller gas
  Micros claim_at = 1'000'000;              // unclaimed, of one channel
  std::int64_t claim_every_s = 3'600;
  std::int64_t watch_s = 60;  // between looks at a channel of which something is unclaimed
};

class ChannelTill;

// One request at work for a channel; others wait until it is gone.
class ChannelTurn {
 public:
  ChannelTurn() = default;
  ChannelTurn(ChannelTill& till, const Hash& id) : till_(&till), id_(id) {}
  ChannelTurn(ChannelTurn&& other) noexcept
      : till_(std::exchange(other.till_, nullptr)), id_(other.id_) {}
  ChannelTurn& operator=(ChannelTurn&& other) noexcept {
    std::swap(till_, other.till_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~ChannelTurn();

 private:
  ChannelTill* till_ = nullptr;
  Hash id_{};
};

// A voucher for one request.
struct ChannelSale {
  Hash id{};  // of the sale: the same request on the same footing has the same
  ChannelPayment payment{};
  Hash request{};
  ChannelRow row{};              // as of now
  std::optional<Charge> done{};  // what it was charged; none: not yet
  Micros told = 0;               // of that, what the payer's voucher did not count in yet
  std::optional<Hash> deposited{};
  ChannelTurn turn{};
};

class ChannelTill {
 public:
  struct Seller {  // as the till has it
    Address pay_to{};
    std::uint32_t timeout_s = 600;
    std::uint64_t confirmations = 1;
    std::int64_t patience_ms = 30'000, round_ms = 1'000;
    std::string data_file{};  // channels, in SQLite
  };
  // `rpc`, `sender` and `clock` outlive it; `sender`'s key is every channel's receiverAuthorizer.
  static Result<std::unique_ptr<ChannelTill>> open(ChannelOptions options, Seller seller,
                                                   Token token, io::ChainRpc& rpc,
                                                   io::ChainSender& sender, const Clock& clock);
  ~ChannelTill() { rounds_.stop(); }

  protocol::x402::ChannelTerms terms(Micros most) const;

  // Its turn for the channel, once the voucher is found to be one; `done` when it was charged for
  // this very request. 402: not what is asked for; 409: its identifier is another request's.
  Taken<ChannelSale> enter(const ChannelPayment& payment, const Hash& request);
  // The voucher is good for what is asked, and its money is there: the work may begin. Makes the
  // deposit that came with it.
  Taken<void> admit(ChannelSale& sale, Micros asked);
  // The answer is kept: charges `cost`, at least 1 and at most what the voucher is over.
  Status charge(ChannelSale& sale, Micros cost);
  // What a payer is told about a sale that was charged.
  protocol::x402::Settled settled(const ChannelSale& sale) const;

  // Gives money back that was not charged, if anything was since the last time.
  Taken<protocol::x402::Settled> refund(const ChannelPayment& payment);

  // Claims and pays out what is due; all of it if asked. Called by a thread of its own, too.
  Status look(bool all = false);
  ChannelBook& book() { return *book_; }

 private:
  friend class ChannelTurn;
  ChannelTill(ChannelOptions options, Seller seller, Token token, ChannelContract contract,
              io::ChainSender& sender, const Clock& clock, std::unique_ptr<ChannelBook> book)
      : options_(options),
        seller_(std::move(seller)),
        token_(std::move(token)),
        contract_(std::move(contract)),
        sender_(sender),
        clock_(clock),
        book_(std::move(book)),
        claimed_s_(clock.now_s()) {}
  Taken<void> check_terms(const ChannelPayment& payment) const;
  Taken<ChannelTurn> turn(const Hash& id);
  void leave(const Hash& id);
  Result<ChannelRow> seen(const Hash& id, const Channel& channel);
  Taken<void> deposit(ChannelSale& sale);
  Refusal corrected(const ChannelRow& row) const;
  // Named by the nonce it uses up: while that is the channel's, it is not over.
  static Hash refund_intent(const ChannelRow& row);
  Taken<bool> refunding(const ChannelRow& row) const;
  Result<bool> claim(std::span<const ChannelRow> rows);
  Status pay_out();

  const ChannelOptions options_;
  const Seller seller_;
  const Token token_;
  const ChannelContract contract_;
  io::ChainSender& sender_;
  const Clock& clock_;
  std::unique_ptr<ChannelBook> book_;

  std::mutex mutex_;
  std::condition_variable left_;
  std::set<Hash> busy_;
  std::map<Hash, unsigned> waiting_;  // for their turn, where not 0

  std::mutex look_mutex_;  // the rest: one look at a time
  std::int64_t claimed_s_;
  std::optional<Hash> claiming_;  // a claim on its way: no other is sent before its end is known
  Micros reverted_ = 0;           // transactions that were: the next has another name
  bool pay_out_ = true;           // something may be claimed and not paid out
  Repeating rounds_;              // last: it ends first
};

}  // namespace assay::settle::x402
