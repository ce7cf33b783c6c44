#include "settle/embedded/embedded_ledger.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "market/money.hpp"
#include "market/signers.hpp"

namespace assay::settle {

using market::Address;
using market::Applied;
using market::Offer;
using market::Operation;
using market::Signed;

namespace {

// Offers that were valid once and have not ended. One that no longer reads is dropped: its provider
// publishes again within minutes.
Result<market::OfferBook> load_offers(io::Database& database, const protocol::Domain& domain,
                                      std::uint64_t now) {
  market::OfferBook book(domain);
  TRY(auto select, database.prepare("SELECT body FROM offers"));
  for (;;) {
    TRY(const bool more, select.step());
    if (!more) return book;
    const auto v = json::parse(select.column_text(0));
    const auto* o = v ? v->if_object() : nullptr;
    if (o == nullptr) continue;
    if (const auto offer = protocol::signed_from_json<Offer>(*o)) (void)book.put(*offer, now);
  }
}

}  // namespace

Result<std::unique_ptr<EmbeddedLedger>> EmbeddedLedger::open(const std::string& path,
                                                             const market::LedgerInfo& fresh,
                                                             const Clock& clock,
                                                             const market::Referee& referee) {
  TRY(auto database, io::open_versioned(path, io::OpenMode::create, kLedgerSchema));
  auto info = read_info(*database);
  if (!info && info.error().code == Errc::not_found) {
    CHECK_OK(market::check(fresh));
    CHECK_OK(write_info(*database, fresh));
    info = fresh;
  }
  if (!info) return std::unexpected(info.error());
  if (info->host != fresh.host)
    return fail(Errc::conflict, "{} belongs to host {}, this key is {}: start with the same key",
                path, info->host.to_string(), fresh.host.to_string());
  TRY(auto replay, LogReplay::start(*info, referee));
  CHECK_OK(each_row(*database, 1, [&](const LogRow& row) { return replay.add(row); }));
  CHECK_OK(replay.finish());
  TRY(auto book, load_offers(*database, info->domain, static_cast<std::uint64_t>(clock.now_s())));

  const Hash head = replay.head();
  std::unique_ptr<EmbeddedLedger> out(
      new EmbeddedLedger(path, replay.take_state(), std::move(book), head, clock));
  out->writer_ = std::make_unique<GroupWriter>(std::move(database), out->guard_);
  return out;
}

std::uint64_t EmbeddedLedger::now() const {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(clock_.now_s(), 0));
}

Result<market::LedgerInfo> EmbeddedLedger::info() { return state_.info; }

Result<market::AccountView> EmbeddedLedger::account(const Address& address) {
  const std::shared_lock lock(guard_);
  return market::account_view(state_, address);
}

Result<market::LeaseView> EmbeddedLedger::lease(const Hash& id) {
  const std::shared_lock lock(guard_);
  return market::lease_view(state_, id);
}

Result<market::DisputeView> EmbeddedLedger::dispute(const Hash& id) {
  const std::shared_lock lock(guard_);
  return market::dispute_view(state_, id);
}

Result<market::Totals> EmbeddedLedger::totals() {
  const std::shared_lock lock(guard_);
  return state_.totals;
}

Result<market::FileDispute> EmbeddedLedger::game(const Hash& dispute) {
  const std::shared_lock lock(guard_);
  return market::game_view(state_, dispute);
}

Result<Operation> EmbeddedLedger::operation(const Hash& id) {
  {
    const std::shared_lock lock(guard_);
    if (!state_.applied.contains(id))
      return fail(Errc::not_found, "no operation {} in this ledger's log", to_hex(id));
  }
  TRY(auto database, io::Database::open(path_, io::OpenMode::read_only));
  return read_operation(*database, id);
}

Result<market::AuditView> EmbeddedLedger::audit(const Hash& id) {
  const std::shared_lock lock(guard_);
  return market::audit_view(state_, id);
}

Result<std::vector<market::AuditorView>> EmbeddedLedger::auditors(const Hash& execution) {
  const std::shared_lock lock(guard_);
  return market::auditors_view(state_, execution);
}

EmbeddedLedger::BeaconNeed EmbeddedLedger::beacon_need() const {
  const std::shared_lock lock(guard_);
  return {state_.beacon.round, !state_.waiting_audits.empty()};
}

Result<Applied> EmbeddedLedger::submit(const Operation& operation) {
  Result<Applied> applied = fail(Errc::internal, "not applied");
  market::Undo undo;
  bool changed = false;
  Hash head_before{};
  const auto signers = market::recover_signers(state_.info.domain, operation);
  GroupWriter::Job job;
  job.write = [&](io::Database& database) -> Status {
    const protocol::RecoveredSigners::Scope scope(signers);
    LogRow row;
    // The log's time never runs backwards, whatever the machine's clock does.
    row.time = std::max(now(), state_.totals.time);
    applied = market::apply(state_, operation, row.time, &undo);
    if (!applied || applied->already) return {};
    changed = true;
    head_before = head_;
    row.sequence = applied->sequence;
    row.id = applied->id;
    row.previous = head_;
    row.state = state_.totals.state;
    row.body = json::dump(market::to_json(operation));
    row.hash = row_hash(row);
    head_ = row.hash;
    return insert_row(database, row);
  };
  job.undo = [&] {
    if (!changed) return;
    market::revert(state_, std::move(undo));
    head_ = head_before;
  };
  CHECK_OK(writer_->run(std::move(job)));
  return applied;
}

Result<std::vector<Signed<Offer>>> EmbeddedLedger::offers() {
  const std::shared_lock lock(guard_);
  return book_.list(now());
}

Status EmbeddedLedger::publish(const Signed<Offer>& offer) {
  Status refused;
  std::optional<market::OfferBook> before;
  GroupWriter::Job job;
  job.write = [&](io::Database& database) -> Status {
    // Offers cost every gateway a look, so they cost their provider a stake.
    const auto stake_min = state_.info.parameters.stake_min;
    if (market::account_view(state_, offer.message.provider).stake < stake_min) {
      refused = fail(Errc::refused, "stake at least {} first: only staked providers are listed",
                     market::format_money(stake_min));
      return {};
    }
    before = book_;
    const auto stored = book_.put(offer, now());
    if (!stored) refused = std::unexpected(stored.error());
    if (!stored || !*stored) return {};
    TRY(auto insert,
        database.prepare("INSERT OR REPLACE INTO offers (provider, body) VALUES (?, ?)"));
    return insert
        .bind_all(ByteView(offer.message.provider.bytes),
                  std::string_view(json::dump(protocol::to_json(offer))))
        .run();
  };
  job.undo = [&] {
    if (before) book_ = std::move(*before);
  };
  CHECK_OK(writer_->run(std::move(job)));
  return refused;
}

Status EmbeddedLedger::prune_offers() {
  std::optional<market::OfferBook> before;
  GroupWriter::Job job;
  job.write = [&](io::Database& database) -> Status {
    before = book_;
    for (const auto& provider : book_.prune(now())) {
      TRY(auto erase, database.prepare("DELETE FROM offers WHERE provider = ?"));
      CHECK_OK(erase.bind(1, ByteView(provider.bytes)).run());
    }
    return {};
  };
  job.undo = [&] {
    if (before) book_ = std::move(*before);
  };
  return writer_->run(std::move(job));
}

Status EmbeddedLedger::read_log(std::uint64_t from,
                                const std::function<Status(const LogRow&)>& take) {
  TRY(auto database, io::Database::open(path_, io::OpenMode::read_only));
  return each_row(*database, from, take);
}

}  // namespace assay::settle
