#include "settle/auction_entry.hpp"

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/sha256.hpp"

namespace assay::settle {

std::string to_text(const AuctionEntry& entry) {
  return json::dump(json::object{{"entry", to_base64(entry.entry.to_bytes())},
                                 {"domain", entry.domain.to_json()},
                                 {"record", entry.record},
                                 {"lease", to_hex(entry.lease)}});
}

Result<AuctionEntry> auction_entry_from_text(std::string_view text) {
  TRY(const json::value v, json::parse(text, 4 * kAuctionBytesMax));
  TRY(const json::object* o, json::as_object(v, "an auction's entry"));
  AuctionEntry out;
  TRY(const std::string entry, json::get_string(*o, "entry"));
  TRY(const Bytes bytes, from_base64(entry));
  TRY(out.entry, tlog::LogEntry::parse(bytes));
  TRY(const json::object* domain, json::get_object(*o, "domain"));
  TRY(out.domain, protocol::Domain::from_json(*domain));
  TRY(out.record, json::get_string(*o, "record"));
  if (out.record.size() > kAuctionBytesMax)
    return fail(Errc::invalid, "a record of {} bytes, at most {} go into a log", out.record.size(),
                kAuctionBytesMax);
  TRY(out.lease, json::get_hash(*o, "lease"));
  return out;
}

Result<CheckedAuction> check(const AuctionEntry& e) {
  if (e.entry.kind != tlog::EntryKind::auction)
    return fail(Errc::invalid, "the entry is not an auction's");
  CHECK_OK(e.entry.check_signature());
  if (e.domain.separator() != e.entry.ledger)
    return fail(Errc::mismatch, "the entry is of another ledger than the record");
  if (e.entry.commitment != crypto::sha256(view(e.record)))
    return fail(Errc::mismatch, "the entry commits to another record");
  TRY(const json::value v, json::parse(e.record, kAuctionBytesMax));
  TRY(const json::object* o, json::as_object(v, "an auction"));
  CheckedAuction out;
  TRY(out.auction, market::auction_from_json(*o));
  const auto& call = out.auction.call.message;
  if (call.buyer != e.entry.issuer)
    return fail(Errc::mismatch, "the entry is {}'s, the auction {}'s", e.entry.issuer.to_string(),
                call.buyer.to_string());
  TRY(out.verdict, market::verify(e.domain, out.auction));
  out.call = protocol::digest(e.domain, call);
  out.awarded = protocol::digest(e.domain, out.auction.awarded->message);
  return out;
}

}  // namespace assay::settle
