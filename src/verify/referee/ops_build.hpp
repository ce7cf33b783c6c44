// Writes the list of ops of a leaf, part by part (spec/dispute.md section 3). Internal to ops_of.
#pragma once
#include "verify/referee/ops.hpp"

namespace assay::verify {

// Of an op's values, which are far fewer than 2^32 chunks.
constexpr std::uint32_t op_chunks(std::uint64_t values) {
  return static_cast<std::uint32_t>(chunks_of(values));
}

struct NormNames {
  const char *sum, *inverse, *value;
};
struct QuantNames {
  const char *q8_scale, *q8_quant, *q8k_scale, *q8k_quant;
};

// A vector where it is plain, and its quantized forms where some product takes them.
struct Activations {
  Source plain{}, q8{}, q8_scale{}, q8k{}, q8k_scale{};
};

class OpsBuilder {
 public:
  OpsBuilder(const Subject& subject, const LeafPlace& place)
      : subject_(subject), place_(place), p_(subject.program) {}

  void embedding();
  // Layer l as it gives the residual stream after it; x entering it.
  void layer(std::uint32_t l, Source x);
  void cache_row(std::uint32_t l, Source x);
  void head(Source x);

  // Ties the op to a root of the leaf, where the leaf has roots.
  void tie(Source op, Op::Tie what);

  Source last() const { return at(static_cast<std::uint32_t>(list_.ops.size() - 1)); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(list_.ops.size()); }
  OpList take(std::uint32_t fault_from) {
    list_.fault_from = fault_from;
    return std::move(list_);
  }

 private:
  static Source at(std::uint32_t op) { return {.from = Source::From::op, .op = op}; }
  std::uint32_t positions() const { return place_.position + 1; }
  std::uint32_t segments() const { return (positions() + kChunkValues - 1) / kChunkValues; }

  // Fills what follows from the rest: number of chunks. Returns where the op is.
  Source add(Op op);
  Source scalar(OpKind kind, const char* name, ValueType type, std::uint32_t steps, Source a = {},
                Source b = {}, Source c = {});
  // heads: how many parts of `width` values are normed each for itself.
  Source norm(const NormNames& names, Source x, std::uint32_t heads, std::uint32_t width,
              TensorRole role, std::uint32_t layer);
  Activations quant(const QuantNames& names, Source x, std::uint64_t values,
                    std::initializer_list<TensorShape> weights);
  Source product(const char* name, const Activations& a, const TensorShape& weights);
  Source bias(const char* name, Source x, TensorRole role, std::uint32_t layer);
  Source attention(std::uint32_t l, Source q);
  void adjusted(Source& logits);
  Source constrained(Source scores);
  Source drawn(Source logits);
  Source top_k(Source z);
  Source nucleus(Source p);
  void choice(Source scores);
  void logprobs(Source logits);

  const Subject& subject_;
  const LeafPlace& place_;
  const Program& p_;
  OpList list_;
  // The rows of the leaf's own layer and position, where a layer after them reads them.
  Source own_k_{}, own_v_{}, token_{};
};

}  // namespace assay::verify
