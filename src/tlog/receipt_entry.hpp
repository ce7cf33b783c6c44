// A receipt's place in a log.
#pragma once
#include "protocol/files.hpp"
#include "tlog/entry.hpp"

namespace assay::tlog {

// What identifies the entry: everything but commitment and signature.
LogEntry place_of(const protocol::ReceiptFile& file);
// The salt that the request's salt secret makes for it. It opens this entry and nothing else.
Hash entry_salt(const protocol::ReceiptFile& file, const Hash& salt_secret);
// The entry is the provider's, under the receipt's number, and commits to it with this salt. The
// receipt itself is somebody else's business (verify/receipt). Errors: mismatch, saying which.
Status check_receipt_entry(const LogEntry& entry, const protocol::ReceiptFile& file,
                           const Hash& salt);

}  // namespace assay::tlog
