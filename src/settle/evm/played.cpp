#include "settle/evm/played.hpp"

#include "crypto/merkle.hpp"
#include "settle/dispute_game.hpp"
#include "verify/dispute/game.hpp"

namespace assay::settle::evm {
namespace {

using verify::Game;
using verify::Phase;
using verify::Side;

// The children that a reveal ends with; two of them have a count in front.
std::vector<Hash> children_in(ByteView payload) {
  std::vector<Hash> out(payload.size() / 32);
  for (std::size_t i = 0; i < out.size(); ++i)
    std::ranges::copy(payload.subspan(payload.size() % 32 + 32 * i, 32), out[i].begin());
  return out;
}

// The chosen child, then its path among the children.
Bytes child_with_path(ByteView reveal, ByteView choice) {
  Bytes out;
  const auto children = children_in(reveal);
  if (choice.size() != 4) return out;
  const auto at = load_le<std::uint32_t>(choice.data());
  if (at >= children.size()) return out;
  append(out, children[at]);
  for (const Hash& sibling : crypto::inclusion_proof(children, at)) append(out, sibling);
  return out;
}

// The ABI encoding of Revealed (IReferee.sol).
Bytes revealed_for_step(const Game& game) {
  const verify::Revealed& r = game.revealed();
  const bool fault = game.place().leaf.fault;
  const verify::Op& op = game.ops().ops[game.place().op];
  AbiWriter out;
  out.bytes32(r.positions_root).bytes32(r.position_root);
  out.uint(r.positions).uint(r.position_leaves);
  out.bytes32(fault ? Hash{} : r.x).bytes32(fault ? Hash{} : r.k).bytes32(fault ? Hash{} : r.v);
  out.bytes32(game.place().op < r.op_roots.size() ? r.op_roots[game.place().op] : Hash{});
  for (const verify::Source& source : {op.a, op.b, op.c, op.d})
    out.bytes32(source.from == verify::Source::From::op ? r.op_roots[source.op] : Hash{});
  return out.encode();
}

Bytes packed_biases(const protocol::Request& request) {
  Bytes out;
  for (const auto& bias : request.logit_bias)
    for (const std::uint32_t n : {bias.token, bias.bias_bits})
      for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(n >> shift));
  return out;
}

AbiWriter beside(const Game& game, ByteView last, ByteView payload) {
  Bytes earlier, biases;
  if (game.phase() == Phase::step) {
    earlier = revealed_for_step(game);
    if (game.ops().ops[game.place().op].kind == verify::OpKind::adjust)
      biases = packed_biases(game.subject().request);
  } else if (game.turn() == Side::challenger && game.phase() != Phase::salt) {
    const bool tree = game.phase() == Phase::positions || game.phase() == Phase::leaves ||
                      game.phase() == Phase::chunks;
    earlier = tree ? child_with_path(last, payload) : Bytes(last.begin(), last.end());
  }
  AbiWriter out;
  return out.bytes(payload).bytes(earlier).bytes(biases);
}

}  // namespace

AbiWriter bare_move(ByteView payload) {
  AbiWriter out;
  return out.bytes(payload).bytes({}).bytes({});
}

Result<std::vector<AbiWriter>> played_moves(const market::FileDispute& filed,
                                            const protocol::Domain& domain,
                                            std::span<const market::SignedMove> moves) {
  std::vector<AbiWriter> out;
  TRY(verify::Subject subject,
      subject_of(filed.execution, filed.program, filed.evidence.request.message,
                 filed.evidence.statement));
  const auto& dispute = filed.dispute.message;
  TRY(Game game, Game::start(std::make_shared<const verify::Subject>(std::move(subject)),
                             protocol::digest(domain, dispute), dispute.subject));
  ByteView last;
  bool sound = true;
  for (const market::SignedMove& move : moves) {
    sound = sound && game.outcome() == verify::DisputeOutcome::open;
    out.push_back(sound ? beside(game, last, move.payload) : bare_move(move.payload));
    sound = sound && game.play(move.payload).has_value();
    last = move.payload;
  }
  return out;
}

}  // namespace assay::settle::evm
