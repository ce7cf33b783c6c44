#include "protocol/constraint.hpp"

#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"

namespace assay::protocol {

Bytes to_bytes(const ConstraintParts& parts) {
  Bytes out;
  append(out, parts.table_root);
  append_le(out, parts.states);
  append(out, parts.pieces_root);
  return out;
}

ConstraintParts constraint_parts(std::span<const std::uint8_t, kConstraintPartsBytes> bytes) {
  ConstraintParts out;
  std::ranges::copy(bytes.first<32>(), out.table_root.begin());
  out.states = load_le<std::uint32_t>(&bytes[32]);
  std::ranges::copy(bytes.last<32>(), out.pieces_root.begin());
  return out;
}

Hash constraint_root(const ConstraintParts& parts) {
  constexpr std::string_view kLabel = "assay/constraint/v0";
  Bytes bytes(kLabel.begin(), kLabel.end());
  append(bytes, to_bytes(parts));
  return crypto::sha256(bytes);
}

Bytes automaton_row(const canon::Automaton& automaton, std::uint32_t state) {
  Bytes out;
  out.reserve(kAutomatonRowBytes);
  for (unsigned byte = 0; byte < 256; ++byte)
    append_le(out,
              static_cast<std::uint16_t>(automaton.next(state, static_cast<std::uint8_t>(byte))));
  out.push_back(automaton.accepting(state) ? 1 : 0);
  return out;
}

Bytes piece_leaf(const canon::Piece& piece) {
  Bytes out{static_cast<std::uint8_t>(piece.kind)};
  out.insert(out.end(), piece.bytes.begin(), piece.bytes.end());
  return out;
}

std::vector<Hash> row_hashes(const canon::Automaton& automaton) {
  std::vector<Hash> out;
  out.reserve(automaton.states());
  for (std::uint32_t state = 0; state < automaton.states(); ++state)
    out.push_back(crypto::leaf_hash(automaton_row(automaton, state)));
  return out;
}

std::vector<Hash> piece_hashes(std::span<const canon::Piece> pieces) {
  std::vector<Hash> out;
  out.reserve(pieces.size());
  for (const canon::Piece& piece : pieces) out.push_back(crypto::leaf_hash(piece_leaf(piece)));
  return out;
}

Hash table_root(const canon::Automaton& automaton) {
  return crypto::merkle_root(row_hashes(automaton));
}

Hash pieces_root(std::span<const canon::Piece> pieces) {
  return crypto::merkle_root(piece_hashes(pieces));
}

}  // namespace assay::protocol
