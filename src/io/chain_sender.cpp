#include "io/chain_sender.hpp"

#include "base/assert.hpp"

namespace assay::io {
namespace {

constexpr unsigned kFeeBlocks = 5, kFeePercentile = 50;
constexpr unsigned kRefusalsMost = 2;  // a resend apart, of one node perhaps
constexpr std::uint64_t kTransferGas = 21'000;

template <class T>
ChainResult<T> stored(Result<T> r) {
  return as_chain(std::move(r), ChainErrc::storage, "transactions");
}

std::uint64_t median(std::vector<std::uint64_t> of) {
  std::ranges::nth_element(of, of.begin() + static_cast<std::ptrdiff_t>(of.size() / 2));
  return of[of.size() / 2];
}

CallRequest request_of(const Address& from, const Intent& intent) {
  return {.from = from, .to = intent.to, .value = intent.value, .data = intent.data};
}

// Something else than what was wanted has the nonce for good: of a row that is final.
bool filled(const TxRow& row) {
  return row.attempts.back().filler &&
         (row.mined_hash == Hash{} || std::ranges::any_of(row.attempts, [&](const Attempt& a) {
            return a.filler && a.hash == row.mined_hash;
          }));
}

}  // namespace

ChainSender::ChainSender(ChainStore store, ChainRpc& rpc, const crypto::SecretKey& key,
                         const Clock& clock, const ChainSenderOptions& options, Pacer& pacer,
                         std::uint64_t chain_id)
    : store_(std::move(store)),
      rpc_(rpc),
      key_(key),
      address_(crypto::address_of(key)),
      clock_(clock),
      options_(options),
      pacer_(pacer),
      chain_id_(chain_id) {
  ASSAY_ASSERT(options.confirmations > 0 && options.max_fee_ceiling < std::uint64_t{1} << 62);
}

ChainResult<std::unique_ptr<ChainSender>> ChainSender::open(const std::string& path, ChainRpc& rpc,
                                                            const crypto::SecretKey& key,
                                                            const Clock& clock,
                                                            ChainSenderOptions options,
                                                            Pacer& pacer) {
  TRY(const std::uint64_t chain_id, rpc.chain_id());
  TRY(const auto genesis, rpc.block("0x0"));
  if (!genesis) return chain_fail(ChainErrc::malformed, "the chain endpoint has no first block");
  TRY(ChainStore store,
      stored(ChainStore::open(path, crypto::address_of(key), chain_id, genesis->hash)));
  return std::unique_ptr<ChainSender>(
      new ChainSender(std::move(store), rpc, key, clock, options, pacer, chain_id));
}

ChainResult<ChainSender::Fees> ChainSender::suggest_fees() {
  std::uint64_t base = 0, priority = 0;
  if (const auto history = rpc_.fee_history(kFeeBlocks, kFeePercentile)) {
    base = history->next_base_fee;
    // Empty blocks say nothing about what is paid.
    std::vector<std::uint64_t> paid = history->priority_fees;
    std::erase(paid, 0u);
    if (!paid.empty()) priority = median(std::move(paid));
  } else if (history.error().kind != ChainErrc::unsupported) {
    return std::unexpected(history.error());
  } else {
    TRY(const BlockHeader head, rpc_.head());
    base = head.base_fee;
  }
  if (priority == 0) {
    const auto suggested = rpc_.max_priority_fee();
    if (!suggested && suggested.error().kind != ChainErrc::unsupported)
      return std::unexpected(suggested.error());
    priority = suggested.value_or(0);
  }
  const std::uint64_t ceiling = options_.max_fee_ceiling;
  priority = std::min(std::max(priority, options_.min_priority_fee), ceiling);
  // Twice the base fee outlasts six full blocks.
  return Fees{std::min(ceiling, 2 * std::min(base, ceiling) + priority), priority};
}

// Nodes want both fees raised by a tenth. nullopt: the ceiling does not allow it.
std::optional<ChainSender::Fees> ChainSender::raised(const Attempt& over,
                                                     const Fees& market) const {
  const auto raise = [&](std::uint64_t old, std::uint64_t now) {
    return std::min(options_.max_fee_ceiling, std::max(now, old + old / 8 + 1));
  };
  const auto enough = [](std::uint64_t old, std::uint64_t now) {
    return now > old && now - old >= (old + 9) / 10;
  };
  const Fees out{raise(over.max_fee, market.max_fee),
                 raise(over.priority_fee, market.priority_fee)};
  if (!enough(over.max_fee, out.max_fee) || !enough(over.priority_fee, out.priority_fee))
    return std::nullopt;
  return out;
}

Attempt ChainSender::sign(const Intent& intent, std::uint64_t nonce, const Fees& fees) const {
  const crypto::SignedTransaction sealed =
      crypto::sign_transaction({.chain_id = chain_id_,
                                .nonce = nonce,
                                .max_priority_fee_per_gas = fees.priority_fee,
                                .max_fee_per_gas = fees.max_fee,
                                .gas_limit = intent.gas_limit,
                                .to = intent.to,
                                .value = intent.value,
                                .data = intent.data},
                               key_);
  return {sealed.hash, sealed.raw, fees.max_fee, fees.priority_fee, clock_.now_ms()};
}

Attempt ChainSender::filler(std::uint64_t nonce, const Fees& fees) const {
  Intent nothing{.to = address_};
  nothing.gas_limit = kTransferGas;
  Attempt out = sign(nothing, nonce, fees);
  out.filler = true;
  return out;
}

Attempt ChainSender::again(const TxRow& row, const Fees& fees) const {
  return row.attempts.back().filler ? filler(row.nonce, fees) : sign(row.intent, row.nonce, fees);
}

ChainResult<std::uint64_t> ChainSender::gas_limit(const Intent& intent) {
  if (intent.gas_limit != 0) return intent.gas_limit;
  // After our transactions that are not mined yet: an approval comes before what needs it.
  TRY(const std::uint64_t used, rpc_.estimate_gas(request_of(address_, intent), "pending"));
  if (used > options_.gas_limit_most)
    return chain_fail(ChainErrc::rejected,
                      "the transaction needs {} gas, more than a block takes ({})", used,
                      options_.gas_limit_most);
  return std::min(options_.gas_limit_most, used + used / 5);
}

ChainResult<TxStatus> ChainSender::submit(const Intent& intent) {
  const std::scoped_lock lock(mutex_);
  TRY(const auto known, stored(store_.find(intent.id)));
  if (known) {
    const Intent& other = known->intent;
    if (other.to != intent.to || other.value != intent.value || other.data != intent.data)
      return chain_fail(ChainErrc::rejected, "another transaction was submitted under this id");
    return status_of(*known);
  }
  Intent priced = intent;
  // Before gas is estimated and a nonce taken: no fee or nonce makes its form any longer.
  priced.gas_limit = std::max(intent.gas_limit, options_.gas_limit_most);
  const std::size_t bytes =
      sign(priced, UINT64_MAX, {options_.max_fee_ceiling, options_.max_fee_ceiling}).raw.size();
  if (bytes > options_.bytes_most)
    return chain_fail(ChainErrc::never_valid,
                      "the transaction has {} bytes, and nodes take at most {}", bytes,
                      options_.bytes_most);
  TRY(priced.gas_limit, gas_limit(intent));
  TRY(const Fees fees, suggest_fees());
  TRY(const std::uint64_t unused, rpc_.nonce(address_, "latest"));
  // A crash before the commit inside loses an intent that nobody was told about; after it, the
  // next process sends the same bytes.
  TRY(const TxRow row, stored(store_.insert({.intent = priced}, unused, [&](std::uint64_t nonce) {
        return sign(priced, nonce, fees);
      })));
  send(row);
  return status_of(row);
}

void ChainSender::send(const TxRow& row) {
  const Attempt& newest = row.attempts.back();
  sent_ms_[row.intent.id] = clock_.now_ms();
  const auto sent = rpc_.send_raw({newest.raw, newest.hash});
  if (sent || sent.error().kind == ChainErrc::already_known) {
    trouble_.erase(row.intent.id);
  } else {
    // nonce_too_low: it, or an older form of it, may just have been mined; the next look tells.
    trouble_[row.intent.id] = sent.error().message;
  }
  if (!sent && sent.error().kind == ChainErrc::never_valid)
    ++never_valid_[row.intent.id];
  else if (sent || !worth_retrying(sent.error().kind))
    never_valid_.erase(row.intent.id);
}

ChainResult<std::optional<ChainReceipt>> ChainSender::find_receipt(const TxRow& row) {
  for (std::size_t i = row.attempts.size(); i-- > 0;) {
    TRY(auto found, rpc_.receipt(row.attempts[i].hash));
    if (found) return found;
  }
  return std::nullopt;
}

ChainResult<std::size_t> ChainSender::advance() {
  const std::scoped_lock lock(mutex_);
  TRY(const BlockHeader head, rpc_.head());
  base_fee_ = head.base_fee;
  TRY(auto rows, stored(store_.open_rows()));
  std::size_t open = 0;
  bool first_pending = true;
  for (TxRow& row : rows) {
    CHECK_OK(watch(row, head, first_pending));
    if (row.state == TxState::pending) first_pending = false;
    open += !status_of(row).final();
  }
  return open;
}

ChainResult<void> ChainSender::watch(TxRow& row, const BlockHeader& head, bool first_pending) {
  TRY(const auto receipt, find_receipt(row));
  if (receipt) return settle(row, *receipt, head);
  if (row.state == TxState::mined) {
    // Reorganized away. What is stored is what is sent again.
    row.state = TxState::pending;
    row.mined_hash = row.block_hash = {};
    row.block_num = row.gas_used = 0;
    CHECK_OK(stored(store_.update(row)));
    sent_ms_.erase(row.intent.id);
  }
  return chase(row, head, first_pending);
}

ChainResult<void> ChainSender::settle(TxRow& row, const ChainReceipt& receipt,
                                      const BlockHeader& head) {
  TRY(const auto block, rpc_.block(crypto::to_quantity(receipt.block_num)));
  // In the middle of a reorganization; the next look sees one side of it.
  if (!block || block->hash != receipt.block_hash) return {};
  const TxRow before = row;
  row.mined_hash = receipt.transaction_hash;
  row.block_hash = receipt.block_hash;
  row.block_num = receipt.block_num;
  row.gas_used = receipt.gas_used;
  row.state = TxState::mined;
  if (head.number + 1 >= receipt.block_num + options_.confirmations) {
    const bool given_up = filled(row);
    row.state = receipt.success && !given_up ? TxState::confirmed : TxState::reverted;
    if (!given_up) row.reason = receipt.success ? "" : revert_reason(row);
  }
  trouble_.erase(row.intent.id);
  never_valid_.erase(row.intent.id);
  if (row.state == before.state && row.block_hash == before.block_hash) return {};
  CHECK_OK(stored(store_.update(row)));
  if (row.state != TxState::mined) sent_ms_.erase(row.intent.id);
  return {};
}

// Whether another transaction has used the nonce for good. All answers must come from one
// endpoint that has the block: one that lags knows neither the count nor our receipt.
ChainResult<bool> ChainSender::nonce_lost(const TxRow& row, const BlockHeader& head) {
  if (head.number + 1 < options_.confirmations) return false;
  const std::uint64_t deep = head.number + 1 - options_.confirmations;
  const std::uint64_t before = rpc_.switches();
  TRY(const std::uint64_t count, rpc_.nonce(address_, crypto::to_quantity(deep)));
  TRY(const auto receipt, find_receipt(row));
  if (count <= row.nonce || receipt || rpc_.switches() != before) {
    doubted_ms_.erase(row.intent.id);
    return false;
  }
  const std::int64_t now = clock_.now_ms();
  const auto since = doubted_ms_.try_emplace(row.intent.id, now).first->second;
  return now - since >= options_.doubt_ms;
}

// What was refused may still be known to a node: the filler replaces it as a raised fee would, and
// whichever of them is mined decides.
ChainResult<void> ChainSender::give_up(TxRow& row) {
  TRY(const Fees market, suggest_fees());
  row.reason = "never sent: no node takes it: " + trouble_[row.intent.id];
  row.attempts.push_back(filler(row.nonce, raised(row.attempts.back(), market).value_or(market)));
  CHECK_OK(stored(store_.update(row)));
  never_valid_.erase(row.intent.id);
  send(row);
  return {};
}

ChainResult<void> ChainSender::chase(TxRow& row, const BlockHeader& head, bool first_pending) {
  TRY(const std::uint64_t used, rpc_.nonce(address_, "latest"));
  if (used > row.nonce) {
    TRY(const bool lost, nonce_lost(row, head));
    if (!lost) return {};
    doubted_ms_.erase(row.intent.id);
    // Given up, and somebody else's transaction fills the nonce.
    if (row.attempts.back().filler) {
      row.state = TxState::reverted;
      return stored(store_.update(row));
    }
    TRY(const Fees fees, suggest_fees());
    TRY(const std::uint64_t unused, rpc_.nonce(address_, "latest"));
    CHECK_OK(stored(store_.move_to_next_nonce(
        row, unused, [&](std::uint64_t nonce) { return sign(row.intent, nonce, fees); })));
    send(row);
    return {};
  }
  const auto refused = never_valid_.find(row.intent.id);
  if (refused != never_valid_.end() && refused->second >= kRefusalsMost &&
      !row.attempts.back().filler)
    return give_up(row);
  const std::int64_t now = clock_.now_ms();
  bool capped = false;
  // Those behind the first wait for it, whatever they pay.
  if (first_pending && now - row.attempts.back().signed_ms >= options_.stuck_ms) {
    TRY(const Fees market, suggest_fees());
    if (const auto fees = raised(row.attempts.back(), market)) {
      row.attempts.push_back(again(row, *fees));
      CHECK_OK(stored(store_.update(row)));
      send(row);
      return {};
    }
    capped = true;
  }
  const auto sent = sent_ms_.find(row.intent.id);
  if (sent == sent_ms_.end() || now - sent->second >= options_.resend_ms) send(row);
  if (capped && !trouble_.contains(row.intent.id))
    trouble_[row.intent.id] =
        fmt::format("not mined at {} wei per gas, and the ceiling of {} (--max-fee-gwei) allows no raise",
                    row.attempts.back().max_fee, options_.max_fee_ceiling);
  return {};
}

// Receipts do not carry reasons: the call is run again where it failed, after its block and, when
// that succeeds, before it.
std::string ChainSender::revert_reason(const TxRow& row) {
  if (row.gas_used >= row.intent.gas_limit) return "out of gas";
  for (const std::uint64_t at : {row.block_num, row.block_num - 1}) {
    const auto again = rpc_.eth_call(request_of(address_, row.intent), crypto::to_quantity(at));
    if (!again && again.error().kind == ChainErrc::reverted) return again.error().message;
  }
  return "reverted: the node does not say why";
}

TxStatus ChainSender::status_of(const TxRow& row) const {
  TxStatus out{.id = row.intent.id,
               .state = row.state,
               .nonce = row.nonce,
               .hash = row.mined_hash == Hash{} ? row.attempts.back().hash : row.mined_hash,
               .attempts = static_cast<unsigned>(row.attempts.size()),
               .block_num = row.block_num,
               .gas_used = row.gas_used,
               .reason = row.reason,
               .given_up = row.state == TxState::reverted && filled(row),
               .trouble = {}};
  if (const auto found = trouble_.find(row.intent.id); found != trouble_.end())
    out.trouble = found->second;
  return out;
}

ChainResult<std::optional<TxStatus>> ChainSender::status(const Hash& id) {
  const std::scoped_lock lock(mutex_);
  TRY(const auto row, stored(store_.find(id)));
  if (!row) return std::nullopt;
  return status_of(*row);
}

ChainResult<TxStatus> ChainSender::wait(const Hash& id, std::int64_t timeout_ms) {
  const std::int64_t until = pacer_.now_ms() + timeout_ms;
  for (;;) {
    const auto looked = advance();
    if (!looked && !worth_retrying(looked.error().kind)) return std::unexpected(looked.error());
    TRY(const auto now, status(id));
    if (!now) return chain_fail(ChainErrc::rejected, "no such transaction was submitted");
    if (now->final()) return *now;
    if (options_.stopping && options_.stopping())
      return chain_fail(ChainErrc::transport,
                        "stopped while the transaction was {}: the next start goes on with it",
                        to_string(now->state));
    if (pacer_.now_ms() >= until)
      return chain_fail(ChainErrc::transport, "the transaction is still {} after {} ms{}{}",
                        to_string(now->state), timeout_ms, now->trouble.empty() ? "" : ": ",
                        now->trouble);
    pacer_.wait_ms(options_.poll_ms);
  }
}

}  // namespace assay::io
