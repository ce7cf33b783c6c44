#include "settle/dispute_referee.hpp"

#include "crypto/sha256.hpp"
#include "settle/dispute_game.hpp"
#include "verify/keyed.hpp"
#include "verify/referee/finish.hpp"
#include "verify/referee/opening.hpp"

namespace assay::settle {
namespace {

using market::DisputeCase;
using market::GameStatus;
using market::Turn;
using protocol::Outcome;
using verify::DisputeOutcome;
using verify::Game;
using verify::Phase;

Result<std::shared_ptr<const verify::Subject>> shared_subject(const DisputeCase& about) {
  TRY(auto subject, subject_of(about.execution, about.program, about.request, about.statement));
  return std::make_shared<const verify::Subject>(std::move(subject));
}

std::string leaf_name(const verify::Subject& subject, const verify::LeafPlace& leaf) {
  const bool head = leaf.index == subject.program.layers;
  return fmt::format("position {}, {}{}", leaf.position, leaf.fault ? "fault in " : "",
                     head ? "head" : fmt::format("layer {}", leaf.index));
}

// The proof once more, for what it gives: the game keeps only whether that is what was committed.
std::string result_of(const Game& game, ByteView proof) {
  verify::ProofInputs inputs(game.subject(), game.revealed(), game.ops(), game.place().leaf, proof);
  const auto running =
      game.running().first(std::min<std::size_t>(game.place().step, game.running().size()));
  const auto value =
      verify::execute_step(game.subject(), game.ops(), game.place(), running, inputs);
  if (inputs.invalid_model()) return "a weight that no valid model has";
  if (!value) return "nothing";
  return value->fault ? "a fault" : fmt::format("{:#010x}", value->bits);
}

// What the provider says of the step: the bits it committed to, or a fault.
std::string committed(const Game& game) {
  const auto& place = game.place();
  const auto& fault = game.fault();
  if (fault && place.op == fault->op && place.step == fault->running) return "a fault";
  if (!game.running().empty()) return fmt::format("{:#010x}", game.running()[place.step]);
  const auto width = verify::value_bytes(game.ops().ops[place.op].type);
  std::uint32_t bits = 0;
  const auto at = place.element % verify::kChunkValues * width;
  for (std::size_t i = width; i-- > 0;) bits = bits << 8 | game.values()[at + i];
  return fmt::format("{:#010x}", bits);
}

std::string reason_of(const Game& game, ByteView last) {
  const auto leaf = leaf_name(game.subject(), game.place().leaf);
  if (game.phase() == Phase::salt)
    return fmt::format("{}: the salt is {}that of the request's secret", leaf,
                       game.outcome() == DisputeOutcome::provider_wrong ? "not " : "");
  const auto& place = game.place();
  return fmt::format("{}, op {}, element {}, step {}: committed {}, the step gives {}", leaf,
                     game.ops().ops[place.op].name, place.element, place.step, committed(game),
                     result_of(game, last));
}

Outcome outcome_of(DisputeOutcome outcome) {
  switch (outcome) {
    case DisputeOutcome::provider_wrong:
      return Outcome::provider_wrong;
    case DisputeOutcome::challenger_wrong:
      return Outcome::provider_right;
    case DisputeOutcome::invalid_model:
      return Outcome::invalid_model;
    case DisputeOutcome::open:
      break;
  }
  return Outcome::not_judged;
}

}  // namespace

Result<GameStatus> DisputeReferee::replay(const DisputeCase& about,
                                          std::span<const market::SignedMove> moves) const {
  TRY(auto subject, shared_subject(about));
  TRY(Game game, Game::start(std::move(subject), about.dispute, about.subject));
  for (const auto& move : moves) {
    const auto play = [&]() -> Status {
      if (game.outcome() != DisputeOutcome::open)
        return fail(Errc::refused, "the game was over before");
      const auto& mover = game.turn() == verify::Side::provider ? about.defender : about.challenger;
      const market::Signed<protocol::Move> signed_move{
          {about.dispute, game.moves(), game.state(), crypto::sha256(move.payload)},
          move.signature};
      CHECK_OK(protocol::check_signature(about.domain, signed_move, mover));
      return game.play(move.payload);
    };
    const auto number = game.moves();
    if (auto played = play(); !played)
      return fail_in(fmt::format("move {}", number), played.error());
  }
  GameStatus out;
  out.state = game.state();
  out.moves = game.moves();
  out.rounds = game.provider_moves();
  if (game.outcome() == DisputeOutcome::open) {
    out.turn = game.turn() == verify::Side::provider ? Turn::provider : Turn::challenger;
    return out;
  }
  out.turn = Turn::over;
  out.outcome = outcome_of(game.outcome());
  out.reason = reason_of(game, moves.back().payload);
  return out;
}

Result<GameStatus> DisputeReferee::judge_finish(const DisputeCase& about, ByteView proof) const {
  TRY(const auto subject, shared_subject(about));
  TRY(const auto verdict, verify::judge_finish(*subject, proof));
  GameStatus out;
  out.turn = Turn::over;
  const bool right = verdict == verify::StepVerdict::follows;
  out.outcome = right ? Outcome::provider_right : Outcome::provider_wrong;
  out.reason = right ? "nothing is wrong with how the answer ends or what it answers"
                     : "the answer ends otherwise than its tokens say, or answers no request that "
                       "has an execution";
  return out;
}

Status DisputeReferee::open_check(const DisputeCase& about, ByteView proof) const {
  TRY(const auto subject, shared_subject(about));
  return verify::open_check(*subject, proof);
}

Status DisputeReferee::judge_check(ByteView proof, const market::KeyedCommit& commit,
                                   ByteView answer) const {
  return verify::judge_check(
      proof, {commit.beacon, commit.audit, commit.auditor, commit.nonce_hash, commit.root_hash},
      answer);
}

const market::Referee& dispute_referee() {
  static const DisputeReferee referee;
  return referee;
}

}  // namespace assay::settle
