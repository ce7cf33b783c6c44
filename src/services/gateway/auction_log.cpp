#include "services/gateway/auction_log.hpp"

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/log.hpp"

namespace assay::services {

namespace {
constexpr std::int64_t kAppendEveryMs = 2'000;
constexpr int kTriesMax = 4;
}  // namespace

void AuctionLog::start() {
  if (buyer_.options.log_append_url.empty()) {
    keep_private();
    return;
  }
  rounds_.start([this] {
    if (const Status done = round(); !done)
      io::log_warn("auctions are not in the log yet: {}", done.error().message);
    return kAppendEveryMs;
  });
}

void AuctionLog::keep_private() {
  const auto calls = buyer_.vault.unlogged_auctions();
  if (!calls) return io::log_warn("marks of auctions stay: {}", calls.error().message);
  for (const Hash& call : *calls) buyer_.vault.forget_unlogged(call);
}

Status AuctionLog::round() {
  TRY(const auto calls, buyer_.vault.unlogged_auctions());
  for (const Hash& call : calls) {
    const auto done = publish(call);
    if (!done) {
      const Errc code = done.error().code;
      if (code == Errc::unavailable || code == Errc::io) return std::unexpected(done.error());
      io::log_info("auction {} stays out of the log: {}", to_hex(call), done.error().message);
    }
    if (!done || *done) buyer_.vault.forget_unlogged(call);
  }
  return {};
}

Result<std::optional<Hash>> AuctionLog::lease_from(const market::Signed<market::Offer>& awarded) {
  const Hash offer = buyer_.id(awarded.message);
  TRY(const auto leases, buyer_.store->leases());
  for (const LeaseRecord& lease : leases)
    if (lease.lease.message.offer == offer && lease.stage != LeaseStage::opening) return lease.id;
  return std::nullopt;
}

Result<bool> AuctionLog::publish(const Hash& call) {
  const auto text = buyer_.vault.auction_text(call);
  // A crash before the record was written: nothing was leased from it.
  if (!text && text.error().code == Errc::not_found) return true;
  if (!text) return std::unexpected(text.error());
  TRY(const json::value v, json::parse(*text));
  TRY(const json::object* o, json::as_object(v, "an auction"));
  TRY(const auto auction, market::auction_from_json(*o));
  const std::uint64_t now = buyer_.now(), deadline = auction.call.message.deadline;
  if (now <= deadline) return false;
  if (!auction.awarded) return true;
  TRY(const auto lease, lease_from(*auction.awarded));
  if (!lease) return now > deadline + kLeaseWithinS;
  const Hash ledger = buyer_.ledger.domain.separator();
  for (int tries = 1;; ++tries) {
    TRY(const auto number, log_.next_number(tlog::auction_series(ledger), buyer_.address));
    const settle::AuctionEntry entry{tlog::sign_entry(ledger, number, crypto::sha256(view(*text)),
                                                      buyer_.key, tlog::EntryKind::auction),
                                     buyer_.ledger.domain, *text, *lease};
    const auto index = log_.append_auction(entry);
    if (index) {
      io::log_info("auction {} is entry {} of the log", to_hex(call), *index);
      return true;
    }
    // Another gateway of this key took the number meanwhile.
    if (index.error().code != Errc::refused || tries == kTriesMax)
      return std::unexpected(index.error());
  }
}

}  // namespace assay::services
