// An auction's record on its way into a log (spec/auction.md section 5), checked alike by the
// market that passes it on, the log that keeps it, and whoever reads it there.
//
//   {"entry": base64 of 158 bytes, "domain": {…}, "record": the record's JSON as text,
//    "lease": "0x…"}
#pragma once
#include "market/auction.hpp"
#include "tlog/entry.hpp"

namespace assay::settle {

inline constexpr std::size_t kAuctionBytesMax = 1u << 20;  // of a record

struct AuctionEntry {
  tlog::LogEntry entry;
  protocol::Domain domain;
  std::string record;  // JSON, to the byte what the entry commits to
  Hash lease{};        // opened from the offer awarded: for the market, which knows leases
};
std::string to_text(const AuctionEntry& entry);
// Form and sizes only.
Result<AuctionEntry> auction_entry_from_text(std::string_view text);

struct CheckedAuction {
  Hash call{}, awarded{};  // digests of the call and of the offer awarded
  market::Auction auction;
  market::Verdict verdict;
};
// The entry is an auction's, of this domain's ledger, signed by the buyer that made the call,
// commits to these bytes, and the record holds. Errors: invalid, mismatch, not_found (nobody won).
Result<CheckedAuction> check(const AuctionEntry& entry);

}  // namespace assay::settle
