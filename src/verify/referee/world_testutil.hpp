// A small made-up model and request whose states are random and hostile, as inputs of steps; and
// whole ops computed from them one step after the other.
#pragma once
#include <functional>
#include <map>

#include "canon/automaton.hpp"
#include "canon/canon_testutil.hpp"
#include "protocol/constraint.hpp"
#include "verify/referee/step.hpp"

namespace assay::verify::test {

using canon::Format;
using canon::test::Random;

struct Shape {
  std::string architecture = "llama";
  std::uint32_t vocab = 90, dim = 256, layers = 1, heads = 2, kv_heads = 1, head_dim = 48,
                ffn = 256, context = 1024;
  bool tied = false;
  // Types of the matrices, used in turn; norms and biases are F32.
  std::vector<Format> formats{Format::q8_0};
};
Program program_of(const Shape& shape);

// Finite weights of every kind in the GGUF bytes of one row.
Bytes random_row(Random& random, Format format, std::uint64_t cols);
std::uint16_t random_half(Random& random);  // finite, mostly around 1

struct World {
  Subject subject;
  std::vector<std::uint32_t> prompt, answer;
  std::vector<TensorShape> tensors;  // by index
  std::vector<Bytes> weights;        // rows one after the other
  std::vector<float> rope;
  std::vector<std::vector<std::uint32_t>> logprobs;  // of each answer token
  // What the answer is held to, where `constrain` has been called.
  canon::Automaton automaton;
  std::vector<canon::Piece> pieces;
  protocol::ConstraintParts parts;

  World(const Shape& shape, std::uint32_t seed, std::uint32_t prompt_count = 4,
        std::uint32_t answer_count = 3);
  const Program& program() const { return subject.program; }
  // Draws an automaton and pieces, and an answer that it mostly accepts the beginning of.
  void constrain(std::uint32_t seed);
  ByteView row(const TensorShape& tensor, std::uint64_t row) const;
  std::vector<float> vector(TensorRole role, std::uint32_t layer) const;

  // States of leaves: made when first asked for, the same ever after.
  const std::vector<float>& x(std::uint32_t position, std::uint32_t leaf) const;
  const std::vector<std::uint16_t>& k(std::uint32_t position, std::uint32_t leaf) const;
  const std::vector<std::uint16_t>& v(std::uint32_t position, std::uint32_t leaf) const;

  // Replaces them by other values in a test.
  using At = std::pair<std::uint32_t, std::uint32_t>;
  mutable std::map<At, std::vector<float>> xs;
  mutable std::map<At, std::vector<std::uint16_t>> ks, vs;
  float largest = 4.0f;  // of x

 private:
  std::uint32_t seed_;
};

template <class T>
Bytes bytes_of(std::span<const T> values) {
  Bytes out(values.size_bytes());
  if (!out.empty()) std::memcpy(out.data(), values.data(), out.size());
  return out;
}
template <class T>
Bytes bytes_of(const std::vector<T>& values) {
  return bytes_of(std::span<const T>(values));
}
template <class T>
std::vector<T> values_of(ByteView bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

// The ops of one leaf, filled as they are computed.
class LeafRun : public StepInputs {
 public:
  LeafRun(const World& world, const LeafPlace& place);

  // Computes every op not yet there, in order, up to the first fault. The ids of alternatives and
  // the thresholds come from the canon.
  void run();
  // Sets an op's values instead of computing them.
  void set(std::string_view name, Bytes values);
  const OpList& list() const { return list_; }
  std::uint32_t find(std::string_view name, std::uint32_t from = 0) const;
  Bytes values(std::string_view name, std::uint32_t from = 0) const;  // whole op
  template <class T>
  std::vector<T> as(std::string_view name, std::uint32_t from = 0) const {
    return values_of<T>(values(name, from));
  }
  std::string fault() const { return fault_; }  // the op's name, or empty
  std::uint32_t faulted_op() const { return fault_op_; }

  // Of one element, all running values; shorter where it faults.
  std::vector<std::uint32_t> element(std::uint32_t op, std::uint64_t element);

  Result<ByteView> op_chunk(std::uint32_t op, std::uint64_t chunk) override;
  Result<ByteView> leaf_chunk(Row row, std::uint32_t position, std::uint32_t leaf,
                              std::uint32_t chunk) override;
  Result<ByteView> weight(const TensorShape& tensor, std::uint64_t row,
                          std::uint32_t chunk) override;
  Result<ByteView> rope(std::uint64_t chunk) override;
  Result<ByteView> tokens(bool answer, std::uint32_t chunk) override;
  Result<ByteView> logprobs(std::uint32_t answer_token) override;
  Result<ByteView> constraint_parts() override;
  Result<ByteView> piece(std::uint32_t token) override;
  Result<ByteView> automaton_row(std::uint32_t state) override;

 private:
  bool compute(std::uint32_t op);
  void choose(std::uint32_t op);  // what has no step

  const World& world_;
  LeafPlace place_;
  OpList list_;
  std::vector<std::vector<Bytes>> chunks_;  // of each op; empty: not there
  Bytes held_;
  std::string fault_;
  std::uint32_t fault_op_ = 0;
};

}  // namespace assay::verify::test
