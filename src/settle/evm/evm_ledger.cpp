#include "settle/evm/evm_ledger.hpp"

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"
#include "io/system_clock.hpp"
#include "market/statements.hpp"
#include "settle/evm/refusal.hpp"

namespace assay::settle::evm {

using market::Applied;
using market::Operation;

namespace {

// Of one operation: a transaction that was overtaken and reverted makes room for another.
constexpr std::uint32_t kAttemptsMax = 16;
constexpr std::int64_t kRoundMs = 500;
constexpr std::int64_t kFeesAgainMs = 60'000;

Hash derived(std::string_view what, const Hash& id, std::uint32_t number) {
  Bytes bytes;
  append(bytes, view(what));
  append(bytes, id);
  append_le(bytes, number);
  return crypto::sha256(bytes);
}

}  // namespace

Result<std::unique_ptr<EvmLedger>> EvmLedger::open(EvmOptions options, const crypto::SecretKey& key,
                                                   const Clock& clock) {
  CHECK_OK(io::make_directories(options.data_dir, 0700));
  TRY(auto lock, io::FileLock::acquire(options.data_dir));
  options.rpc.stopping = options.stopping;
  auto rpc = std::make_unique<io::ChainRpc>(options.rpc);
  std::unique_ptr<EvmLedger> out(
      new EvmLedger(std::move(options), std::move(lock), std::move(rpc)));
  const EvmOptions& o = out->options_;
  TRY(ChainView view, ChainView::open(*out->rpc_, o.market, o.data_dir + "/events.db",
                                      o.first_block, o.confirmations));
  out->view_ = std::make_unique<ChainView>(std::move(view));
  io::ChainSenderOptions sending;
  sending.confirmations = o.confirmations;
  sending.poll_ms = o.poll_ms;
  sending.max_fee_ceiling = o.max_fee_ceiling;
  sending.stopping = o.stopping;
  auto sender =
      io::ChainSender::open(o.data_dir + "/transactions.db", *out->rpc_, key, clock, sending);
  if (!sender) return std::unexpected(Error(sender.error()));
  out->sender_ = std::move(*sender);
  // What an earlier process had in flight goes on whether or not anybody asks for it.
  out->rounds_.start(
      [ledger = out.get()] {
        const auto open = ledger->sender_->advance();
        if (open)
          ledger->look_at_fees(*open);
        else
          io::log_warn("transactions: {} (tried again later)", open.error().message);
        return std::max<std::int64_t>(ledger->options_.poll_ms, kRoundMs);
      },
      0);
  return out;
}

Status EvmLedger::sync() {
  const std::int64_t now = io::steady_ms();
  const bool stale = stale_.exchange(false);
  if (!stale && now - synced_ms_ < options_.view_ms) return {};
  if (auto synced = view_->sync(); !synced) {
    stale_ = true;
    return synced;
  }
  synced_ms_ = now;
  ++syncs_;
  return {};
}

// Nothing is mined above the ceiling, and deadlines do not wait: said for as long as it lasts.
void EvmLedger::look_at_fees(std::size_t open) {
  in_flight_ = open;
  constexpr std::uint64_t kGwei = 1'000'000'000;
  const std::uint64_t base = sender_->base_fee();
  if (open == 0 || base <= options_.max_fee_ceiling) return;
  const std::int64_t now = io::steady_ms();
  if (fees_said_ms_ != 0 && now - fees_said_ms_ < kFeesAgainMs) return;
  fees_said_ms_ = now;
  io::log_warn(
      "DEADLINE at risk: {} transactions wait, since the chain's base fee is {} gwei and at most "
      "{} are paid: start again with a higher --max-fee-gwei, or wait for lower fees",
      open, base / kGwei, options_.max_fee_ceiling / kGwei);
}

Status EvmLedger::rehearse(const Call& call) {
  const auto done = rpc_->eth_call(
      {.from = sender_->address(), .to = call.to, .value = {}, .data = call.data}, "pending");
  if (!done) return std::unexpected(refusal_of(done.error()));
  return {};
}

Result<Applied> EvmLedger::send_once(const Hash& id, const std::function<Result<Call>()>& call) {
  for (std::uint32_t number = 0; number < kAttemptsMax; ++number) {
    const Hash intent = derived("assay/intent/v0", id, number);
    auto known = sender_->status(intent);
    if (!known) return std::unexpected(Error(known.error()));
    if (*known && (*known)->given_up) return fail(Errc::refused, "{}", (*known)->reason);
    if (*known && (*known)->state == io::TxState::reverted) continue;
    const bool before = known->has_value() && (*known)->final();
    if (!*known) {
      TRY(const Call made, call());
      const auto sent =
          sender_->submit({.id = intent, .to = made.to, .value = {}, .data = made.data});
      if (!sent && is_already_applied(sent.error())) {
        stale_ = true;
        return Applied{id, 0, true};
      }
      if (!sent) return std::unexpected(refusal_of(sent.error()));
      if (auto poor = poverty_of(*sent, sender_->address(), view_->domain().chain_id))
        return std::unexpected(std::move(*poor));
      if (!sent->trouble.empty()) io::log_warn("not sent yet: {}", sent->trouble);
    }
    // To crash here loses nothing: the next process finds the intent under the same id.
    const auto done = sender_->wait(intent, options_.patience_ms);
    if (!done) return std::unexpected(Error(done.error()));
    stale_ = true;
    if (done->state == io::TxState::confirmed) return Applied{id, done->block_num, before};
    if (done->given_up) return fail(Errc::refused, "{}", done->reason);
    // Overtaken: what was right when it was sent is not any more, or is again.
    TRY(const Call made, call());
    CHECK_OK(rehearse(made));
    io::log_warn("transaction {} reverted ({}): sent again", to_hex(done->hash), done->reason);
  }
  return fail(Errc::unavailable, "{} transactions of this operation were overtaken", kAttemptsMax);
}

Result<Applied> EvmLedger::submit(const Operation& operation) {
  const Hash id = operation_id(view_->domain(), operation);
  if (const auto* op = std::get_if<market::Signed<protocol::Deposit>>(&operation))
    return deposit(*op, id);
  if (const auto* op = std::get_if<market::FileDispute>(&operation)) {
    TRY(const bool needed, needs_program(*op));
    if (needed) CHECK_OK(store_program(op->execution.program_hash, op->program));
  }
  if (const auto* op = std::get_if<market::CheckAudit>(&operation))
    CHECK_OK(store_program(op->execution.program_hash, op->program));
  return send_once(
      id, [&] { return with_view([&](ChainView& chain) { return call_of(chain, operation); }); });
}

Result<Applied> EvmLedger::deposit(const market::Signed<protocol::Deposit>& op, const Hash& id) {
  const auto& m = op.message;
  if (m.amount <= 0) return fail(Errc::invalid, "a deposit must be more than zero");
  // Whoever pays signs: a deposit is this key's money.
  CHECK_OK(protocol::check_signature(view_->domain(), op, sender_->address()));
  const std::scoped_lock lock(deposit_mutex_);
  const auto known = sender_->status(derived("assay/intent/v0", id, 0));
  if (!known) return std::unexpected(Error(known.error()));
  if (!*known) CHECK_OK(approve(m.amount, id));
  return send_once(
      id, [&]() -> Result<Call> { return deposit_call(view_->contracts(), m.account, m.amount); });
}

// An allowance that something else used up is given again.
Status EvmLedger::approve(market::Micros amount, const Hash& id) {
  for (std::uint32_t number = 0; number < kAttemptsMax; ++number) {
    const auto allowed =
        with_view([&](ChainView& chain) { return chain.allowance(sender_->address()); });
    if (!allowed) return std::unexpected(allowed.error());
    if (*allowed >= static_cast<std::uint64_t>(amount)) return {};
    CHECK_OK(send_once(derived("assay/approve/v0", id, number),
                       [&]() -> Result<Call> { return approve_call(view_->contracts(), amount); }));
  }
  return fail(Errc::refused, "the token does not keep an allowance of {} micro-units", amount);
}

// A dispute that figures decide needs none.
Result<bool> EvmLedger::needs_program(const market::FileDispute& op) {
  return with_view([&](ChainView& chain) -> Result<bool> {
    TRY(const auto terms, chain.terms(op.dispute.message.lease));
    return terms &&
           !market::arithmetic_fault(*terms, op.evidence.request.message, op.evidence.statement);
  });
}

Status EvmLedger::store_program(const Hash& hash, const Bytes& program) {
  if (program.empty() || program.size() > market::kProgramBytesMax ||
      crypto::sha256(program) != hash)
    return {};  // the call says what is wrong with it
  const auto there = with_view([&](ChainView& chain) { return chain.has_program(hash); });
  if (!there) return std::unexpected(there.error());
  if (*there) return {};
  CHECK_OK(send_once(derived("assay/program/v0", hash, 0), [&]() -> Result<Call> {
    return store_program_call(view_->contracts(), program);
  }));
  return {};
}

Result<bool> EvmLedger::draw(const Hash& audit) {
  std::uint64_t block_num = 0;
  const auto drawn = with_view([&](ChainView& chain) {
    block_num = chain.block_num();
    return chain.was_drawn(audit);
  });
  if (!drawn || *drawn) return drawn;
  // One of a kind at each block: the same draw goes on from where the last one ended.
  CHECK_OK(send_once(derived("assay/draw/v0", audit, static_cast<std::uint32_t>(block_num)), [&] {
    return with_view([&](ChainView& chain) { return draw_call(chain, audit); });
  }));
  return with_view([&](ChainView& chain) { return chain.was_drawn(audit); });
}

}  // namespace assay::settle::evm
