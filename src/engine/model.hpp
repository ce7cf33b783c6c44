// A loaded Llama model: hyper-parameters, weight views into the mapped GGUF, RoPE table.
// Loading refuses what canon 0 does not specify (architecture, tensor type, rope scaling, missing
// or mis-shaped tensors, non-finite scales or values), naming it.
#pragma once
#include <memory>

#include "base/result.hpp"
#include "engine/gguf.hpp"
#include "engine/types.hpp"

namespace assay::engine {

struct Hyper {
  std::string architecture;  // "llama"
  std::uint32_t vocab, dim, layers, heads, kv_heads, head_dim, ffn, context;
  float rms_epsilon, rope_base;
  std::uint32_t kv_dim() const { return kv_heads * head_dim; }
};

class Model {
 public:
  struct Layer {
    Tensor attn_norm, q, k, v, o, ffn_norm, gate, up, down;
  };

  // `file` must outlive the model.
  static Result<std::shared_ptr<const Model>> load(ByteView file);

  const Hyper& hyper() const { return hyper_; }
  const Gguf& gguf() const { return gguf_; }
  const Tensor& embedding() const { return embedding_; }
  const Tensor& output_norm() const { return output_norm_; }
  const Tensor& output() const { return output_; }  // the embedding when tied
  bool tied() const { return tied_; }
  const std::vector<Layer>& layers() const { return layers_; }
  // cos, sin for (position, pair): [context][head_dim/2][2], by canon's double routine.
  std::span<const float> rope_table() const { return rope_; }
  // Every weight in canonical order (embedding, layers in order, output norm, output if not tied):
  // the order weights_root commits to.
  std::vector<const Tensor*> weights() const;

 private:
  Hyper hyper_{};
  Gguf gguf_;
  Tensor embedding_, output_norm_, output_;
  bool tied_ = false;
  std::vector<Layer> layers_;
  std::vector<float> rope_;
};

}  // namespace assay::engine
