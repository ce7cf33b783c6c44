#include "verify/dispute/transcript.hpp"

#include "crypto/sha256.hpp"
#include "protocol/json_codec.hpp"

namespace assay::verify {
namespace {

// More moves than any game has.
constexpr std::size_t kMovesMax = 64;

}  // namespace

json::object to_json(const PlayedMove& move) {
  json::object out = protocol::to_json(move.move);
  out.emplace("payload", protocol::encode(move.payload));
  return out;
}

Result<PlayedMove> move_from_json(const json::object& o) {
  json::object inner = o;
  const json::value* payload = o.if_contains("payload");
  if (payload == nullptr) return fail(Errc::invalid, "move: 'payload' is missing");
  PlayedMove out;
  if (const auto ok = protocol::decode(*payload, out.payload); !ok)
    return fail_in("move: 'payload'", ok.error());
  if (out.payload.size() > kPayloadMax)
    return fail(Errc::invalid, "move: a payload of {} bytes, at most {} are allowed",
                out.payload.size(), kPayloadMax);
  inner.erase("payload");
  TRY(out.move, protocol::signed_from_json<protocol::Move>(inner));
  return out;
}

Result<Transcript> Transcript::start(const protocol::Domain& domain,
                                     const protocol::Signed<protocol::Dispute>& dispute,
                                     const protocol::Address& provider,
                                     std::shared_ptr<const Subject> subject) {
  CHECK_OK(protocol::check_signature(domain, dispute, dispute.message.challenger));
  const Hash id = protocol::digest(domain, dispute.message);
  TRY(Game game, Game::start(std::move(subject), id, dispute.message.subject));
  return Transcript(domain, dispute, provider, id, std::move(game));
}

protocol::Move Transcript::next(ByteView payload) const {
  return {.dispute = id_,
          .number = game_.moves(),
          .state = game_.state(),
          .payload = crypto::sha256(payload)};
}

Result<Transcript::Added> Transcript::add(const PlayedMove& played) {
  const protocol::Move& move = played.move.message;
  if (move.dispute != id_) return fail(Errc::mismatch, "the move is another dispute's");
  if (crypto::sha256(played.payload) != move.payload)
    return fail(Errc::mismatch, "the payload beside the move is not the one signed");
  if (move.number < moves_.size()) {
    if (move.payload == moves_[move.number].move.message.payload &&
        move.state == moves_[move.number].move.message.state)
      return Added::repeated;
    return fail(Errc::conflict, "move {} was made already, and was another one", move.number);
  }
  if (game_.outcome() != DisputeOutcome::open)
    return fail(Errc::refused, "the dispute is over: {}", to_string(game_.outcome()));
  if (move.number > moves_.size())
    return fail(Errc::unavailable, "move {} came before move {}: send that first", move.number,
                moves_.size());
  if (move.state != game_.state())
    return fail(Errc::mismatch, "move {} continues another game", move.number);
  const protocol::Address& mover =
      game_.turn() == Side::provider ? provider_ : dispute_.message.challenger;
  CHECK_OK(protocol::check_signature(domain_, played.move, mover));
  CHECK_OK(game_.play(played.payload));
  moves_.push_back(played);
  return Added::played;
}

json::object Transcript::to_json() const {
  json::array moves;
  for (const PlayedMove& move : moves_) moves.push_back(verify::to_json(move));
  return {{"dispute", protocol::to_json(dispute_)}, {"moves", std::move(moves)}};
}

Result<Transcript> Transcript::from_json(const json::object& o, const protocol::Domain& domain,
                                         const protocol::Address& provider,
                                         std::shared_ptr<const Subject> subject) {
  if (o.size() != 2) return fail(Errc::invalid, "transcript: has members other than its two");
  TRY(const json::object* dispute, json::get_object(o, "dispute"));
  TRY(const json::array* moves, json::get_array(o, "moves"));
  if (moves->size() > kMovesMax)
    return fail(Errc::invalid, "transcript: {} moves, no game has more than {}", moves->size(),
                kMovesMax);
  TRY(const auto signed_dispute, protocol::signed_from_json<protocol::Dispute>(*dispute));
  TRY(Transcript out, start(domain, signed_dispute, provider, std::move(subject)));
  for (const json::value& value : *moves) {
    TRY(const json::object* move, json::as_object(value, "move"));
    TRY(const PlayedMove played, move_from_json(*move));
    if (const auto added = out.add(played); !added)
      return fail_in(fmt::format("transcript: move {}", out.moves_.size()), added.error());
  }
  return out;
}

}  // namespace assay::verify
