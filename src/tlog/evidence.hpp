// The log section of a bundle (spec/export.md section 4): which entry of which log commits to the
// receipt, and who cosigned that when.
#pragma once
#include "protocol/bundle.hpp"
#include "tlog/note.hpp"

namespace assay::tlog {

// Whom the reader believes. What a bundle names beside them is tried too, and told apart.
struct LogTrust {
  std::vector<VerifierKey> logs{}, witnesses{};
};

// Everything is checked offline: the entry is the provider's under the receipt's number and commits
// to it, it is in the tree of the checkpoint, and that is signed. Where the reader brings keys of
// the log of this origin, the bundle's own counts for nothing. Errors: invalid for what is no proof
// or key; mismatch for an entry, a proof or a signature that does not hold.
Result<protocol::LogPlace> place_in_log(const protocol::LogEvidence& evidence,
                                        const protocol::ReceiptFile& file, const LogTrust& trust);

}  // namespace assay::tlog
