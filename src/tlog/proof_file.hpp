// `.tlog-proof` files (c2sp.org/tlog-proof): an entry is in a log, checked offline.
#pragma once
#include "tlog/checkpoint.hpp"

namespace assay::tlog {

// As many hashes as a tree below 2^63 can need.
inline constexpr std::size_t kProofHashesMax = 63;

struct ProofFile {
  std::optional<Bytes> extra;  // opaque, authenticated by nothing
  std::uint64_t index = 0;
  std::vector<Hash> hashes;  // siblings from the leaf up
  std::string checkpoint;    // the signed note, verbatim
  bool operator==(const ProofFile&) const = default;
};

std::string to_string(const ProofFile& proof);
// The form only; the checkpoint is the rest of the text.
Result<ProofFile> parse_proof_file(std::string_view text);

// The checkpoint opens under `policy` and the leaf is entry number `index` of its tree. Errors:
// mismatch when it is not; open_checkpoint's.
Result<OpenedCheckpoint> verify_proof_file(const ProofFile& proof, const Hash& leaf_hash,
                                           const LogPolicy& policy);

}  // namespace assay::tlog
