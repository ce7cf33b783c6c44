#include "settle/x402/channel_book.hpp"

#include "io/schema.hpp"

namespace assay::settle::x402 {
namespace {

const io::Schema kChannelsSchema{"x402 channels", {R"(
CREATE TABLE channels(
  id BLOB PRIMARY KEY, config TEXT NOT NULL, charged INTEGER NOT NULL,
  voucher_most INTEGER, voucher_signature BLOB, request BLOB, amount INTEGER, identifier TEXT,
  deposited BLOB, deposit INTEGER, charged_s INTEGER,
  balance INTEGER NOT NULL, claimed INTEGER NOT NULL, withdrawing INTEGER NOT NULL,
  withdraw_requested_at INTEGER NOT NULL, refund_nonce INTEGER NOT NULL, seen_s INTEGER NOT NULL,
  refunded_s INTEGER NOT NULL DEFAULT 0, published INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX channels_unclaimed ON channels(id) WHERE charged > claimed;
)"}};

constexpr std::string_view kChannelFields =
    "SELECT id, config, charged, voucher_most, voucher_signature, request, amount, identifier, "
    "deposited, deposit, charged_s, balance, claimed, withdrawing, withdraw_requested_at, "
    "refund_nonce, seen_s, refunded_s, published FROM channels ";

std::int64_t i64(std::uint64_t n) { return static_cast<std::int64_t>(n); }

Result<Channel> channel_from(std::string_view text) {
  TRY(const json::value parsed, json::parse(text));
  TRY(const json::object* o, json::as_object(parsed, "a channel"));
  return protocol::x402::channel_from_json(*o);
}

Result<Charge> charge_from(const io::Statement& row, const Hash& id) {
  Charge out;
  out.voucher.channel = id;
  out.voucher.most = row.column_int64(3);
  const ByteView signature = row.column_blob(4);
  if (signature.size() != out.voucher.signature.bytes.size())
    return fail(Errc::mismatch, "a voucher's signature has {} bytes", signature.size());
  std::ranges::copy(signature, out.voucher.signature.bytes.begin());
  TRY(out.request, row.column_hash(5));
  out.amount = row.column_int64(6);
  if (!row.column_is_null(7)) out.identifier = std::string(row.column_text(7));
  if (!row.column_is_null(8)) {
    TRY(out.deposited, row.column_hash(8));
  }
  out.deposit = row.column_int64(9);
  out.charged_s = row.column_int64(10);
  return out;
}

}  // namespace

Result<std::unique_ptr<ChannelBook>> ChannelBook::open(const std::string& path) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::create, kChannelsSchema));
  return std::unique_ptr<ChannelBook>(new ChannelBook(std::move(db)));
}

Result<std::vector<ChannelRow>> ChannelBook::read(io::Statement& select) {
  std::vector<ChannelRow> out;
  while (true) {
    TRY(const bool there, select.step());
    if (!there) return out;
    ChannelRow row;
    TRY(row.id, select.column_hash(0));
    TRY(row.channel, channel_from(select.column_text(1)));
    row.charged = select.column_int64(2);
    if (!select.column_is_null(3)) {
      TRY(row.last, charge_from(select, row.id));
    }
    row.funds = {.balance = select.column_int64(11),
                 .claimed = select.column_int64(12),
                 .withdrawing = select.column_int64(13),
                 .withdraw_requested_at = static_cast<std::uint64_t>(select.column_int64(14)),
                 .refund_nonce = static_cast<std::uint64_t>(select.column_int64(15))};
    row.seen_s = select.column_int64(16);
    row.refunded_s = select.column_int64(17);
    row.published = select.column_int64(18);
    out.push_back(std::move(row));
  }
}

Result<std::optional<ChannelRow>> ChannelBook::find_locked(const Hash& id) {
  TRY(auto select, db_->prepare(fmt::format("{}WHERE id = ?1", kChannelFields)));
  TRY(auto found, read(select.bind_all(ByteView(id))));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

Result<std::optional<ChannelRow>> ChannelBook::find(const Hash& id) {
  const std::lock_guard lock(mutex_);
  return find_locked(id);
}

Result<ChannelRow> ChannelBook::saw(const Hash& id, const Channel& channel,
                                    const ChannelFunds& funds, std::int64_t now_s) {
  const std::lock_guard lock(mutex_);
  // A book older than its last claim charges from there: what it lost is not asked for.
  TRY(auto upsert,
      db_->prepare("INSERT INTO channels(id, config, charged, balance, claimed, withdrawing, "
                   "withdraw_requested_at, refund_nonce, seen_s) "
                   "VALUES(?1,?2,?4,?3,?4,?5,?6,?7,?8) ON CONFLICT(id) DO UPDATE SET "
                   "balance = ?3, claimed = ?4, withdrawing = ?5, withdraw_requested_at = ?6, "
                   "refund_nonce = ?7, seen_s = ?8, charged = MAX(charged, ?4) "
                   "WHERE ?7 >= refund_nonce"));  // not what was read before a refund
  CHECK_OK(upsert
               .bind_all(ByteView(id), json::dump(to_json(channel)), funds.balance, funds.claimed,
                         funds.withdrawing, i64(funds.withdraw_requested_at),
                         i64(funds.refund_nonce), now_s)
               .run());
  TRY(auto row, find_locked(id));
  if (!row) return fail(Errc::internal, "a channel is gone that was just written");
  return std::move(*row);
}

Status ChannelBook::charge(const Hash& id, Micros before, const Charge& charge) {
  const std::lock_guard lock(mutex_);
  TRY(auto update,
      db_->prepare("UPDATE channels SET charged = ?2 + ?3, amount = ?3, voucher_most = ?4, "
                   "voucher_signature = ?5, request = ?6, charged_s = ?7, deposit = ?8, "
                   "identifier = ?9, deposited = ?10 WHERE id = ?1 AND charged = ?2"));
  update.bind_all(ByteView(id), before, charge.amount, charge.voucher.most,
                  ByteView(charge.voucher.signature.bytes), ByteView(charge.request),
                  charge.charged_s, charge.deposit);
  update.bind_null(9).bind_null(10);
  if (charge.identifier) update.bind(9, *charge.identifier);
  if (charge.deposited) update.bind(10, ByteView(*charge.deposited));
  CHECK_OK(update.run());
  if (db_->changes() == 1) return {};
  return fail(Errc::conflict, "the channel was charged by somebody else");
}

Status ChannelBook::refunded(const Hash& id, std::int64_t now_s) {
  const std::lock_guard lock(mutex_);
  TRY(auto update, db_->prepare("UPDATE channels SET refunded_s = ?2 WHERE id = ?1"));
  return update.bind_all(ByteView(id), now_s).run();
}

Status ChannelBook::publish(const Hash& id, Micros most) {
  const std::lock_guard lock(mutex_);
  TRY(auto update,
      db_->prepare("UPDATE channels SET published = MAX(published, ?2) WHERE id = ?1"));
  return update.bind_all(ByteView(id), most).run();
}

Result<std::vector<ChannelRow>> ChannelBook::unclaimed() {
  const std::lock_guard lock(mutex_);
  TRY(auto select,
      db_->prepare(fmt::format("{}WHERE charged > claimed ORDER BY charged_s", kChannelFields)));
  return read(select);
}

Result<std::vector<ChannelRow>> ChannelBook::newest(std::uint32_t limit) {
  const std::lock_guard lock(mutex_);
  TRY(auto select, db_->prepare(fmt::format("{}ORDER BY charged_s DESC LIMIT ?1", kChannelFields)));
  return read(select.bind_all(std::int64_t{limit}));
}

}  // namespace assay::settle::x402
