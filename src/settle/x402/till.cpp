#include "settle/x402/till.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"

namespace assay::settle::x402 {

Result<std::unique_ptr<Till>> Till::open(TillOptions options, io::ChainRpc& rpc,
                                         io::ChainSender& sender, const Clock& clock) {
  TRY(Token token, Token::open(rpc, options.asset));
  TRY(auto payments, Payments::open(options.data_file));
  std::unique_ptr<ChannelTill> channels;
  if (options.channels) {
    TRY(channels, ChannelTill::open(*options.channels,
                                    {.pay_to = options.pay_to,
                                     .timeout_s = options.timeout_s,
                                     .confirmations = options.confirmations,
                                     .patience_ms = options.patience_ms,
                                     .round_ms = options.round_ms,
                                     .data_file = options.channels_file},
                                    token, rpc, sender, clock));
  }
  std::unique_ptr<Till> out(
      new Till(std::move(options), std::move(token), sender, clock, std::move(payments)));
  out->channels_ = std::move(channels);
  out->rounds_.start([till = out.get()] { return till->round(); }, out->options_.round_ms);
  return out;
}

protocol::x402::Requirements Till::terms(Micros price) const {
  protocol::x402::Requirements out = token_.domain();
  out.pay_to = options_.pay_to;
  out.amount = price + options_.fee;
  out.timeout_s = options_.timeout_s;
  return out;
}

std::string Till::required(const Refusal& why, Micros price, std::string_view url) const {
  json::array accepts{to_json(terms(price))};
  if (channels_) {
    protocol::x402::ChannelTerms by_channel = channels_->terms(price + options_.fee);
    by_channel.channel_state = why.channel_state;
    by_channel.voucher_state = why.voucher_state;
    accepts.emplace_back(to_json(by_channel));
  }
  return to_header(
      protocol::x402::Required{.error = why.code.empty() ? why.message : why.code,
                               .resource = {{"url", url}, {"mimeType", "application/json"}},
                               .accepts = std::move(accepts),
                               .extensions = {{protocol::x402::kPaymentIdentifier,
                                               protocol::x402::identifier_extension()}}});
}

Hash Till::intent_of(const Hash& id) const {
  Bytes bytes;
  append(bytes, view("assay/x402/intent/v0"));
  append(bytes, id);
  return crypto::sha256(bytes);
}

Taken<void> Till::check_terms(const Payment& payment, Micros price) const {
  const protocol::x402::Requirements asked = terms(price);
  const protocol::x402::Requirements& accepted = payment.accepted;
  const protocol::x402::Authorization& a = payment.authorization;
  if (accepted.chain_id != asked.chain_id)
    return refuse(402, "invalid_network", "the payment is for another chain");
  if (accepted.asset != asked.asset || accepted.pay_to != asked.pay_to ||
      accepted.name != asked.name || accepted.version != asked.version)
    return refuse(402, "invalid_payment_requirements",
                  "what was accepted is not what is asked for");
  if (a.to != asked.pay_to)
    return refuse(402, "invalid_exact_evm_payload_recipient_mismatch",
                  "the authorization pays somebody else");
  // Offers move between a 402 and its payment: whoever consented to more pays what it consented to.
  if (a.value != accepted.amount || a.value < asked.amount)
    return refuse(402, "invalid_exact_evm_payload_authorization_value_mismatch",
                  fmt::format("the authorization is over {} micro-units, the price is {}", a.value,
                              asked.amount));
  return {};
}

Taken<void> Till::check_window(const Payment& payment) const {
  const std::int64_t now = clock_.now_s();
  const protocol::x402::Authorization& a = payment.authorization;
  if (a.valid_after >= static_cast<std::uint64_t>(now))
    return refuse(402, "invalid_exact_evm_payload_authorization_valid_after",
                  "the authorization does not hold yet");
  if (a.valid_before < static_cast<std::uint64_t>(now + kLeadS))
    return refuse(402, "invalid_exact_evm_payload_authorization_valid_before",
                  "the authorization no longer holds, or not long enough");
  return {};
}

Taken<std::optional<PaymentRow>> Till::find(const Payment& payment, const Hash& request) {
  const Address& payer = payment.authorization.from;
  // Before anything is looked up: only the payer learns what it has paid for.
  const auto signer =
      crypto::recover(digest(payment.accepted, payment.authorization), payment.signature);
  if (!signer || *signer != payer)
    return refuse(402, "invalid_exact_evm_payload_signature",
                  "the authorization is not signed by its payer");
  if (payment.accepted.chain_id != token_.domain().chain_id ||
      payment.accepted.asset != token_.domain().asset ||
      payment.accepted.name != token_.domain().name ||
      payment.accepted.version != token_.domain().version)
    return refuse(402, "invalid_payment_requirements", "another token than the one asked for");
  auto found = payments_->find(payment_id(payment));
  if (found && !*found && payment.id) found = payments_->find(payer, *payment.id);
  if (!found) return unwell(found.error());
  if (!*found) return std::nullopt;
  PaymentRow row = std::move(**found);
  if (row.request != request)
    return refuse(409, "payment_identifier_conflict",
                  "this payment, or its identifier, is for another request: the same method, path "
                  "and body go with it");
  // With an identifier, the authorization alone is not enough: it is public once it is settled.
  if (row.payment.id && payment.id != row.payment.id)
    return refuse(409, "payment_identifier_conflict",
                  "this authorization came with another payment identifier");
  if (row.state == PaymentState::settled) {
    const std::int64_t until =
        std::min(row.ended_s + (row.payment.id ? kFetchedByIdentifierS : kFetchedAgainS),
                 row.taken_s + kFetchedMostS);
    if (clock_.now_s() > until)
      return refuse(410, "payment_used",
                    "this payment was settled, and its answer fetched, long ago");
  }
  auto ready = take_up(std::move(row));
  if (!ready) return std::unexpected(ready.error());
  return std::move(*ready);
}

// The work may begin, go on, or be handed out.
Taken<PaymentRow> Till::take_up(PaymentRow row) {
  if (row.state != PaymentState::taken && row.state != PaymentState::released) return row;
  if (const auto fits = check_window(row.payment); !fits) return std::unexpected(fits.error());
  if (row.state == PaymentState::taken) return row;
  // A conflict: somebody else has just taken it up.
  const Status moved = payments_->move(row.id, PaymentState::released, PaymentState::taken);
  if (!moved && moved.error().code != Errc::conflict) return unwell(moved.error());
  row.state = PaymentState::taken;
  return row;
}

Taken<PaymentRow> Till::take(const Payment& payment, const Hash& request, Micros price) {
  if (const auto fits = check_terms(payment, price); !fits) return std::unexpected(fits.error());
  if (const auto fits = check_window(payment); !fits) return std::unexpected(fits.error());
  const protocol::x402::Authorization& a = payment.authorization;
  // Before the nonce is looked at: whoever uses it later does so in a later block, or this one.
  const auto block = token_.block();
  if (!block) return unwell(block.error());
  const auto used = token_.used(a);
  if (!used) return unwell(used.error());
  if (*used)
    return refuse(402, "invalid_exact_evm_nonce_already_used",
                  "the authorization was used, or cancelled");
  const auto balance = token_.balance(a.from);
  if (!balance) return unwell(balance.error());
  if (*balance < a.value)
    return refuse(402, "insufficient_funds",
                  fmt::format("{} has {} micro-units", a.from.to_string(), *balance));
  if (const Status would = token_.rehearse(a, payment.signature, sender_.address()); !would) {
    if (would.error().code != Errc::refused) return unwell(would.error());
    return refuse(402, "invalid_transaction_state", would.error().message);
  }
  PaymentRow row{.id = payment_id(payment),
                 .request = request,
                 .payment = payment,
                 .first_block = *block,
                 .taken_s = clock_.now_s()};
  row.payment.resource = {};
  row.payment.extensions = {};
  if (payment.id)
    row.payment.extensions = protocol::x402::with_identifier(
        {{protocol::x402::kPaymentIdentifier, protocol::x402::identifier_extension()}},
        *payment.id);
  // To crash after this line leaves a payment that is never settled, unless it is sent again.
  const Status added = payments_->add(row, *balance);
  if (added) return row;
  if (added.error().code == Errc::refused)
    return refuse(402, "insufficient_funds", added.error().message);
  if (added.error().code != Errc::conflict) return unwell(added.error());
  // The same one came twice at once.
  auto other = find(payment, request);
  if (!other) return std::unexpected(other.error());
  if (!*other) return refuse(500, "unexpected_verify_error", "a payment is there and is not");
  return std::move(**other);
}

void Till::release(const Hash& id) {
  const Status released = payments_->move(id, PaymentState::taken, PaymentState::released);
  if (!released && released.error().code != Errc::conflict)
    io::log_error("x402 payments: {}", released.error().message);
}

Status Till::answered(const Hash& id) {
  for (const PaymentState from : {PaymentState::taken, PaymentState::released}) {
    const Status moved = payments_->move(id, from, PaymentState::answered);
    if (moved || moved.error().code != Errc::conflict) return moved;
  }
  TRY(const auto row, payments_->find(id));
  // Answered before, or further on.
  if (row) return {};
  return fail(Errc::not_found, "no such payment");
}

Till::Outcome Till::outcome_of(const PaymentRow& row) const {
  Outcome out;
  out.response.payer = row.payment.authorization.from;
  out.response.chain_id = row.payment.accepted.chain_id;
  out.response.transaction = row.transaction;
  if (row.state == PaymentState::settled) {
    out.fate = Outcome::Fate::settled;
    out.response.success = true;
    out.response.amount = row.payment.authorization.value;
  } else if (row.state == PaymentState::failed) {
    out.fate = Outcome::Fate::failed;
    out.response.error = row.reason;
  } else {
    out.response.error = "settlement_unknown";
  }
  return out;
}

Result<Till::Outcome> Till::settle(const Hash& id, std::int64_t patience_ms) {
  TRY(auto found, payments_->find(id));
  if (!found) return fail(Errc::not_found, "no such payment");
  PaymentRow& row = *found;
  if (row.state == PaymentState::settled) return outcome_of(row);
  // Somebody else may have sent it since it was given up: then its answer is handed out, too.
  if (row.state == PaymentState::failed) return fate_without_us(row, row.reason);
  if (row.state != PaymentState::answered)
    return fail(Errc::conflict, "the payment is '{}', not answered", to_string(row.state));
  const Hash intent = intent_of(id);
  const auto sent = sender_.submit(
      {.id = intent,
       .to = token_.domain().asset,
       .value = {},
       .data = Token::transfer_call(row.payment.authorization, row.payment.signature)});
  // To crash after this line loses nothing: the transaction is in the sender's file.
  if (!sent) {
    if (sent.error().kind == io::ChainErrc::reverted)
      return fate_without_us(row, sent.error().message);
    io::log_warn("x402: a payment is not sent yet: {}", sent.error().message);
    return outcome_of(row);
  }
  row.transaction = sent->hash;
  const auto done = sender_.wait(intent, patience_ms);
  if (!done) {
    io::log_info("x402: {}", done.error().message);
    return outcome_of(row);
  }
  row.transaction = done->hash;
  if (done->state == io::TxState::reverted) return fate_without_us(row, done->reason);
  CHECK_OK(payments_->settle(id, done->hash, clock_.now_s()));
  row.state = PaymentState::settled;
  return outcome_of(row);
}

// Our own transaction cannot settle it (any more). The nonce says whether another one has.
Result<Till::Outcome> Till::fate_without_us(const PaymentRow& known, const std::string& why) {
  PaymentRow row = known;
  const auto used = token_.used(row.payment.authorization);
  if (!used) return outcome_of(row);
  if (*used) {
    const auto use = token_.find_use(row.payment.authorization, row.first_block);
    const auto head = token_.block();
    if (!use || !head) return outcome_of(row);
    if (*use) {
      row.transaction = (*use)->transaction;
      if (*head + 1 < (*use)->block_num + options_.confirmations) return outcome_of(row);
      CHECK_OK(payments_->settle(row.id, *row.transaction, clock_.now_s()));
      row.state = PaymentState::settled;
      return outcome_of(row);
    }
  }
  row.transaction.reset();
  if (row.state == PaymentState::failed) return outcome_of(row);
  // x402's words for what the token says in its own.
  row.reason = "invalid_transaction_state";
  const auto balance = token_.balance(row.payment.authorization.from);
  if (!balance) return outcome_of(known);
  if (*used)
    row.reason = "invalid_exact_evm_nonce_already_used";
  else if (!check_window(row.payment))
    row.reason = "invalid_exact_evm_payload_authorization_valid_before";
  else if (*balance < row.payment.authorization.value)
    row.reason = "insufficient_funds";
  io::log_warn("x402: the payment of {} cannot be settled: {} ({})",
               row.payment.authorization.from.to_string(), row.reason, why);
  CHECK_OK(payments_->give_up(row.id, row.reason, clock_.now_s()));
  row.state = PaymentState::failed;
  return outcome_of(row);
}

std::int64_t Till::round() {
  const auto open = payments_->in(PaymentState::answered);
  if (!open) {
    io::log_error("x402 payments: {}", open.error().message);
    return options_.round_ms;
  }
  for (const PaymentRow& row : *open) {
    if (rounds_.stopping()) break;
    if (const auto outcome = settle(row.id, 0); !outcome)
      io::log_error("x402: {}", outcome.error().message);
  }
  return options_.round_ms;
}

}  // namespace assay::settle::x402
