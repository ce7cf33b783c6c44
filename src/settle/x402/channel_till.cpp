#include "settle/x402/channel_till.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"

namespace assay::settle::x402 {
namespace {

constexpr std::string_view kPrefix = "invalid_batch_settlement_evm_";
// What the chain said of a channel is good for a third of what a withdrawal takes, at most this.
constexpr std::int64_t kFreshMostS = 300;
// For one channel: each holds a thread of the server.
constexpr unsigned kWaitingMax = 4;

template <class... Args>
std::unexpected<Refusal> invalid(std::string_view code, fmt::format_string<Args...> format,
                                 Args&&... args) {
  return refuse(402, fmt::format("{}{}", kPrefix, code),
                fmt::format(format, std::forward<Args>(args)...));
}

Hash name_of(std::string_view what, const Hash& about) {
  Bytes bytes;
  append(bytes, view(what));
  append(bytes, about);
  return crypto::sha256(bytes);
}

Hash sale_id(const Hash& channel, Micros before, const Hash& request) {
  Bytes bytes;
  append(bytes, view("assay/x402/sale/v0"));
  append(bytes, channel);
  append_le(bytes, static_cast<std::uint64_t>(before));
  append(bytes, request);
  return crypto::sha256(bytes);
}

}  // namespace

ChannelTurn::~ChannelTurn() {
  if (till_ != nullptr) till_->leave(id_);
}

Result<std::unique_ptr<ChannelTill>> ChannelTill::open(ChannelOptions options, Seller seller,
                                                       Token token, io::ChainRpc& rpc,
                                                       io::ChainSender& sender,
                                                       const Clock& clock) {
  using namespace protocol::x402;
  if (options.withdraw_delay_s < kWithdrawDelayMinS ||
      options.withdraw_delay_s > kWithdrawDelayMaxS)
    return fail(Errc::invalid, "a channel's withdrawals take {} to {} seconds", kWithdrawDelayMinS,
                kWithdrawDelayMaxS);
  TRY(ChannelContract contract,
      ChannelContract::open(rpc, options.contract, options.collector, seller.confirmations));
  TRY(auto book, ChannelBook::open(seller.data_file));
  std::unique_ptr<ChannelTill> out(new ChannelTill(options, std::move(seller), std::move(token),
                                                   std::move(contract), sender, clock,
                                                   std::move(book)));
  out->rounds_.start(
      [till = out.get()] {
        if (const Status looked = till->look(); !looked && !till->rounds_.stopping())
          io::log_warn("x402 channels: {}", looked.error().message);
        return till->seller_.round_ms;
      },
      out->seller_.round_ms);
  return out;
}

protocol::x402::ChannelTerms ChannelTill::terms(Micros most) const {
  protocol::x402::ChannelTerms out{.token = token_.domain(),
                                   .receiver_authorizer = sender_.address(),
                                   .withdraw_delay_s = options_.withdraw_delay_s,
                                   .min_deposit = options_.min_deposit};
  out.token.pay_to = seller_.pay_to;
  out.token.amount = most;
  out.token.timeout_s = seller_.timeout_s;
  return out;
}

Taken<void> ChannelTill::check_terms(const ChannelPayment& payment) const {
  const protocol::x402::Requirements& accepted = payment.accepted.token;
  const Channel& channel = payment.channel;
  if (accepted.chain_id != token_.domain().chain_id)
    return invalid("network_mismatch", "the payment is for another chain");
  if (accepted.asset != token_.domain().asset || accepted.name != token_.domain().name ||
      accepted.version != token_.domain().version || channel.token != token_.domain().asset)
    return invalid("token_mismatch", "another token than the one asked for");
  if (accepted.pay_to != seller_.pay_to || channel.receiver != seller_.pay_to)
    return invalid("receiver_mismatch", "the channel pays somebody else");
  if (channel.receiver_authorizer != sender_.address())
    return invalid("receiver_authorizer_mismatch", "the channel is another seller's to claim");
  if (channel.withdraw_delay_s != options_.withdraw_delay_s)
    return invalid("withdraw_delay_mismatch", "withdrawals take {} seconds here, not {}",
                   options_.withdraw_delay_s, channel.withdraw_delay_s);
  const Hash id = channel_id(contract_.domain(), channel);
  if (payment.voucher.channel != id)
    return invalid("channel_id_mismatch", "the channel is {}", to_hex(id));
  if (channel.payer_authorizer.is_zero())
    return refuse(402, "unsupported_scheme",
                  "vouchers of contract wallets are not accepted: name a payerAuthorizer");
  // Before anything is looked up: only the payer learns of its channel.
  const auto signer = crypto::recover(digest(contract_.domain(), id, payment.voucher.most),
                                      payment.voucher.signature);
  if (!signer || *signer != channel.payer_authorizer)
    return invalid("voucher_signature", "the voucher is not signed by the payer's authorizer");
  return {};
}

Taken<ChannelTurn> ChannelTill::turn(const Hash& id) {
  std::unique_lock lock(mutex_);
  const auto waiting = waiting_.try_emplace(id).first;
  const bool may_wait = waiting->second < kWaitingMax;
  waiting->second += 1;
  const bool mine =
      !busy_.contains(id) ||
      (may_wait && left_.wait_for(lock, std::chrono::milliseconds(seller_.patience_ms),
                                  [&] { return !busy_.contains(id); }));
  if (--waiting->second == 0) waiting_.erase(waiting);
  if (!mine)
    return invalid("channel_busy", "the channel's last request is being answered: ask again");
  busy_.insert(id);
  return ChannelTurn(*this, id);
}

void ChannelTill::leave(const Hash& id) {
  {
    const std::lock_guard lock(mutex_);
    busy_.erase(id);
  }
  left_.notify_all();
}

Result<ChannelRow> ChannelTill::seen(const Hash& id, const Channel& channel) {
  TRY(const ChannelFunds funds, contract_.funds(id));
  return book_->saw(id, channel, funds, clock_.now_s());
}

Taken<bool> ChannelTill::refunding(const ChannelRow& row) const {
  const auto sent = sender_.status(refund_intent(row));
  if (!sent) return unwell(Error(sent.error()));
  return *sent && (*sent)->state != io::TxState::reverted;
}

Refusal ChannelTill::corrected(const ChannelRow& row) const {
  Refusal out{.code = fmt::format("{}cumulative_amount_mismatch", kPrefix),
              .message = fmt::format("{} was charged to this channel: the next voucher goes on "
                                     "from there",
                                     row.charged)};
  const ChannelFunds& f = row.funds;
  // The next is to be over more than any that others have seen.
  out.at_least = row.published > 0 ? row.published - row.charged + 1 : 0;
  out.channel_state = to_json(protocol::x402::ChannelState{
      row.id, f.balance, f.claimed, row.charged, f.withdraw_requested_at, f.refund_nonce});
  // A book older than the chain has none that covers what was charged; the chain's word counts.
  if (row.last && row.last->voucher.most >= row.charged)
    out.voucher_state = {{"signedMaxClaimable", std::to_string(row.last->voucher.most)},
                         {"signature", to_hex(row.last->voucher.signature.bytes)}};
  return out;
}

Taken<ChannelSale> ChannelTill::enter(const ChannelPayment& payment, const Hash& request) {
  if (const auto fits = check_terms(payment); !fits) return std::unexpected(fits.error());
  const Hash& id = payment.voucher.channel;
  auto turned = turn(id);
  if (!turned) return std::unexpected(turned.error());
  ChannelSale sale{.payment = payment, .request = request, .turn = std::move(*turned)};
  auto row = book_->find(id);
  if (!row) return unwell(row.error());
  if (!*row) {
    sale.row = {.id = id, .channel = payment.channel};
    return sale;
  }
  sale.row = std::move(**row);
  if (!sale.row.last) return sale;
  const Charge& last = *sale.row.last;
  const bool same_name = payment.id && payment.id == last.identifier;
  const bool same_voucher = payment.voucher.most == last.voucher.most;
  if (!same_name && !same_voucher) return sale;
  if (same_name && request != last.request)
    return refuse(409, "payment_identifier_conflict",
                  "this payment identifier is for another request: the same method, path and body "
                  "go with it");
  // Without its identifier a voucher is not enough: it is public once it is claimed.
  const std::int64_t until =
      last.charged_s + (last.identifier ? kFetchedByIdentifierS : kFetchedAgainS);
  if (request != last.request || payment.id != last.identifier || clock_.now_s() > until)
    return sale;
  sale.done = last;
  sale.told = same_voucher ? last.amount : 0;
  sale.deposited = last.deposited;
  sale.id = sale_id(id, sale.row.charged - last.amount, request);
  return sale;
}

Taken<void> ChannelTill::admit(ChannelSale& sale, Micros asked) {
  const Hash id = sale.row.id;
  const ChannelPayment& payment = sale.payment;
  const Micros amount = payment.accepted.token.amount;
  // Offers move between a 402 and its payment: a voucher may be over more than it is charged.
  if (amount < asked)
    return refuse(
        402, "invalid_payment_requirements",
        fmt::format("the voucher is over {} micro-units, the price is now {}", amount, asked));
  const std::int64_t fresh_s =
      std::min<std::int64_t>(kFreshMostS, static_cast<std::int64_t>(options_.withdraw_delay_s) / 3);
  bool looked = false;
  const auto look = [&]() -> Taken<void> {
    auto row = seen(id, payment.channel);
    if (!row) return unwell(row.error());
    sale.row = std::move(*row);
    looked = true;
    return {};
  };
  if (payment.deposit || clock_.now_s() - sale.row.seen_s > fresh_s)
    if (const auto done = look(); !done) return done;
  Micros most = 0;
  if (__builtin_add_overflow(sale.row.charged, amount, &most) || payment.voucher.most != most)
    return std::unexpected(corrected(sale.row));
  // Who sends it may have read it in a claim, and never have been its payer.
  if (most <= sale.row.published) return std::unexpected(corrected(sale.row));
  sale.id = sale_id(id, sale.row.charged, sale.request);
  if (payment.deposit) {
    if (const auto made = deposit(sale); !made) return made;
    if (const auto done = look(); !done) return done;
  }
  auto leaving = refunding(sale.row);
  if (leaving && *leaving) {
    if (const auto done = look(); !done) return done;  // over, it has used up its nonce
    leaving = refunding(sale.row);
  }
  if (!leaving) return std::unexpected(leaving.error());
  if (*leaving)
    return refuse(503, "settlement_unknown",
                  "a refund of this channel is on its way: send the same request again");
  // Somebody may have added to it since it was looked at.
  if (sale.row.funds.certain() < most && !looked)
    if (const auto done = look(); !done) return done;
  if (sale.row.funds.balance == 0)
    return invalid("channel_not_found", "there is no money in this channel");
  if (sale.row.funds.certain() < most)
    return invalid(
        "cumulative_exceeds_balance",
        "the channel has {} micro-units that no withdrawal can take, the voucher is over "
        "{}",
        sale.row.funds.certain(), most);
  return {};
}

Taken<void> ChannelTill::deposit(ChannelSale& sale) {
  const protocol::x402::Deposit& made = *sale.payment.deposit;
  const Address& payer = sale.payment.channel.payer;
  const Hash nonce = protocol::x402::deposit_nonce(sale.row.id, made.salt);
  const Hash intent = name_of("assay/x402/deposit/v0", nonce);
  // Before anybody waits: a payer's turn is its own.
  const auto signer = crypto::recover(
      digest(token_.domain(), contract_.collector(), payer, sale.row.id, made), made.signature);
  if (!signer || *signer != payer)
    return invalid("receive_authorization_signature", "the deposit is not signed by the payer");
  // One at a time for a payer: its balance is promised to one of them only.
  Hash whose{};
  std::ranges::copy(payer.bytes, whose.begin());
  const auto depositing = turn(whose);
  if (!depositing) return std::unexpected(depositing.error());
  const auto known = sender_.status(intent);
  if (!known) return unwell(Error(known.error()));
  if (!*known) {
    const auto used = token_.used({.from = payer, .nonce = nonce});
    if (!used) return unwell(used.error());
    if (*used) return {};  // somebody else has sent it: what is there counts
    const Micros needed = sale.payment.voucher.most - sale.row.funds.certain();
    if (made.amount < std::max(needed, options_.min_deposit))
      return invalid("deposit_below_min_deposit", "a deposit of at least {} micro-units is needed",
                     std::max(needed, options_.min_deposit));
    const auto now = static_cast<std::uint64_t>(clock_.now_s());
    if (made.valid_after > now)
      return invalid("payload_authorization_valid_after", "the deposit does not hold yet");
    if (made.valid_before < now + kLeadS)
      return invalid("payload_authorization_valid_before",
                     "the deposit no longer holds, or not long enough");
    const auto balance = token_.balance(payer);
    if (!balance) return unwell(balance.error());
    if (*balance < made.amount)
      return invalid("insufficient_balance", "{} has {} micro-units", payer.to_string(), *balance);
    const auto sent = sender_.submit(
        {.id = intent,
         .to = contract_.domain().contract,
         .value = {},
         .data = ChannelContract::deposit_call(sale.payment.channel, made, contract_.collector())});
    if (!sent && sent.error().kind == io::ChainErrc::reverted)
      return invalid("deposit_simulation_failed", "{}", sent.error().message);
    if (!sent) return unwell(Error(sent.error()));
  }
  // To crash after this line loses nothing: the same payment finds its transaction.
  const auto done = sender_.wait(intent, seller_.patience_ms);
  if (!done)
    return refuse(503, "settlement_unknown",
                  "the deposit is on its way, its end not known yet: send the very same request "
                  "again, it is never made twice");
  if (done->state == io::TxState::reverted) {
    const auto used = token_.used({.from = payer, .nonce = nonce});
    if (!used) return unwell(used.error());
    if (!*used)
      return invalid("deposit_transaction_failed", "the deposit failed: {}", done->reason);
  } else {
    sale.deposited = done->hash;
  }
  return {};
}

Status ChannelTill::charge(ChannelSale& sale, Micros cost) {
  if (sale.done) return {};
  Charge charge{.request = sale.request,
                .voucher = sale.payment.voucher,
                .amount = std::clamp<Micros>(cost, 1, sale.payment.accepted.token.amount),
                .identifier = sale.payment.id,
                .deposited = sale.deposited,
                .deposit = sale.payment.deposit ? sale.payment.deposit->amount : 0,
                .charged_s = clock_.now_s()};
  CHECK_OK(book_->charge(sale.row.id, sale.row.charged, charge));
  // To crash after this line loses nothing: the same request fetches the answer.
  sale.row.charged += charge.amount;
  sale.told = charge.amount;
  sale.row.last = charge;
  sale.done = std::move(charge);
  return {};
}

protocol::x402::Settled ChannelTill::settled(const ChannelSale& sale) const {
  const ChannelFunds& f = sale.row.funds;
  protocol::x402::Settled out{.success = true,
                              .payer = sale.row.channel.payer,
                              .transaction = sale.deposited,
                              .chain_id = token_.domain().chain_id,
                              .amount = std::nullopt};
  if (sale.deposited && sale.done) out.amount = sale.done->deposit;
  out.extra = {{"chargedAmount", std::to_string(sale.told)},
               {"channelState", to_json(protocol::x402::ChannelState{
                                    sale.row.id, f.balance, f.claimed, sale.row.charged,
                                    f.withdraw_requested_at, f.refund_nonce})}};
  return out;
}

}  // namespace assay::settle::x402
