// The signed moves of a dispute: whoever holds them can show a third party who was right, or whose
// turn it is (spec/dispute.md section 6).
#pragma once
#include "protocol/typed.hpp"
#include "verify/dispute/game.hpp"

namespace assay::verify {

struct PlayedMove {
  protocol::Signed<protocol::Move> move;
  Bytes payload;
};

// {"message", "signature", "payload"}. Errors: invalid, naming the member.
json::object to_json(const PlayedMove& move);
Result<PlayedMove> move_from_json(const json::object& o);

class Transcript {
 public:
  // Errors: mismatch when the dispute is not signed by its challenger; as Game::start.
  static Result<Transcript> start(const protocol::Domain& domain,
                                  const protocol::Signed<protocol::Dispute>& dispute,
                                  const protocol::Address& provider,
                                  std::shared_ptr<const Subject> subject);

  enum class Added : std::uint8_t { played, repeated };
  // A move that was played already, bit for bit the same payload, is no error and changes nothing.
  // Errors, which change nothing: conflict (another payload under a number played), unavailable (a
  // number ahead of the next), mismatch (dispute, state, payload hash, signature), and those of
  // Game::play.
  Result<Added> add(const PlayedMove& move);
  // What the side whose turn it is signs to play this payload.
  protocol::Move next(ByteView payload) const;
  // Whoever's turn it is lets its deadline pass (Game::expire).
  Status expire() { return game_.expire(); }

  const Game& game() const { return game_; }
  const protocol::Signed<protocol::Dispute>& dispute() const { return dispute_; }
  std::span<const PlayedMove> moves() const { return moves_; }

  // {"dispute", "moves": […]}: what start and add take.
  json::object to_json() const;
  static Result<Transcript> from_json(const json::object& o, const protocol::Domain& domain,
                                      const protocol::Address& provider,
                                      std::shared_ptr<const Subject> subject);

 private:
  Transcript(const protocol::Domain& domain, const protocol::Signed<protocol::Dispute>& dispute,
             const protocol::Address& provider, const Hash& id, Game game)
      : domain_(domain), dispute_(dispute), provider_(provider), id_(id), game_(std::move(game)) {}

  protocol::Domain domain_;
  protocol::Signed<protocol::Dispute> dispute_;
  protocol::Address provider_;
  Hash id_;
  Game game_;
  std::vector<PlayedMove> moves_;
};

}  // namespace assay::verify
