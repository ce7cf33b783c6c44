// A request's constraint as the engine takes it.
#pragma once
#include "engine/constraint.hpp"
#include "engine/model.hpp"
#include "protocol/constraint.hpp"

namespace assay::verify {

// What the commitment of an answer constrained by this automaton is, with this vocabulary.
protocol::ConstraintParts parts_of(const canon::Automaton& automaton, const engine::Pieces& pieces);

// The constraint that the request commits to; null where there is none. automaton: canonical bytes,
// empty where there is none. Errors: mismatch when it is not the one committed to, for this model.
Result<std::shared_ptr<const engine::Constraint>> constraint_of(const protocol::Request& request,
                                                                ByteView automaton,
                                                                const engine::Model& model);

// What a buyer does not send and a provider does not take, though an execution of it exists: a
// constraint under which an answer can be stuck, or stop ids that are not all the tokenizer's.
Status check_servable(const engine::Constraint& constraint,
                      std::span<const std::uint32_t> stop_ids);

// The sampling that a request asks for; the first all of it but the constraint.
engine::Sampling sampling_of(const protocol::Request& request);
Result<engine::Sampling> sampling_of(const protocol::Request& request, ByteView automaton,
                                     const engine::Model& model);

}  // namespace assay::verify
