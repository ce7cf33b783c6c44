#include "verify/dispute/game.hpp"

#include "crypto/sha256.hpp"

namespace assay::verify {

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::positions:
      return "positions";
    case Phase::leaves:
      return "leaves";
    case Phase::ops:
      return "ops";
    case Phase::chunks:
      return "chunks";
    case Phase::values:
      return "values";
    case Phase::running:
      return "running";
    case Phase::step:
      return "step";
    case Phase::salt:
      return "salt";
  }
  return "?";
}

std::string_view to_string(DisputeOutcome outcome) {
  switch (outcome) {
    case DisputeOutcome::open:
      return "open";
    case DisputeOutcome::provider_wrong:
      return "provider wrong";
    case DisputeOutcome::challenger_wrong:
      return "challenger wrong";
    case DisputeOutcome::invalid_model:
      return "invalid model";
  }
  return "?";
}

Result<Game> Game::start(std::shared_ptr<const Subject> subject, const Hash& dispute,
                         const Hash& statement) {
  const protocol::Request& request = subject->request;
  if (request.prompt_count == 0 || request.continuation >= request.prompt_count ||
      (subject->count == 0 && !subject->ends_in_fault()))
    return fail(Errc::invalid, "no execution has this statement: it is judged without a game");
  const std::uint64_t positions =
      std::uint64_t{request.prompt_count} + subject->count - (subject->ends_in_fault() ? 0 : 1);
  if (positions > kPositionsMax)
    return fail(Errc::invalid, "{} positions, a dispute has at most {}", positions, kPositionsMax);
  Game game;
  Bytes data;
  append(data, view("assay/dispute/v0"));
  append(data, dispute);
  append(data, statement);
  game.state_ = crypto::sha256(data);
  game.subject_ = std::move(subject);
  return game;
}

Side Game::turn() const {
  const bool challenger = choosing_ || phase_ == Phase::step || phase_ == Phase::salt;
  return challenger ? Side::challenger : Side::provider;
}

Status Game::play(ByteView payload) {
  if (outcome_ != DisputeOutcome::open)
    return fail(Errc::refused, "the dispute is over: {}", to_string(outcome_));
  if (payload.size() > kPayloadMax)
    return fail(Errc::invalid, "a move of {} bytes, at most {} are allowed", payload.size(),
                kPayloadMax);
  const Side side = turn();
  if (side == Side::provider) {
    CHECK_OK(reveal(payload));
    ++provider_moves_;
  } else {
    if (!choosing_) {
      CHECK_OK(judge(payload));
    } else {
      if (payload.size() != 4)
        return fail(Errc::invalid, "{}: a choice has 4 bytes, not {}", to_string(phase_),
                    payload.size());
      CHECK_OK(choose(load_le<std::uint32_t>(payload.data())));
    }
    ++challenger_moves_;
  }
  Bytes data;
  append(data, view("assay/move/v0"));
  append(data, state_);
  append(data, crypto::sha256(payload));
  state_ = crypto::sha256(data);
  return {};
}

Status Game::expire() {
  if (outcome_ != DisputeOutcome::open)
    return fail(Errc::refused, "the dispute is over: {}", to_string(outcome_));
  outcome_ =
      turn() == Side::provider ? DisputeOutcome::provider_wrong : DisputeOutcome::challenger_wrong;
  expired_ = true;
  return {};
}

std::uint32_t Game::value_at(std::uint64_t index) const {
  const std::size_t width = value_bytes(ops_.ops[place_.op].type);
  std::uint32_t bits = 0;
  std::memcpy(&bits, values_.data() + index * width, width);
  return bits;
}

Status Game::choose(std::uint32_t choice) {
  switch (phase_) {
    case Phase::positions:
      CHECK_OK(choose_child(positions_, choice));
      if (node_.leaves == 1) {
        place_.leaf.position = static_cast<std::uint32_t>(node_.first);
        phase_ = Phase::leaves;
      }
      return {};
    case Phase::leaves:
      CHECK_OK(choose_child(leaves_, choice));
      if (node_.leaves == 1) {
        place_.leaf.index = static_cast<std::uint32_t>(node_.first);
        place_.leaf.fault = subject_->ends_in_fault() &&
                            place_.leaf.position == revealed_.positions - 1 &&
                            place_.leaf.index == revealed_.position_leaves - 1;
        ops_ = ops_of(*subject_, place_.leaf);
        phase_ = Phase::ops;
      }
      return {};
    case Phase::ops:
      return choose_op(choice);
    case Phase::chunks:
      CHECK_OK(choose_child(chunks_, choice));
      if (node_.leaves == 1) enter_chunk();
      return {};
    case Phase::values: {
      const std::uint32_t count = chunk_values(ops_.ops[place_.op], chunk_, place_.leaf.position);
      if (choice >= count) return fail(Errc::invalid, "value {} of a chunk of {}", choice, count);
      enter_element(choice);
      return {};
    }
    case Phase::running: {
      // Before a fault, the step after the last one revealed is the one that faults.
      const std::size_t count = running_.size() + (at_fault() ? 1 : 0);
      if (choice >= count) return fail(Errc::invalid, "running value {} of {}", choice, count);
      place_.step = choice;
      phase_ = Phase::step;
      choosing_ = false;
      return {};
    }
    case Phase::step:
    case Phase::salt:
      break;
  }
  return fail(Errc::internal, "no choice is due");
}

