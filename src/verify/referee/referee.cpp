#include "verify/referee/referee.hpp"

#include "protocol/tokens.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {

Result<StepVerdict> judge_step(const Subject& subject, const Revealed& revealed,
                               const StepPlace& place, std::span<const std::uint32_t> running,
                               std::optional<std::uint32_t> claimed, ByteView proof) {
  if (proof.size() > kProofMax)
    return fail(Errc::invalid, "the proof has {} bytes, at most {} are read", proof.size(),
                kProofMax);
  const OpList list = ops_of(subject, place.leaf);
  if (place.op >= list.ops.size() || list.ops[place.op].kind == OpKind::threshold)
    return fail(Errc::invalid, "op {} of this leaf has no step", place.op);
  const Op& op = list.ops[place.op];
  const std::uint64_t chunk = place.element / kChunkValues;
  if (chunk >= op.chunks ||
      place.element % kChunkValues >= chunk_values(op, chunk, place.leaf.position) ||
      place.step >= steps_of(op, place.element, place.leaf.position) ||
      running.size() != place.step)
    return fail(Errc::invalid, "step {} of element {} of op {} does not exist", place.step,
                place.element, op.name);

  ProofInputs inputs(subject, revealed, list, place.leaf, proof);
  const auto value = execute_step(subject, list, place, running, inputs);
  if (!value && !inputs.invalid_model()) return std::unexpected(value.error());
  if (!inputs.finished()) return fail(Errc::invalid, "the proof holds more than the step asks for");
  if (inputs.invalid_model()) return StepVerdict::invalid_model;
  const bool follows = claimed ? !value->fault && value->bits == *claimed : value->fault;
  return follows ? StepVerdict::follows : StepVerdict::differs;
}

Result<bool> judge_salt(const Subject& subject, const LeafPlace& leaf, const Hash& salt,
                        const Hash& secret) {
  if (protocol::salt_commitment(secret) != subject.request.salt_commitment)
    return fail(Errc::mismatch, "the secret is not the one the request commits to");
  return salt != leaf_salt(secret, leaf.position, leaf.index);
}

}  // namespace assay::verify
