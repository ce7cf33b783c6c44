// The Llama forward pass over one sequence's cache, a tile of tokens at a time. What Session runs.
// Papers: Touvron et al. 2023 (arXiv:2302.13971), Ainslie et al. 2023 (grouped queries,
// arXiv:2305.13245). Arithmetic: spec/canon.md.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/thread_pool.hpp"
#include "engine/types.hpp"
#include "engine/weights.hpp"

namespace assay::engine {

class Forward {
 public:
  static constexpr std::size_t kTile = 128;     // most tokens of one pass
  static constexpr std::size_t kHeadTile = 16;  // most heads (vocabulary rows) at once

  Forward(std::shared_ptr<const Model> model, ThreadPool& pool, const Kernels& kernels,
          std::uint32_t capacity);

  // Appends tokens (at most kTile) at position(); samples and fills `sampled` where position ≥
  // sample_from. Returns the fault with the lowest position, if any.
  std::optional<NumericFault> run(std::span<const Token> tokens, std::uint32_t sample_from,
                                  const Sampling& sampling, StateSink* sink,
                                  std::vector<Token>& sampled);

  std::uint32_t position() const { return position_; }
  std::uint32_t capacity() const { return capacity_; }
  std::span<const float> logits() const { return logits_; }

 private:
  struct Cache {  // one layer; layouts as in AttentionCache, per KV head
    std::vector<std::uint16_t> keys, values;
  };
  struct Product {
    const Matrix& matrix;
    float* out;  // [token - begin][matrix.rows]
  };
  using Body = std::function<void(std::size_t, std::size_t)>;

  void parallel(std::size_t count, std::size_t cost_each, const Body& body);
  // Tokens [begin, end) of the tile; a step that returns false marks its token as faulted.
  void for_tokens(std::size_t begin, std::size_t end, std::size_t cost_each,
                  const std::function<bool(std::size_t)>& step);
  void products(std::size_t begin, std::size_t end, std::initializer_list<Product> list,
                const std::vector<float>& x);
  bool quantize_for(std::initializer_list<const Matrix*> next, std::size_t token,
                    const std::vector<float>& x);
  void drop_faulted(std::uint32_t layer);

  void layer(std::uint32_t index, StateSink* sink);
  void store_cache(std::size_t token, Cache& cache);
  void attend(const Cache& cache);
  void emit(std::uint32_t layer, StateSink& sink);
  void head(std::size_t begin, std::size_t end, const Sampling& sampling, StateSink* sink,
            std::vector<Token>& sampled);

  std::shared_ptr<const Model> model_;
  const Hyper& hyper_;
  ThreadPool& pool_;
  const Kernels& kernels_;
  std::shared_ptr<const Weights> weights_;
  std::uint32_t capacity_, padded_capacity_, value_stride_, position_ = 0;
  float attention_scale_;
  std::vector<Cache> cache_;

  // One tile. tokens_: positions still without a fault; rows [token][width].
  std::size_t tokens_ = 0;
  std::optional<NumericFault> fault_;
  std::vector<std::uint8_t> faulted_, row_faults_;
  std::vector<float> x_, entering_, normed_, q_, k_, v_, mixed_, projected_, gate_, up_;
  std::vector<std::uint16_t> k_half_, v_half_;
  std::vector<std::int8_t> quants_;
  std::vector<float> scales_;
  std::vector<float> head_logits_, logits_;
};

}  // namespace assay::engine
