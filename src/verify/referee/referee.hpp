// Judges one step from a proof. Nothing here knows a model file or an engine; memory does not grow
// with the model. spec/dispute.md sections 3 to 5.
#pragma once
#include "verify/referee/step.hpp"

namespace assay::verify {

inline constexpr std::size_t kProofMax = 16 * 1024;

// Commitments revealed in the course of a dispute.
struct Revealed {
  Hash positions_root{};  // tree over the position leaves
  std::uint32_t positions = 0;
  Hash position_root{};                  // of the disputed position
  std::uint32_t position_leaves = 0;     // how many
  Hash salt{}, x{}, k{}, v{}, logits{};  // of the disputed leaf
  std::uint32_t token = 0;
  std::vector<Hash> op_roots;  // scalars: their 4 bytes, zero-padded
};

enum class StepVerdict : std::uint8_t { follows, differs, invalid_model };

// claimed: the committed value's bits; nullopt: the provider claims that this step faults.
// Errors are about the proof (mismatch: it does not open; invalid: malformed, too long, left over).
Result<StepVerdict> judge_step(const Subject& subject, const Revealed& revealed,
                               const StepPlace& place, std::span<const std::uint32_t> running,
                               std::optional<std::uint32_t> claimed, ByteView proof);

// The challenger's claim that the leaf's salt is not the secret's: true when it is not.
Result<bool> judge_salt(const Subject& subject, const LeafPlace& leaf, const Hash& salt,
                        const Hash& secret);

}  // namespace assay::verify
