// The tokens that an automaton lets follow. Equal to canon::constrain for every state, without
// walking every token every time.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "canon/automaton.hpp"
#include "engine/tokenizer.hpp"

namespace assay::engine {

// What every token of a vocabulary is to an automaton: a property of the tokenizer alone.
struct Pieces {
  static std::shared_ptr<const Pieces> of(std::vector<canon::Piece> list);

  std::vector<canon::Piece> list;  // by token
  // The tokens of text in the order of their bytes, and how many bytes each begins with that the
  // one before it begins with, too.
  std::vector<Token> sorted;
  std::vector<std::uint8_t> shared;
  std::vector<Token> ends;  // ascending

  // What `hash` makes of the list: computed by the first call, the same for all.
  const Hash& root(const std::function<Hash(std::span<const canon::Piece>)>& hash) const;

 private:
  mutable std::once_flag hashed_;
  mutable Hash root_{};
};
std::shared_ptr<const Pieces> pieces_of(const Tokenizer& tokenizer);

class Constraint {
 public:
  Constraint(canon::Automaton automaton, std::shared_ptr<const Pieces> pieces);
  Constraint(const Constraint&) = delete;
  Constraint& operator=(const Constraint&) = delete;

  const canon::Constraint& reference() const { return reference_; }
  const canon::Automaton& automaton() const { return automaton_; }
  const Pieces& pieces() const { return *pieces_; }

  // Whether the answer can go on, or end, in every state of the automaton: it ends there and the
  // vocabulary has a token for that, or a byte leads on that is a token of its own. unsupported,
  // naming the state, if not.
  Status check_ways_on() const;

  // One bit a token, the least significant of a word first.
  using Mask = std::vector<std::uint64_t>;
  std::shared_ptr<const Mask> allowed(std::uint32_t state) const;
  // canon::constrain.
  void apply(std::span<float> z, std::span<const Token> answer) const;

 private:
  Mask compute(std::uint32_t state) const;

  canon::Automaton automaton_;
  std::shared_ptr<const Pieces> pieces_;
  canon::Constraint reference_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::uint32_t, std::shared_ptr<const Mask>> known_;
};

}  // namespace assay::engine
