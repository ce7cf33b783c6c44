// Regular languages over bytes: built as paths between states, made deterministic and minimal. The
// minimal automaton of a language is unique, and its states are numbered in the order in which a
// search by bytes from the start meets them: whoever builds the same language gets the same table.
#pragma once
#include <string_view>

#include "canon/automaton.hpp"

namespace assay::engine {

class Regular {
 public:
  using State = std::uint32_t;
  static constexpr State kStart = 0;

  Regular() { state(); }

  State state();
  void byte(State from, std::uint8_t first, std::uint8_t last, State to);
  void skip(State from, State to);  // without a byte
  // A path of these bytes; returns where it ends, or ends it at `to`.
  State text(State from, std::string_view bytes);
  void text(State from, std::string_view bytes, State to);
  void accept(State state);

  // More states than any automaton that fits was built from: whoever builds may stop.
  bool too_large() const { return edges_.size() > kNfaStatesMax; }

  // Errors: refused when it has more states, or its encoding more bytes, than an automaton may;
  // invalid when no text at all is in the language.
  Result<canon::Automaton> minimal() const;

 private:
  static constexpr std::size_t kNfaStatesMax = 1u << 18;

  struct Edge {
    std::uint8_t first, last;
    State to;
  };
  struct Deterministic;
  Deterministic determinize(Status& status) const;
  std::vector<State> closure(std::vector<State> states) const;

  std::vector<std::vector<Edge>> edges_;
  std::vector<std::vector<State>> skips_;
  std::vector<std::uint8_t> accepts_;
};

}  // namespace assay::engine
