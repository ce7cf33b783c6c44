// What a channel's till has earned, brought home: claims, payments, refunds.
#include <algorithm>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"
#include "settle/x402/channel_till.hpp"

namespace assay::settle::x402 {
namespace {

constexpr std::size_t kClaimsAtOnce = 25;

// Of a transaction that may be asked for again, by what it brings about.
class IntentName {
 public:
  explicit IntentName(std::string_view what) { append(bytes_, view(what)); }
  IntentName& add(const Hash& id, Micros total) {
    append(bytes_, id);
    append_le(bytes_, static_cast<std::uint64_t>(total));
    return *this;
  }
  Hash hash() const { return crypto::sha256(bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace

Hash ChannelTill::refund_intent(const ChannelRow& row) {
  return IntentName("assay/x402/refund/v0")
      .add(row.id, static_cast<Micros>(row.funds.refund_nonce))
      .hash();
}

Status ChannelTill::look(bool all) {
  const std::lock_guard one(look_mutex_);
  if (claiming_) {
    if (!sender_.wait(*claiming_, seller_.patience_ms)) return {};
    claiming_.reset();
    pay_out_ = true;
  }
  TRY(auto rows, book_->unclaimed());
  const std::int64_t now = clock_.now_s();
  const bool every = all || now - claimed_s_ >= options_.claim_every_s;
  std::vector<ChannelRow> due;
  for (ChannelRow& row : rows) {
    if (rounds_.stopping()) return {};
    if (all || now - row.seen_s >= options_.watch_s) {
      TRY(row, seen(row.id, row.channel));
    }
    const Micros unclaimed = row.charged - row.funds.claimed;
    if (unclaimed <= 0 || !row.last || row.last->voucher.most < row.charged) continue;
    if (row.funds.claimed >= row.funds.balance && !every) continue;  // lost, and said so
    if (every || row.funds.withdraw_requested_at != 0 || unclaimed >= options_.claim_at) {
      // The chain's newest word: one row that cannot be claimed would take all others along.
      TRY(row, seen(row.id, row.channel));
      if (row.charged > row.funds.balance) {
        io::log_error("x402 channels: {} micro-units of {} were withdrawn before they were claimed",
                      row.charged - row.funds.balance, to_hex(row.id));
        row.charged = row.funds.balance;  // what is left can be
      }
      if (row.charged > row.funds.claimed) due.push_back(row);
    }
  }
  bool whole = true;
  for (std::size_t at = 0; at < due.size() && whole; at += kClaimsAtOnce) {
    TRY(whole, claim(std::span(due).subspan(at, std::min(kClaimsAtOnce, due.size() - at))));
  }
  if (every && whole) claimed_s_ = now;
  return pay_out();
}

// false: not on the chain yet. What is claimed twice is claimed once: the totals are what is said.
Result<bool> ChannelTill::claim(std::span<const ChannelRow> rows) {
  IntentName name("assay/x402/claim/v0");
  name.add({}, reverted_);
  std::vector<Claim> claims;
  for (const ChannelRow& row : rows) {
    CHECK_OK(book_->publish(row.id, row.last->voucher.most));
    name.add(row.id, row.charged);
    claims.push_back({row.channel, row.last->voucher, row.charged});
  }
  const auto sent = sender_.submit({.id = name.hash(),
                                    .to = contract_.domain().contract,
                                    .value = {},
                                    .data = ChannelContract::claim_call(claims)});
  // To crash after this line loses nothing: the vouchers are in the book, the claim in the queue.
  if (!sent && sent.error().kind == io::ChainErrc::reverted && rows.size() > 1) {
    bool whole = true;
    for (std::size_t i = 0; i < rows.size() && whole; ++i) {
      const auto one = claim(rows.subspan(i, 1));
      if (!one)
        io::log_error("x402 channels: {}: {}", to_hex(rows[i].id), one.error().message);
      else
        whole = *one;
    }
    return whole;
  }
  if (!sent) return std::unexpected(Error(sent.error()));
  claiming_ = name.hash();
  const auto done = sender_.wait(*claiming_, seller_.patience_ms);
  if (!done) return false;
  claiming_.reset();
  if (done->state == io::TxState::reverted) {
    ++reverted_;
    return fail(Errc::refused, "a claim was reverted: {}", done->reason);
  }
  for (const ChannelRow& row : rows) CHECK_OK(seen(row.id, row.channel));
  pay_out_ = true;
  return true;
}

// From the contract to the receiver.
Status ChannelTill::pay_out() {
  if (!pay_out_) return {};
  TRY(const auto earned, contract_.earned(seller_.pay_to, token_.domain().asset));
  if (earned.claimed > earned.settled) {
    const Hash intent =
        IntentName("assay/x402/settle/v0").add({}, reverted_).add({}, earned.claimed).hash();
    const auto sent = sender_.submit(
        {.id = intent,
         .to = contract_.domain().contract,
         .value = {},
         .data = ChannelContract::settle_call(seller_.pay_to, token_.domain().asset)});
    if (!sent) return std::unexpected(Error(sent.error()));
    const auto done = sender_.wait(intent, seller_.patience_ms);
    if (!done) return {};
    if (done->state == io::TxState::reverted) {
      ++reverted_;
      return fail(Errc::refused, "a payment from the contract was reverted: {}", done->reason);
    }
  }
  pay_out_ = false;
  return {};
}

Taken<protocol::x402::Settled> ChannelTill::refund(const ChannelPayment& payment) {
  auto entered = enter(payment, {});
  if (!entered) return std::unexpected(entered.error());
  ChannelSale& sale = *entered;
  const auto invalid = [](std::string_view code, std::string_view why) {
    return refuse(402, fmt::format("invalid_batch_settlement_evm_{}", code), std::string(why));
  };
  auto row = seen(sale.row.id, payment.channel);
  if (!row) return unwell(row.error());
  sale.row = std::move(*row);
  if (payment.voucher.most != sale.row.charged) return std::unexpected(corrected(sale.row));
  // Each refund costs the seller gas: a payer has one for having bought something.
  if (!sale.row.last || sale.row.last->charged_s < sale.row.refunded_s)
    return invalid("refund_no_balance",
                   "nothing was bought since the last refund: withdraw from the contract instead");
  const Micros left = sale.row.funds.balance - sale.row.charged;
  if (left <= 0) return invalid("refund_no_balance", "all of the channel's money was charged");
  if (payment.refund_amount && *payment.refund_amount <= 0)
    return invalid("refund_amount_invalid", "a refund of nothing");
  // What stays covers what was charged, claimed or not.
  const Micros amount = std::min(payment.refund_amount.value_or(left), left);
  const Hash intent = refund_intent(sale.row);
  const auto sent = sender_.submit({.id = intent,
                                    .to = contract_.domain().contract,
                                    .value = {},
                                    .data = ChannelContract::refund_call(payment.channel, amount)});
  if (!sent && sent.error().kind != io::ChainErrc::reverted &&
      sent.error().kind != io::ChainErrc::rejected)
    return unwell(Error(sent.error()));
  if (!sent) return invalid("refund_simulation_failed", sent.error().message);
  const auto done = sender_.wait(intent, seller_.patience_ms);
  if (!done)
    return refuse(503, "settlement_unknown", "the refund is on its way: send the same again");
  if (done->state == io::TxState::reverted)
    return invalid("refund_transaction_failed", done->reason);
  if (const Status noted = book_->refunded(sale.row.id, clock_.now_s()); !noted)
    return unwell(noted.error());
  row = seen(sale.row.id, payment.channel);
  if (!row) return unwell(row.error());
  sale.row = std::move(*row);
  sale.deposited = done->hash;
  protocol::x402::Settled out = settled(sale);
  out.amount = amount;
  out.extra.erase("chargedAmount");
  return out;
}

}  // namespace assay::settle::x402
