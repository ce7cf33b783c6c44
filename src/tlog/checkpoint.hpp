// Checkpoints (c2sp.org/tlog-checkpoint): the note text in which a log says how long it is.
//   <origin> \n <tree size> \n <base64 root> \n [extension lines]
#pragma once
#include "tlog/note.hpp"

namespace assay::tlog {

// The largest tree: sizes are int64 for many readers.
inline constexpr std::uint64_t kTreeSizeMax = (std::uint64_t{1} << 63) - 1;

struct Checkpoint {
  std::string origin;
  std::uint64_t size = 0;
  Hash root{};
  std::vector<std::string> extensions{};  // opaque; we write none
  bool operator==(const Checkpoint&) const = default;
};

// The text that is signed; ends in '\n'.
std::string to_text(const Checkpoint& checkpoint);
Result<Checkpoint> parse_checkpoint(std::string_view text);
// Without leading zeros, at most kTreeSizeMax.
Result<std::uint64_t> parse_size(std::string_view text);
Result<Hash> parse_hash(std::string_view base64);

Note sign_checkpoint(const Checkpoint& checkpoint, const SignerKey& log);

struct OpenedCheckpoint {
  Checkpoint checkpoint;
  Note note;
  std::vector<Verified> verified;  // `key` counts log keys first, then witnesses
};
// Who may sign as the log of this origin, and whose cosignatures count.
struct LogPolicy {
  std::string origin;
  std::vector<VerifierKey> log;
  std::vector<VerifierKey> witnesses{};
  std::size_t quorum = 0;  // witnesses that must have cosigned

  // A log of one key whose name is its origin, as ours are.
  static LogPolicy of(const VerifierKey& log);
};
// Errors: invalid for what is no checkpoint; mismatch for another origin, no or a wrong signature
// of the log, a wrong one of a witness, or fewer than `quorum` witnesses.
Result<OpenedCheckpoint> open_checkpoint(std::string_view note, const LogPolicy& policy);

}  // namespace assay::tlog
