// A loaded model: hyper-parameters, weight views into the mapped GGUF, RoPE table.
// Loading refuses what canon 0 does not specify (architecture, tensor type, RoPE scaling, missing
// or mis-shaped tensors, non-finite scales or values), naming it.
#pragma once
#include <memory>
#include <mutex>
#include <optional>

#include "base/result.hpp"
#include "engine/gguf.hpp"
#include "engine/hyper.hpp"
#include "engine/rope_table.hpp"
#include "engine/types.hpp"

namespace assay::engine {

struct Pieces;

class Model {
 public:
  struct Layer {
    Tensor attn_norm, q, k, v, o, ffn_norm, gate, up, down;
    std::optional<Tensor> q_bias, k_bias, v_bias;  // qwen2; F32
    std::optional<Tensor> q_norm, k_norm;          // qwen3: RMSNorm of each head, F32
  };

  // `file` must outlive the model.
  static Result<std::shared_ptr<const Model>> load(ByteView file);
  // The same, but of the weights it reads, and checks, only those that layers_weights() names: for
  // whoever runs these layers alone, by part(). The others' bytes may be anything.
  static Result<std::shared_ptr<const Model>> load_layers(ByteView file,
                                                          std::span<const std::uint32_t> layers);
  // These layers of this model between its embedding and its output. No metadata goes along:
  // gguf() is empty.
  std::shared_ptr<const Model> part(std::span<const std::uint32_t> layers) const;

  const Hyper& hyper() const { return hyper_; }
  const Gguf& gguf() const { return gguf_; }
  const Tensor& embedding() const { return embedding_; }
  const Tensor& output_norm() const { return output_norm_; }
  const Tensor& output() const { return output_; }  // the embedding when tied
  bool tied() const { return tied_; }
  const std::vector<Layer>& layers() const { return layers_; }
  // Of every position of the context; the factors of Llama 3.1 are in it, not among the weights.
  const RopeTable& rope() const { return *rope_; }
  // What its tokens are to an automaton (constraint.hpp); made by the first call. Errors: those of
  // Tokenizer::from.
  Result<std::shared_ptr<const Pieces>> pieces() const;
  // Every weight in canonical order (spec/model.md, "Weights root"): embedding, layers in order,
  // output norm, output if not tied.
  std::vector<const Tensor*> weights() const;
  // Of those, the ones that embedding, head and these layers are made of (layers ascending).
  std::vector<const Tensor*> layers_weights(std::span<const std::uint32_t> layers) const;

 private:
  static Result<std::shared_ptr<Model>> open(ByteView file);

  Hyper hyper_{};
  Gguf gguf_;
  Tensor embedding_, output_norm_, output_;
  bool tied_ = false;
  std::vector<Layer> layers_;
  std::shared_ptr<const RopeTable> rope_;
  struct LazyPieces {
    std::mutex mutex;
    std::shared_ptr<const Pieces> made;
  };
  std::shared_ptr<LazyPieces> pieces_;
};

}  // namespace assay::engine
