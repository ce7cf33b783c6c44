// Proofs made from outside, out of any log's tiles.
#pragma once
#include "tlog/entry.hpp"
#include "tlog/proof_file.hpp"
#include "tlog/tile.hpp"

namespace assay::tlog {

// The index of the entry with this kind, ledger, issuer and number among the first `size`. Reads
// entry bundles from the end: what is asked about is often new. Errors: not_found; the source's.
Result<std::uint64_t> find_entry(const LogEntry& place, std::uint64_t size, TileSource& tiles);

// That the entry is in the log of this checkpoint; the entry is in the proof as extra data. Nothing
// is believed: what is returned verifies under `policy`. Errors: open_checkpoint's and the
// source's; invalid for an index beyond the log; mismatch for tiles that do not make the
// checkpoint's root.
Result<ProofFile> prove_entry(std::uint64_t index, std::string checkpoint, const LogPolicy& policy,
                              TileSource& tiles);
// The same by what the entry is. Errors also: find_entry's.
Result<ProofFile> prove_entry(const LogEntry& place, std::string checkpoint,
                              const LogPolicy& policy, TileSource& tiles);

}  // namespace assay::tlog
