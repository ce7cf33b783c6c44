// What canon 0 computes for a GGUF's metadata. Sources: spec/model.md, "Files canon 0 accepts";
// llama.cpp's src/models/{llama,qwen2,qwen3}.cpp for the meaning of keys and their defaults.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "base/result.hpp"
#include "engine/gguf.hpp"

namespace assay::engine {

struct Architecture {
  std::string_view name;  // general.architecture
  bool rope_halves;       // how RoPE pairs dimensions (canon/rope.hpp)
  bool qkv_bias;          // q, k and v have biases
  bool qk_norm;           // RMSNorm of every q and k head, before RoPE
  bool rope_factors;      // may carry rope_freqs.weight
};
std::span<const Architecture> architectures();

struct Hyper {
  std::string architecture;  // a name of architectures()
  std::uint32_t vocab, dim, layers, heads, kv_heads, head_dim, ffn, context;
  float rms_epsilon, rope_base;
  float rope_linear = 1;  // every angle is divided by it
  bool rope_halves = false, qkv_bias = false, qk_norm = false, rope_factors = false;
  std::uint32_t q_dim() const { return heads * head_dim; }  // not always dim
  std::uint32_t kv_dim() const { return kv_heads * head_dim; }
};

// All but the vocabulary (0 here), which the embedding's shape decides. Refuses by name what
// would change an answer in a way canon 0 does not specify.
Result<Hyper> read_hyper(const Gguf& file);

}  // namespace assay::engine
