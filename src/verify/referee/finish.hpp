// What is wrong with a statement before any arithmetic: how it ends, and what it answers
// (spec/dispute.md section 4, "Without a game").
#pragma once
#include "verify/referee/referee.hpp"

namespace assay::verify {

// follows: nothing is wrong with it where the proof looks. differs: the provider is wrong. Where
// no execution of the request exists, or request and statement contradict each other, any proof
// shows it, an empty one too. Errors: mismatch (the proof does not open), invalid (malformed).
Result<StepVerdict> judge_finish(const Subject& subject, ByteView proof);

// The proofs: a token of the answer beside the stop ids, and a token of the prompt. `chunk` is the
// chunk of 256 tokens that holds it, salt in front; `path` from it to the root.
Bytes finish_proof(std::span<const std::uint32_t> stop_ids, std::uint32_t answer_token,
                   ByteView chunk, std::span<const Hash> path);
Bytes prompt_proof(std::uint32_t prompt_token, ByteView chunk, std::span<const Hash> path);

}  // namespace assay::verify
