// A seller's side of x402. Of `exact` (channels are channel_till's): takes authorizations,
// remembers what each one pays for, and settles them by its own transactions. It is its own
// facilitator.
//
// The order (docs/decisions/0028): the payment is checked and written down, the work is done and
// its answer kept, only then is the payment settled, and the answer is handed out once it is. So
// nobody is charged whose answer does not exist, and whoever was charged can fetch it by sending
// the same request again. A payment whose fate is unknown stays `answered` and is looked at until
// the chain says what became of it; nothing else is signed or sent for it meanwhile.
//
// Trust: the payer can take the money back until it is settled, so a seller risks an answer's work;
// what it has promised is held against its balance.
#pragma once
#include "base/clock.hpp"
#include "base/repeating.hpp"
#include "io/chain_sender.hpp"
#include "settle/x402/channel_till.hpp"
#include "settle/x402/payments.hpp"
#include "settle/x402/refusal.hpp"
#include "settle/x402/token.hpp"

namespace assay::settle::x402 {

struct TillOptions {
  Address asset{}, pay_to{};
  std::string data_file{};            // payments, in SQLite
  Micros fee = 0;                     // on top of every price: gas
  std::uint32_t timeout_s = 600;      // an authorization should hold so long
  std::uint64_t confirmations = 1;    // of a payment that somebody else sent
  std::int64_t patience_ms = 30'000;  // until a settlement counts as unknown
  std::int64_t round_ms = 1'000;      // between looks at those
  std::string public_url{};           // of what is sold, for `resource`; empty: by the Host header
  std::string otherwise{};            // what does instead of a payment, for a 402: "an API key …"
  // Also sells by channels, kept in `channels_file`.
  std::optional<ChannelOptions> channels{};
  std::string channels_file{};
};

class Till {
 public:
  // `rpc`, `sender` and `clock` outlive it; `sender` pays for gas. Goes on with what an earlier
  // process left answered.
  static Result<std::unique_ptr<Till>> open(TillOptions options, io::ChainRpc& rpc,
                                            io::ChainSender& sender, const Clock& clock);
  ~Till() { rounds_.stop(); }

  // For a price in micro-units, the fee not in it.
  protocol::x402::Requirements terms(Micros price) const;
  // The header of a 402.
  std::string required(const Refusal& why, Micros price, std::string_view url) const;
  const TillOptions& options() const { return options_; }
  ChannelTill* channels() { return channels_.get(); }  // null: by `exact` only

  // A payment that was taken before, for exactly this request (any hash that binds it): by its
  // authorization, or by its payer's payment-identifier, and then another authorization than the
  // first is never used. 409: it pays for another request. 410: long settled.
  Taken<std::optional<PaymentRow>> find(const Payment& payment, const Hash& request);
  // Checks a new one against the price and the chain, and writes it down: its work may begin.
  Taken<PaymentRow> take(const Payment& payment, const Hash& request, Micros price);

  // The work failed: nothing is owed.
  void release(const Hash& id);
  // The answer is kept: from here on it is settled, whatever happens to this process.
  Status answered(const Hash& id);

  struct Outcome {
    enum class Fate { settled, failed, unknown } fate = Fate::unknown;
    protocol::x402::Settled response{};
  };
  // Of an answered payment: settles it, waiting at most patience_ms.
  Result<Outcome> settle(const Hash& id) { return settle(id, options_.patience_ms); }

  Payments& payments() { return *payments_; }
  Hash intent_of(const Hash& id) const;

 private:
  Till(TillOptions options, Token token, io::ChainSender& sender, const Clock& clock,
       std::unique_ptr<Payments> payments)
      : options_(std::move(options)),
        token_(std::move(token)),
        sender_(sender),
        clock_(clock),
        payments_(std::move(payments)) {}
  Result<Outcome> settle(const Hash& id, std::int64_t patience_ms);
  Result<Outcome> fate_without_us(const PaymentRow& row, const std::string& why);
  Outcome outcome_of(const PaymentRow& row) const;
  Taken<void> check_terms(const Payment& payment, Micros price) const;
  Taken<void> check_window(const Payment& payment) const;
  Taken<PaymentRow> take_up(PaymentRow row);
  std::int64_t round();

  TillOptions options_;
  Token token_;
  io::ChainSender& sender_;
  const Clock& clock_;
  std::unique_ptr<Payments> payments_;
  std::unique_ptr<ChannelTill> channels_;
  Repeating rounds_;  // last: it ends first
};

}  // namespace assay::settle::x402
