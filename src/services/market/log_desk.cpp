#include "services/market/log_desk.hpp"

#include "base/hex.hpp"
#include "io/log.hpp"
#include "market/money.hpp"

namespace assay::services {

LogDesk::LogDesk(settle::EmbeddedLedger& ledger, const crypto::SecretKey& host_key,
                 const std::string& url, std::uint64_t every_ms)
    : ledger_(ledger), key_(host_key), log_(url) {
  rounds_.start([this, every_ms] {
    const auto more = publish();
    if (!more) io::log_warn("the ledger is not in the log yet: {}", more.error().message);
    return more && *more ? 0 : static_cast<std::int64_t>(every_ms);
  });
}

Result<bool> LogDesk::publish() {
  TRY(const auto info, ledger_.info());
  const Hash ledger = info.domain.separator();
  TRY(std::uint64_t next, log_.next_number(ledger, crypto::address_of(key_)));
  std::vector<tlog::LogEntry> entries;
  const auto status = ledger_.read_log(next, [&](const settle::LogRow& row) -> Status {
    if (entries.size() == settle::kLogAppendMax) return fail(Errc::cancelled, "enough");
    entries.push_back(tlog::sign_entry(ledger, row.sequence, tlog::row_commitment(row.hash), key_));
    return {};
  });
  if (!status && status.error().code != Errc::cancelled) return std::unexpected(status.error());
  if (entries.empty()) return false;
  // A crash before the answer: the same rows are sent again, and are the same entries.
  CHECK_OK(log_.append(entries));
  return entries.size() == settle::kLogAppendMax;
}

Result<std::vector<std::uint64_t>> LogDesk::append(const std::string& body) {
  TRY(const auto entries, settle::entries_from_body(body));
  TRY(const auto info, ledger_.info());
  for (const auto& entry : entries) {
    if (entry.ledger != info.domain.separator())
      return fail(Errc::invalid, "an entry is of another ledger");
    if (entry.issuer != entries[0].issuer)
      return fail(Errc::invalid, "the entries are of several issuers");
  }
  TRY(const auto account, ledger_.account(entries[0].issuer));
  // What is unbonding was a stake when the receipts were signed.
  auto stake = account.stake;
  for (const auto& part : account.unbonding) stake += part.amount;
  const auto stake_min = info.parameters.stake_min;
  if (stake < stake_min)
    return fail(Errc::refused, "stake at least {} first: only staked providers append to the log",
                market::format_money(stake_min));
  return log_.append(entries);
}

Result<std::uint64_t> LogDesk::append_auction(const std::string& body) {
  TRY(const auto entry, settle::auction_entry_from_text(body));
  TRY(const auto info, ledger_.info());
  if (entry.domain != info.domain) return fail(Errc::invalid, "an auction of another ledger");
  TRY(const auto checked, settle::check(entry));
  TRY(const auto lease, ledger_.lease(entry.lease));
  if (lease.terms.buyer != entry.entry.issuer || lease.terms.offer != checked.awarded)
    return fail(Errc::refused, "the lease beside it was not opened from the offer awarded");
  return log_.append_auction(entry);
}

void LogDesk::add_routes(io::Router& router) {
  router.post("/log/auctions", [this](io::HttpRequest& request, io::HttpResponse& response) {
    const auto index = append_auction(request.body);
    if (!index) return void(response.send_error(index.error()));
    response.send_json(200, json::object{{"index", std::to_string(*index)}});
  });
  router.post("/log/append", [this](io::HttpRequest& request, io::HttpResponse& response) {
    const auto indexes = append(request.body);
    if (!indexes) return void(response.send_error(indexes.error()));
    json::array list;
    for (const auto index : *indexes) list.emplace_back(std::to_string(index));
    response.send_json(200, json::object{{"indexes", std::move(list)}});
  });
  router.get("/log/issuers/{ledger}/{address}",
             [this](io::HttpRequest& request, io::HttpResponse& response) {
               const auto ask = [&]() -> Result<std::uint64_t> {
                 TRY(const Hash ledger, array_from_hex<32>(request.param("ledger")));
                 TRY(const auto issuer, crypto::Address::parse(request.param("address")));
                 return log_.next_number(ledger, issuer);
               };
               const auto next = ask();
               if (!next) return void(response.send_error(next.error()));
               response.send_json(200, json::object{{"next", std::to_string(*next)}});
             });
}

}  // namespace assay::services
