// A transparency log over HTTP, from outside: its tiles as anybody reads them, and its append side
// as a market uses it (spec/log.md, "HTTP").
//
//   GET  <read>/checkpoint, <read>/tile/…        c2sp.org/tlog-tiles
//   POST <append>/append                         {"entries": base64 bundle} → {"indexes": ["N", …]}
//   GET  <append>/issuers/{series}/{address}     {"next": "N"}
//   POST <append>/auctions                       settle/auction_entry.hpp → {"index": "N"}
//   GET  <read>/auctions/{call}                  {"index", "domain", "record"}
// The log is not believed: checkpoints and proofs are checked by whoever uses them.
#pragma once
#include "io/http_client.hpp"
#include "settle/auction_entry.hpp"
#include "tlog/entry.hpp"
#include "tlog/tile.hpp"

namespace assay::settle {

// Entries one append may carry.
inline constexpr std::size_t kLogAppendMax = 4096;

// Safe to use from many threads.
class LogReader : public tlog::TileSource {
 public:
  // url: the log's prefix. Nothing is sent yet.
  explicit LogReader(std::string url);
  Result<std::string> checkpoint();  // the signed note, not yet checked
  // Partial tiles that are gone are cut from full ones.
  Result<Bytes> read(const tlog::TileId& id) override;
  // What the log keeps of an auction, by the digest of its call; nothing of it is checked.
  struct Auction {
    std::uint64_t index = 0;
    protocol::Domain domain;
    std::string record;
  };
  Result<Auction> auction(const Hash& call);
  // <url>/<path>, as text.
  Result<std::string> get(const std::string& path);

 private:
  std::string url_;
  io::HttpClient client_;
};

class LogWriter {
 public:
  explicit LogWriter(std::string url);
  // One issuer's entries with consecutive numbers, at most kLogAppendMax. Safe to repeat: entries
  // that are in the log already are found there. Errors as LogStore::append's.
  Result<std::vector<std::uint64_t>> append(std::span<const tlog::LogEntry> entries);
  // Of LogEntry::series: the ledger, or of auctions auction_series of it.
  Result<std::uint64_t> next_number(const Hash& series, const crypto::Address& issuer);
  // Safe to repeat: the same record is found there. Errors as LogStore::append_auction's.
  Result<std::uint64_t> append_auction(const AuctionEntry& entry);

 private:
  std::string url_;
  io::HttpClient client_;
};

// The body of an append, for both sides.
std::string append_body(std::span<const tlog::LogEntry> entries);
// Form and number of entries only.
Result<std::vector<tlog::LogEntry>> entries_from_body(std::string_view body);

}  // namespace assay::settle
