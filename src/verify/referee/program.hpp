// The program bytes of spec/model.md: all shapes a referee needs, without the model file.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "canon/format.hpp"

namespace assay::verify {

inline constexpr std::size_t kProgramMax = 4096;  // bytes

struct Program {
  std::string architecture;
  std::uint32_t vocab = 0, dim = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0,
                context = 0;
  float rms_epsilon = 0, rope_base = 0;
  bool tied = false;
  bool rope_halves = false, qkv_bias = false, qk_norm = false;  // by the architecture's name
  Hash rope_root{}, tokenizer{};
  std::vector<canon::Format> formats;  // of every tensor, in canonical order
  bool has_template = false;
  Hash chat_template{};

  std::uint32_t q_dim() const { return heads * head_dim; }
  std::uint32_t kv_dim() const { return kv_heads * head_dim; }
};

// What a tensor is for; layer tensors are per layer.
enum class TensorRole : std::uint8_t {
  token_embd,
  attn_norm,
  attn_q,
  attn_k,
  attn_v,
  q_bias,
  k_bias,
  v_bias,
  q_norm,
  k_norm,
  attn_output,
  ffn_norm,
  ffn_gate,
  ffn_up,
  ffn_down,
  output_norm,
  output,  // token_embd where tied
};
struct TensorShape {
  std::uint32_t index;       // place in the canonical order of spec/model.md
  std::uint64_t rows, cols;  // 1 row for vectors
  canon::Format format;
};
// The role must exist for the architecture (asserted); layer < layers for layer tensors.
TensorShape tensor_shape(const Program& program, TensorRole role, std::uint32_t layer);

// Any bytes. Errors: invalid (malformed, unknown architecture or format, shapes beyond
// spec/dispute.md section 2, wrong number of formats, rows that are no whole blocks).
Result<Program> parse_program(ByteView bytes);
Bytes program_bytes(const Program& program);
Hash program_hash(const Program& program);

}  // namespace assay::verify
