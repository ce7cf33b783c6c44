// Constraints drawn by seed: automata in which answers get stuck, too, over any vocabulary.
#pragma once
#include <set>

#include "canon/canon_testutil.hpp"
#include "engine/constraint.hpp"

namespace assay::engine {

// Few bytes, so that tokens share beginnings.
inline std::shared_ptr<const Pieces> random_pieces(canon::test::Random& random,
                                                   std::size_t tokens) {
  std::vector<canon::Piece> list(tokens);
  for (canon::Piece& piece : list) {
    const std::uint32_t kind = random.below(20);
    if (kind == 0) continue;
    piece.kind = kind == 1 ? canon::Piece::Kind::end : canon::Piece::Kind::text;
    if (kind > 1)
      for (std::uint32_t i = 0; i <= random.below(5); ++i)
        piece.bytes += static_cast<char>("ab\xc3\xff"[random.below(4)]);
  }
  return Pieces::of(std::move(list));
}

inline std::shared_ptr<const Constraint> random_constraint(canon::test::Random& random,
                                                           std::shared_ptr<const Pieces> pieces) {
  std::set<std::uint8_t> alphabet;
  for (const canon::Piece& piece : pieces->list)
    for (const char c : piece.bytes) alphabet.insert(static_cast<std::uint8_t>(c));
  canon::Automaton automaton;
  const std::uint32_t states = 1 + random.below(6);
  for (std::uint32_t i = 0; i < states; ++i) automaton.add(random.below(2) == 0);
  for (std::uint32_t i = 0; i < states; ++i)
    for (const std::uint8_t byte : alphabet)
      if (random.below(3) > 0) automaton.set(i, byte, random.below(states));
  return std::make_shared<const Constraint>(std::move(automaton), std::move(pieces));
}

}  // namespace assay::engine
