// A buyer's side of x402's `exact`: pays a seller for one answer, within limits, once. The
// authorization is on disk before the seller can have it, and for one purchase there is never a
// second one while the first may still be used: what a seller leaves unsaid (no answer, an error, a
// refusal) is asked of the chain, and of the seller with the same authorization.
//
// Trust: the seller, for the answer. It can take what it was authorized to take, and not answer.
#pragma once
#include "base/clock.hpp"
#include "base/repeating.hpp"
#include "io/http_client.hpp"
#include "settle/x402/purchases.hpp"
#include "settle/x402/token.hpp"

namespace assay::settle::x402 {

struct PurseOptions {
  Address asset{};
  std::string data_file{};            // purchases, in SQLite
  Micros most = 10'000;               // for one answer
  Micros budget = 1'000'000;          // in a day (UTC)
  std::uint32_t hold_s = 600;         // the longest an authorization may hold
  std::uint64_t confirmations = 1;    // before the chain's word on one counts
  std::int64_t patience_ms = 60'000;  // of asking a seller that has been authorized
  std::int64_t retry_ms = 2'000;
  std::int64_t round_ms = 5'000;
  io::HttpClientOptions http{};
};

struct Bought {
  io::HttpReply reply{};  // the seller's
  Micros paid = 0;        // 0: it asked for nothing
};

class Purse {
 public:
  // `rpc` and `clock` outlive it.
  static Result<std::unique_ptr<Purse>> open(PurseOptions options, io::ChainRpc& rpc,
                                             const crypto::SecretKey& key, const Clock& clock);
  ~Purse() { rounds_.stop(); }

  // POST of `body`, paid for if that is asked. `id` names the purchase: the same id again asks with
  // the same authorization, also in another process. Errors: refused, with nothing signed: the
  // price is over a limit, or nothing is offered that this purse pays with; conflict: the id is of
  // another request; unavailable: it was paid for or may have been, and the seller has not
  // answered: ask again under the same id.
  Result<Bought> buy(const Hash& id, const std::string& url, std::string_view body);

  // Looks up what is open: an authorization that was used is paid, one that can no longer be used
  // is void. Called by a thread of its own, too.
  Status look();
  Purchases& purchases() { return *purchases_; }

 private:
  Purse(PurseOptions options, Token token, const crypto::SecretKey& key, const Clock& clock,
        std::unique_ptr<Purchases> purchases)
      : options_(std::move(options)),
        token_(std::move(token)),
        key_(key),
        clock_(clock),
        purchases_(std::move(purchases)),
        http_(options_.http) {}
  Result<Payment> sign(const protocol::x402::Required& required, const Hash& id) const;
  Result<Bought> claim(const Purchase& purchase, std::string_view body);

  PurseOptions options_;
  Token token_;
  const crypto::SecretKey key_;
  const Clock& clock_;
  std::unique_ptr<Purchases> purchases_;
  io::HttpClient http_;
  Repeating rounds_;  // last: it ends first
};

}  // namespace assay::settle::x402
