// What a request's `constraint` commits to: an automaton over the bytes of the answer, and what
// each token of the model's vocabulary is to it (spec/canon.md, "Constraint"; spec/messages.md).
#pragma once
#include "canon/automaton.hpp"
#include "protocol/messages.hpp"

namespace assay::protocol {

// 256 × le16 next state, then u8 accepting.
inline constexpr std::size_t kAutomatonRowBytes = 513;

struct ConstraintParts {
  Hash table_root{};  // RFC 6962 over the rows, state by state
  std::uint32_t states = 0;
  Hash pieces_root{};  // RFC 6962 over u8 kind ‖ bytes, token by token
  bool operator==(const ConstraintParts&) const = default;
};
// table_root ‖ le32 states ‖ pieces_root, as proofs have them in front.
inline constexpr std::size_t kConstraintPartsBytes = 68;
Bytes to_bytes(const ConstraintParts& parts);
ConstraintParts constraint_parts(std::span<const std::uint8_t, kConstraintPartsBytes> bytes);
// sha256("assay/constraint/v0" ‖ the parts).
Hash constraint_root(const ConstraintParts& parts);

Bytes automaton_row(const canon::Automaton& automaton, std::uint32_t state);
Bytes piece_leaf(const canon::Piece& piece);
// Leaf hashes of the trees.
std::vector<Hash> row_hashes(const canon::Automaton& automaton);
std::vector<Hash> piece_hashes(std::span<const canon::Piece> pieces);
Hash table_root(const canon::Automaton& automaton);
Hash pieces_root(std::span<const canon::Piece> pieces);

}  // namespace assay::protocol