Status Game::choose_child(std::vector<Descent>& descents, std::uint32_t choice) {
  const auto shapes = children_of(node_);
  if (choice >= shapes.size())
    return fail(Errc::invalid, "{}: child {} of {}", to_string(phase_), choice, shapes.size());
  hash_ = descents.back().children[choice];
  node_ = shapes[choice];
  choosing_ = false;
  return {};
}

Status Game::choose_op(std::uint32_t choice) {
  if (choice == kChooseSalt) {
    phase_ = Phase::salt;
    choosing_ = false;
    return {};
  }
  const std::size_t count = revealed_.op_roots.size() + (fault_ ? 1 : 0);
  if (choice >= count) return fail(Errc::invalid, "op {} of {}", choice, count);
  const Op& op = ops_.ops[choice];
  if (op.kind == OpKind::threshold)
    return fail(Errc::invalid, "{} has no step: what is wrong with it shows in a later op",
                op.name);
  place_.op = choice;
  choosing_ = false;
  if (at_fault()) {
    place_.element = fault_->element;
    phase_ = fault_->running > 0 ? Phase::running : Phase::step;
    place_.step = 0;
    return {};
  }
  hash_ = revealed_.op_roots[choice];
  if (op.scalar) {
    values_.assign(hash_.begin(), hash_.begin() + 4);
    enter_element(0);
    return {};
  }
  node_ = {0, op.chunks};
  if (op.chunks == 1)
    enter_chunk();
  else
    phase_ = Phase::chunks;
  return {};
}

void Game::enter_chunk() {
  chunk_ = node_.first;
  phase_ = Phase::values;
}

void Game::enter_element(std::uint32_t index) {
  place_.element = chunk_ * kChunkValues + index;
  place_.step = 0;
  choosing_ = false;
  const bool steps = steps_of(ops_.ops[place_.op], place_.element, place_.leaf.position) > 1;
  phase_ = steps ? Phase::running : Phase::step;
}

Status Game::judge(ByteView proof) {
  if (phase_ == Phase::salt) {
    Hash secret{};
    if (proof.size() != secret.size())
      return fail(Errc::invalid, "a salt secret has 32 bytes, not {}", proof.size());
    std::ranges::copy(proof, secret.begin());
    TRY(const bool wrong, judge_salt(*subject_, place_.leaf, revealed_.salt, secret));
    outcome_ = wrong ? DisputeOutcome::provider_wrong : DisputeOutcome::challenger_wrong;
    return {};
  }
  const bool faults = at_fault() && place_.step == fault_->running;
  std::optional<std::uint32_t> claimed;
  if (!faults)
    claimed = running_.empty() ? value_at(place_.element % kChunkValues) : running_[place_.step];
  TRY(const StepVerdict verdict,
      judge_step(*subject_, revealed_, place_, std::span(running_).first(place_.step), claimed,
                 proof));
  switch (verdict) {
    case StepVerdict::follows:
      outcome_ = DisputeOutcome::challenger_wrong;
      break;
    case StepVerdict::differs:
      outcome_ = DisputeOutcome::provider_wrong;
      break;
    case StepVerdict::invalid_model:
      outcome_ = DisputeOutcome::invalid_model;
      break;
  }
  return {};
}

Result<Game> replay_game(std::shared_ptr<const Subject> subject, const Hash& dispute,
                         const Hash& statement, std::span<const Bytes> payloads) {
  TRY(Game game, Game::start(std::move(subject), dispute, statement));
  for (std::size_t i = 0; i < payloads.size(); ++i)
    if (const auto ok = game.play(payloads[i]); !ok)
      return fail_in(fmt::format("move {}", i), ok.error());
  return game;
}

}  // namespace assay::verify
