// One layer of a model, or its head, over inputs that somebody supplies: what a sampled audit runs.
// The same Forward as everywhere, over a part of the model: no other layer's weights are read.
#pragma once
#include <memory>

#include "base/thread_pool.hpp"
#include "engine/isa.hpp"
#include "engine/model.hpp"
#include "engine/sampler.hpp"
#include "engine/types.hpp"

namespace assay::engine {

// Most positions of one run() of either.
inline constexpr std::size_t kPassPositions = 128;

// What one layer does to n positions. Rows are [position][width].
struct LayerRows {
  std::vector<float> leaving;       // dim
  std::vector<std::uint16_t> k, v;  // kv_dim each, IEEE fp16 bits: what a cell has
  // The first position with a NaN or infinity; rows from there on mean nothing.
  std::optional<std::uint32_t> fault;
};

class LayerPass {
 public:
  // layer < layer count, capacity ≤ context. The model was loaded whole or with this layer
  // (Model::load_layers); its file and the pool outlive the pass.
  LayerPass(const Model& model, std::uint32_t layer, ThreadPool& pool, Isa isa,
            std::uint32_t capacity);
  LayerPass(LayerPass&&) noexcept;
  ~LayerPass();

  // Positions [position(), position() + n), of which `entering` [n][dim] is the residual stream
  // entering the layer: any bits. 1 ≤ n ≤ kPassPositions, room for them. Not again after a fault.
  LayerRows run(std::span<const float> entering);
  // Takes k and v of the next positions as a run returned them, in place of that run.
  void restore(std::span<const std::uint16_t> k, std::span<const std::uint16_t> v);
  std::uint32_t position() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What the head makes of n positions.
struct HeadRows {
  std::vector<Token> tokens;           // chosen, in order; ends before a fault
  std::vector<HeadLogprobs> logprobs;  // as many, if asked for
  std::optional<std::uint32_t> fault;  // position
};

class HeadPass {
 public:
  // tape: the tokens of every position up to the last one that will be run (penalties read them).
  // sampling and logprobs as in Slice.
  HeadPass(const Model& model, ThreadPool& pool, Isa isa, std::span<const Token> tape,
           const Sampling& sampling, std::uint32_t logprobs);
  ~HeadPass();

  // Heads of positions [position, position + n) < tape.size(), of which `leaving` [n][dim] is the
  // residual stream leaving the last layer. The sink, which may be null, gets logits and head().
  HeadRows run(std::uint32_t position, std::span<const float> leaving, StateSink* sink);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay::engine
