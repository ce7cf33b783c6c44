#include "verify/constraint.hpp"

#include <algorithm>
#include <bit>

namespace assay::verify {

protocol::ConstraintParts parts_of(const canon::Automaton& automaton,
                                   const engine::Pieces& pieces) {
  return {.table_root = protocol::table_root(automaton),
          .states = static_cast<std::uint32_t>(automaton.states()),
          .pieces_root = pieces.root(protocol::pieces_root)};
}

Result<std::shared_ptr<const engine::Constraint>> constraint_of(const protocol::Request& request,
                                                                ByteView automaton,
                                                                const engine::Model& model) {
  const bool constrained = request.constraint != Hash{};
  if (!constrained && automaton.empty()) return nullptr;
  if (!constrained || automaton.empty())
    return fail(Errc::mismatch, "{}",
                constrained ? "the request constrains the answer, but its automaton is missing"
                            : "an automaton, but the request does not constrain the answer");
  auto decoded = canon::decode_automaton(automaton);
  if (!decoded) return fail(Errc::mismatch, "{}", decoded.error().message);
  TRY(auto pieces, model.pieces());
  if (protocol::constraint_root(parts_of(*decoded, *pieces)) != request.constraint)
    return fail(Errc::mismatch,
                "the automaton is not the one the request commits to, for this model's vocabulary");
  return std::make_shared<const engine::Constraint>(std::move(*decoded), std::move(pieces));
}

Status check_servable(const engine::Constraint& constraint,
                      std::span<const std::uint32_t> stop_ids) {
  if (!std::ranges::equal(stop_ids, constraint.pieces().ends))
    return fail(Errc::invalid,
                "the stop ids of a constrained answer are those of the model's tokenizer");
  return constraint.check_ways_on();
}

engine::Sampling sampling_of(const protocol::Request& request) {
  engine::Sampling out;
  for (const protocol::LogitBias& bias : request.logit_bias)
    out.logit_bias.push_back({bias.token, std::bit_cast<float>(bias.bias_bits)});
  out.repetition_penalty = std::bit_cast<float>(request.repetition_penalty_bits);
  out.presence_penalty = std::bit_cast<float>(request.presence_penalty_bits);
  out.frequency_penalty = std::bit_cast<float>(request.frequency_penalty_bits);
  out.temperature = std::bit_cast<float>(request.temperature_bits);
  out.top_k = request.top_k;
  out.top_p = std::bit_cast<float>(request.top_p_bits);
  out.min_p = std::bit_cast<float>(request.min_p_bits);
  out.seed = request.seed;
  out.answer_from = request.prompt_count - request.continuation;
  return out;
}

Result<engine::Sampling> sampling_of(const protocol::Request& request, ByteView automaton,
                                     const engine::Model& model) {
  engine::Sampling out = sampling_of(request);
  TRY(out.constraint, constraint_of(request, automaton, model));
  return out;
}

}  // namespace assay::verify
