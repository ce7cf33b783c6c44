// A deterministic automaton over the bytes of an answer, and what a token is to it
// (spec/canon.md, "Constraint"). State 0 is where an answer begins.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::canon {

// Numbers that are no states: nothing leads on from them.
inline constexpr std::uint32_t kDead = 0xffff;   // no answer begins so
inline constexpr std::uint32_t kEnded = 0xfffe;  // an answer, and the token that ends it
inline constexpr std::size_t kStatesMax = 0x8000;
// Longest encoding of an automaton that travels.
inline constexpr std::size_t kAutomatonBytesMax = 1u << 16;
// Bytes of a token that a constrained answer may have.
inline constexpr std::size_t kPieceMax = 64;

class Automaton {
 public:
  // The number of the state; there are at most kStatesMax (asserted). All bytes lead to kDead.
  std::uint32_t add(bool accepting);
  void set(std::uint32_t state, std::uint8_t byte, std::uint32_t next);

  std::size_t states() const { return accepting_.size(); }
  bool accepting(std::uint32_t state) const { return state < states() && accepting_[state] != 0; }
  // kDead where `state` is none.
  std::uint32_t next(std::uint32_t state, std::uint8_t byte) const {
    return state < states() ? next_[state * std::size_t{256} + byte] : kDead;
  }
  bool operator==(const Automaton&) const = default;

 private:
  std::vector<std::uint16_t> next_;  // [state][byte]
  std::vector<std::uint8_t> accepting_;
};

// The canonical bytes: le16 states; of each varint(2 · ranges + accepting), then its ranges of
// bytes that lead to one state, ascending and as long as they can be, without those that lead to
// kDead: u8 bytes skipped since the last range, u8 length − 1, varint(zigzag(next − state)).
// Varints are LEB128 in their shortest form.
Bytes encode(const Automaton& automaton);
// invalid: anything encode() does not write, no state, a next state that does not exist.
Result<Automaton> decode_automaton(ByteView bytes);

// What a token is in a constrained answer.
struct Piece {
  enum class Kind : std::uint8_t {
    never,  // control tokens, empty ones, those of more than kPieceMax bytes
    text,   // `bytes`, 1 … kPieceMax
    end,    // a stop id of the tokenizer
  } kind = Kind::never;
  std::string bytes{};
  bool operator==(const Piece&) const = default;
};

// Where a token leads.
std::uint32_t walk(const Automaton& automaton, std::uint32_t state, const Piece& piece);

// Both must outlive it. pieces: of every token of the vocabulary.
struct Constraint {
  const Automaton& automaton;
  std::span<const Piece> pieces;
};
// After these tokens from the start; a token outside the vocabulary leads to kDead.
std::uint32_t state_after(const Constraint& constraint, std::span<const std::uint32_t> answer);

}  // namespace assay::canon
