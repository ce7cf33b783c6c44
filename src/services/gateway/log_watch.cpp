#include "services/gateway/log_watch.hpp"

#include "base/hex.hpp"
#include "io/log.hpp"
#include "tlog/receipt_entry.hpp"

namespace assay::services {
namespace {

// How far back a receipt that just came is searched for: a million entries.
constexpr std::uint64_t kBundlesBack = 4096;
constexpr std::int64_t kRestMs = 5'000;

using Place = std::pair<crypto::Address, std::uint64_t>;  // issuer, number

}  // namespace

std::string_view to_string(LogState state) {
  switch (state) {
    case LogState::waiting:
      return "waiting";
    case LogState::included:
      return "included";
    case LogState::missing:
      return "missing";
    case LogState::contradicted:
      return "contradicted";
  }
  return "unknown";
}

void LogWatch::start() {
  rounds_.start([this] {
    if (const auto status = round(); !status)
      io::log_warn("whether the log has the receipts is not known: {}", status.error().message);
    const auto within_ms = static_cast<std::int64_t>(buyer_.options.log_within_s) * 1000;
    return std::clamp<std::int64_t>(within_ms / 4, 200, kRestMs);
  });
}

LogState LogWatch::state(const Hash& receipt) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = awaited_.find(receipt); found != awaited_.end())
      return found->second.state;
  }
  return buyer_.vault.has_proof(receipt) ? LogState::included : LogState::waiting;
}

Status LogWatch::look_up_new_receipts() {
  TRY(const auto records, buyer_.store->recent_requests(kReceiptsMax));
  const std::lock_guard lock(mutex_);
  for (const RequestRecord& record : records) {
    if (!record.statement ||
        !std::holds_alternative<Signed<protocol::Receipt>>(*record.statement) ||
        awaited_.contains(record.statement_id) || buyer_.vault.has_proof(record.statement_id))
      continue;
    awaited_[record.statement_id] = {.since = buyer_.now()};
  }
  return {};
}

Status LogWatch::round() {
  CHECK_OK(look_up_new_receipts());
  {
    const std::lock_guard lock(mutex_);
    if (awaited_.empty()) return {};
  }
  TRY(const std::string checkpoint, log_.checkpoint());
  TRY(const auto opened, tlog::open_checkpoint(checkpoint, policy_));
  const std::uint64_t size = opened.checkpoint.size;
  CHECK_OK(search(size, checkpoint));

  std::vector<Hash> late;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [receipt, awaited] : awaited_) {
      if (awaited.state == LogState::contradicted) continue;
      awaited.searched = std::max(awaited.searched, size);
      if (awaited.state == LogState::waiting &&
          buyer_.now() > awaited.since + buyer_.options.log_within_s)
        late.push_back(receipt);
    }
  }
  for (const Hash& receipt : late)
    alarm(receipt, LogState::missing,
          fmt::format("it is not among the log's {} entries {} s after it came", size,
                      buyer_.options.log_within_s));
  return {};
}

// From the end: what is awaited is new, and what was searched before is not read again.
Status LogWatch::search(std::uint64_t size, const std::string& checkpoint) {
  std::map<Place, Hash> wanted;
  std::uint64_t from = size;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [receipt, awaited] : awaited_) {
      if (awaited.state == LogState::contradicted) continue;
      TRY(const std::string text, buyer_.vault.receipt_text(receipt));
      TRY(const auto file, protocol::receipt_file_from_text(text));
      const tlog::LogEntry place = tlog::place_of(file);
      wanted[{place.issuer, place.number}] = receipt;
      from = std::min(from, awaited.searched);
    }
  }
  const Hash ledger = buyer_.ledger.domain.separator();
  const std::uint64_t bundles = (size + tlog::kTileWidth - 1) / tlog::kTileWidth;
  const std::uint64_t first =
      std::max(from / tlog::kTileWidth, bundles > kBundlesBack ? bundles - kBundlesBack : 0);
  for (std::uint64_t n = bundles; n-- > first && !wanted.empty() && !rounds_.stopping();) {
    const tlog::TileId id{true, 0, n, tlog::tile_width(size, 0, n)};
    TRY(const Bytes bundle, log_.tiles->read(id));
    TRY(const auto entries, tlog::parse_bundle(bundle, id.width));
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto entry = tlog::LogEntry::parse(entries[i]);
      if (!entry || entry->series() != ledger) continue;
      const auto match = wanted.find({entry->issuer, entry->number});
      if (match == wanted.end()) continue;
      CHECK_OK(found(match->second, n * tlog::kTileWidth + i, *entry, checkpoint));
      wanted.erase(match);
    }
  }
  return {};
}

Status LogWatch::found(const Hash& receipt, std::uint64_t index, const tlog::LogEntry& entry,
                       const std::string& checkpoint) {
  TRY(const std::string text, buyer_.vault.receipt_text(receipt));
  TRY(const auto file, protocol::receipt_file_from_text(text));
  TRY(const protocol::Opening opening, buyer_.vault.opening(receipt));
  // A proof first: what only the tiles say is nobody's word.
  TRY(const auto proof, tlog::prove_entry(index, checkpoint, policy_, *log_.tiles));
  if (const auto same =
          check_receipt_entry(entry, file, tlog::entry_salt(file, opening.salt_secret));
      !same) {
    alarm(receipt, LogState::contradicted, same.error().message);
    return {};
  }
  CHECK_OK(buyer_.vault.write_proof(receipt, to_string(proof)));
  const std::lock_guard lock(mutex_);
  awaited_.erase(receipt);
  return {};
}

void LogWatch::alarm(const Hash& receipt, LogState state, std::string_view why) {
  io::log_warn("ALARM: the log does not have receipt {}: {}", to_hex(receipt), why);
  const std::lock_guard lock(mutex_);
  awaited_[receipt].state = state;
}

}  // namespace assay::services
