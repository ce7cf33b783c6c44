// The forward pass over a batch of sequences. What Session and Batcher run.
// Papers: Touvron et al. 2023 (arXiv:2302.13971), Ainslie et al. 2023 (grouped queries,
// arXiv:2305.13245), Yang et al. 2024/2025 (Qwen2: arXiv:2407.10671, Qwen3: arXiv:2505.09388).
// Arithmetic: spec/canon.md. A row of the batch is one token of one sequence; every row's bits
// depend on its own sequence only, whatever else is in the batch.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/thread_pool.hpp"
#include "engine/kernels/quantized.hpp"
#include "engine/kv_cache.hpp"
#include "engine/sampler.hpp"
#include "engine/types.hpp"
#include "engine/weights.hpp"

namespace assay::engine {

// Tokens to append to one sequence, and what came of it.
struct Slice {
  Sequence* sequence;
  std::span<const Token> tokens;  // at positions [position(), …); room is reserved
  // The head is computed, and a token chosen, at every position ≥ sample_from.
  std::uint32_t sample_from = 0;
  const Sampling* sampling = nullptr;
  StateSink* sink = nullptr;   // may be null
  std::uint32_t logprobs = 0;  // 0: none; 1 + n: the chosen token's and the n likeliest, per head
  // [token][dim]. Not null: what enters the first layer instead of the tokens' embeddings, and
  // where what leaves the last one goes (rows without a fault).
  const float* entering = nullptr;
  float* leaving = nullptr;

  // Results.
  std::vector<Token> sampled{};
  std::vector<HeadLogprobs> head_logprobs{};  // as many as sampled if asked for
  // The one with the lowest position, then layer. The sequence then ends before it.
  std::optional<NumericFault> fault{};
};

class Forward {
 public:
  static constexpr std::size_t kTile = kProductTokens;  // most rows of one pass
  // Most heads at once: an audit has one at every position, and reads the output matrix once a
  // tile.
  static constexpr std::size_t kHeadTile = 64;

  // The pool of threads runs one pass at a time. model and pool outlive it.
  Forward(std::shared_ptr<const Model> model, ThreadPool& pool, const Kernels& kernels);

  // Evaluates all slices, at most kTile tokens in all, each sequence once. The sink's fault() is
  // left to the caller.
  void run(std::span<Slice> slices);

  const PageLayout& layout() const { return layout_; }
  const Model& model() const { return *model_; }

 private:
  struct Row {
    std::uint32_t slice, position;
  };
  struct Lane {  // a slice's rows [begin, begin + alive) are without a fault
    std::size_t begin, alive;
  };
  struct Product {
    const Matrix& matrix;
    float* out;  // [row][matrix.rows]
  };
  using Body = std::function<void(std::size_t, std::size_t)>;
  using Step = std::function<bool(std::size_t)>;

  // cost_each: in multiply-adds.
  void parallel(std::size_t count, std::size_t cost_each, const Body& body);
  // The same, with the cells of the layer before handed to their sinks beside it.
  void parallel_beside_cells(std::size_t count, std::size_t cost_each, const Body& body);
  // Calls step for every row without a fault; false is a fault of that row in `layer`.
  void for_rows(std::uint32_t layer, std::size_t cost_each, const Step& step);
  void products(std::size_t rows, std::initializer_list<Product> list, const float* x);
  // Row `row` of `rows` at x, in every form the matrices that follow want.
  bool quantize_for(std::initializer_list<const Matrix*> next, std::size_t row, std::size_t rows,
                    const float* x);
  bool alive(std::size_t row) const;

  void layer(std::uint32_t index);
  bool finish_qkv(std::size_t row, std::uint32_t layer);
  void store_cache(std::size_t row, std::uint32_t layer);
  void attend(std::uint32_t layer);
  void hold_cells(std::uint32_t layer);
  void emit_cell(std::size_t row);
  void heads();
  void heads(std::span<const std::size_t> rows);
  void choose(std::span<const std::size_t> rows);

  std::shared_ptr<const Model> model_;
  const Hyper& hyper_;
  ThreadPool& pool_;
  const Kernels& kernels_;
  Weights weights_;
  PageLayout layout_;
  float attention_scale_;

  // One pass.
  std::span<Slice> slices_;
  std::vector<Row> rows_;
  std::vector<Lane> lanes_;
  std::vector<std::uint8_t> faulted_, row_faults_;
  // The cells of a layer that has ended, until they are handed over.
  struct {
    std::uint32_t layer = 0;
    std::vector<std::uint32_t> rows;
    std::vector<float> x;
    std::vector<std::uint16_t> k, v;
  } held_;
  // What is known of the rows whose heads are computed at once.
  struct Head {
    bool ended = false;  // without a token, by a fault before or at it
    bool greedy = false;
    Token token = 0;
    HeadLogprobs logprobs{};
  };
  std::vector<Head> heads_;
  struct PartMaximum {
    bool finite = true;
    Token token = 0;
  };
  std::vector<PartMaximum> part_maxima_;  // [head][part]
  // [row][width]
  std::vector<float> x_, entering_, normed_, q_, k_, v_, mixed_, projected_, gate_, up_, logits_;
  std::vector<std::uint16_t> k_half_, v_half_;
  Quantized quantized_;
};

}  // namespace assay::engine
