#include "tlog/receipt_entry.hpp"

namespace assay::tlog {

LogEntry place_of(const protocol::ReceiptFile& file) {
  LogEntry out;
  out.ledger = file.domain.separator();
  out.issuer = file.lease.message.provider;
  out.number = file.receipt.message.key_sequence;
  return out;
}

Hash entry_salt(const protocol::ReceiptFile& file, const Hash& salt_secret) {
  return receipt_salt(salt_secret, protocol::digest(file.domain, file.receipt.message));
}

Status check_receipt_entry(const LogEntry& entry, const protocol::ReceiptFile& file,
                           const Hash& salt) {
  CHECK_OK(entry.check_signature());
  const LogEntry place = place_of(file);
  if (entry.kind != EntryKind::salted)
    return fail(Errc::mismatch, "the entry is of an auction, not of a receipt");
  if (entry.ledger != place.ledger)
    return fail(Errc::mismatch, "the entry is of another ledger than the receipt");
  if (entry.issuer != place.issuer)
    return fail(Errc::mismatch, "the entry is {}'s, the receipt {}'s", entry.issuer.to_string(),
                place.issuer.to_string());
  if (entry.number != place.number)
    return fail(Errc::mismatch, "the entry is number {}, the receipt number {}", entry.number,
                place.number);
  const Hash digest = protocol::digest(file.domain, file.receipt.message);
  if (entry.commitment != receipt_commitment(salt, digest))
    return fail(Errc::mismatch,
                "number {} of {} in the log is not this receipt: it signed another one, or a void, "
                "under the same number",
                entry.number, entry.issuer.to_string());
  return {};
}

}  // namespace assay::tlog
