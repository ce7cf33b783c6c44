// Steps of the constraint: one byte of one token, from one row of the automaton's table.
#include <bit>

#include "canon/sampling.hpp"
#include "verify/referee/step_reader.hpp"

namespace assay::verify {
namespace {

using canon::Piece;

// Byte `step` of the token's piece from `before`; beyond its end nothing changes. What is no piece
// a vocabulary has is never part of an answer.
StepResult transition(StepReader& in, const protocol::ConstraintParts& parts, std::uint32_t before,
                      std::uint32_t token) {
  if (token >= in.program().vocab) return word(canon::kDead);
  TRY(const ByteView piece, in.piece(token));
  const std::size_t length = piece.size() - 1;
  const bool text = piece[0] == static_cast<std::uint8_t>(Piece::Kind::text) && length > 0 &&
                    length <= canon::kPieceMax;
  const bool end = piece[0] == static_cast<std::uint8_t>(Piece::Kind::end) && length == 0;
  if (in.step() >= (text ? length : 1)) return word(before);
  if ((!text && !end) || before >= parts.states) return word(canon::kDead);
  const std::uint8_t byte = text ? piece[1 + in.step()] : 0;
  TRY(const ByteView row, in.automaton_row(before));
  if (end) return word(row[protocol::kAutomatonRowBytes - 1] != 0 ? canon::kEnded : canon::kDead);
  return word(load_le<std::uint16_t>(&row[2 * std::size_t{byte}]));
}

}  // namespace

StepResult step_answer_state(StepReader& in) {
  TRY(const protocol::ConstraintParts parts, in.constraint());
  const auto token_at = static_cast<std::uint32_t>(in.op().first + in.element());
  std::uint32_t before = in.bits_before();
  if (in.step() == 0 && in.element() > 0) {
    TRY(before, in.bits(in.self(), in.element() - 1));
  }
  TRY(const std::uint32_t token, in.token(token_at));
  return transition(in, parts, before, token);
}

StepResult step_piece_state(StepReader& in) {
  TRY(const protocol::ConstraintParts parts, in.constraint());
  std::uint32_t before = in.bits_before();
  if (in.step() == 0 && StepReader::given(in.op().a)) {
    TRY(before, in.bits(in.op().a, in.values_of(in.op().a) - 1));
  }
  return transition(in, parts, before, static_cast<std::uint32_t>(in.element()));
}

StepResult step_constrain(StepReader& in) {
  TRY(const float score, in.value(in.op().a, in.element()));
  TRY(const std::uint32_t state, in.bits(in.op().b, in.element()));
  return number(state == canon::kDead ? canon::kForbidden : score);
}

}  // namespace assay::verify
