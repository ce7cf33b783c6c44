#include "io/chain_logs.hpp"

#include "base/assert.hpp"

namespace assay::io {

Result<LogReader> LogReader::open(Database& db, ChainRpc& rpc, LogReaderOptions options) {
  ASSAY_ASSERT(options.confirmations > 0 && options.range_most > 0);
  CHECK_OK(
      db.exec("CREATE TABLE IF NOT EXISTS chain_cursors(name TEXT PRIMARY KEY, "
              "next_block INTEGER NOT NULL, last_hash BLOB NOT NULL) STRICT"));
  LogReader out(db, rpc, std::move(options));
  out.next_block_ = out.options_.first_block;
  TRY(Statement get, db.prepare("SELECT next_block, last_hash FROM chain_cursors WHERE name = ?1"));
  TRY(const bool found, get.bind(1, std::string_view(out.options_.name)).step());
  if (found) {
    out.next_block_ = static_cast<std::uint64_t>(get.column_int64(0));
    TRY(out.last_hash_, get.column_hash(1));
  }
  return out;
}

Result<Hash> LogReader::canonical(std::uint64_t block_num) {
  TRY(const auto block, rpc_->block(crypto::to_quantity(block_num)));
  if (!block)
    return fail(Errc::unavailable, "the chain endpoint does not have block {}", block_num);
  return block->hash;
}

Result<LogPage> LogReader::next() {
  TRY(const BlockHeader head, rpc_->head());
  LogPage page{.first = next_block_, .last = next_block_ - 1, .last_hash = {}, .logs = {}};
  if (head.number + 1 < next_block_ + options_.confirmations) {
    page.caught_up = true;
    return page;
  }
  const std::uint64_t deep = head.number + 1 - options_.confirmations;
  for (;;) {
    page.last = std::min(deep, next_block_ + range_ - 1);
    // A node that lags behind answers for blocks it does not have, with no logs. So the same node
    // must know the last block before and after.
    const std::uint64_t switches = rpc_->switches();
    TRY(page.last_hash, canonical(page.last));
    auto found = rpc_->logs(options_.filter, page.first, page.last);
    if (!found && found.error().kind == ChainErrc::too_many_results && range_ > 1) {
      range_ /= 2;
      continue;
    }
    if (!found) return std::unexpected(Error(found.error()));
    if (last_hash_) {
      TRY(const Hash before, canonical(next_block_ - 1));
      if (before != *last_hash_)
        return fail(Errc::mismatch,
                    "the chain replaced block {}, which was {} deep: raise the confirmations and "
                    "read the events anew",
                    next_block_ - 1, options_.confirmations);
    }
    TRY(const Hash after, canonical(page.last));
    if (after != page.last_hash || rpc_->switches() != switches)
      return fail(Errc::unavailable, "the chain changed while events were read: read again");
    for (const LogEntry& log : *found)
      if (log.block_num == page.last && log.block_hash != page.last_hash)
        return fail(Errc::unavailable, "the node's events are of another block {}", page.last);
    page.logs = std::move(*found);
    page.caught_up = page.last == deep;
    range_ = std::min(options_.range_most, range_ * 2);
    return page;
  }
}

Status LogReader::keep(const LogPage& page) {
  ASSAY_ASSERT(page.first == next_block_);
  if (page.last + 1 == page.first) return {};
  TRY(Statement set, db_->prepare("INSERT INTO chain_cursors VALUES(?1, ?2, ?3) ON CONFLICT(name) "
                                  "DO UPDATE SET next_block = ?2, last_hash = ?3"));
  CHECK_OK(set.bind_all(std::string_view(options_.name), static_cast<std::int64_t>(page.last + 1),
                        ByteView(page.last_hash))
               .run());
  next_block_ = page.last + 1;
  last_hash_ = page.last_hash;
  return {};
}

}  // namespace assay::io
