// Builds GGUF files in memory for tests and fuzz seeds: any metadata, any tensors, and a tiny but
// complete model of any architecture and tensor type.
#pragma once
#include <bit>

#include "engine/gguf.hpp"

namespace assay::engine {

class GgufBuilder {
 public:
  // Value type numbers are GGUF's.
  GgufBuilder& raw(std::string_view key, std::uint32_t type, ByteView bytes) {
    append_string(metadata_, key);
    append_le(metadata_, type);
    append(metadata_, bytes);
    ++metadata_count_;
    return *this;
  }
  GgufBuilder& u32(std::string_view key, std::uint32_t value) {
    Bytes b;
    append_le(b, value);
    return raw(key, 4, b);
  }
  GgufBuilder& f32(std::string_view key, float value) {
    Bytes b;
    append_le(b, std::bit_cast<std::uint32_t>(value));
    return raw(key, 6, b);
  }
  GgufBuilder& boolean(std::string_view key, bool value) {
    return raw(key, 7, Bytes{static_cast<std::uint8_t>(value)});
  }
  GgufBuilder& string(std::string_view key, std::string_view value) {
    Bytes b;
    append_string(b, value);
    return raw(key, 8, b);
  }
  GgufBuilder& strings(std::string_view key, std::span<const std::string> values) {
    Bytes b = array_head(8, values.size());
    for (const auto& v : values) append_string(b, v);
    return raw(key, 9, b);
  }
  GgufBuilder& f32s(std::string_view key, std::span<const float> values) {
    Bytes b = array_head(6, values.size());
    for (const float v : values) append_le(b, std::bit_cast<std::uint32_t>(v));
    return raw(key, 9, b);
  }
  GgufBuilder& i32s(std::string_view key, std::span<const std::int32_t> values) {
    Bytes b = array_head(5, values.size());
    for (const auto v : values) append_le(b, v);
    return raw(key, 9, b);
  }
  GgufBuilder& tensor(std::string_view name, std::span<const std::uint64_t> shape,
                      std::uint32_t type, ByteView data) {
    append_string(infos_, name);
    append_le(infos_, static_cast<std::uint32_t>(shape.size()));
    for (const auto extent : shape) append_le(infos_, extent);
    append_le(infos_, type);
    append_le(infos_, std::uint64_t{data_.size()});
    append(data_, data);
    pad(data_);
    ++tensor_count_;
    return *this;
  }

  Bytes build() const {
    Bytes out;
    append(out, view("GGUF"));
    append_le(out, std::uint32_t{3});
    append_le(out, tensor_count_);
    append_le(out, metadata_count_);
    append(out, metadata_);
    append(out, infos_);
    if (tensor_count_ > 0) pad(out);
    append(out, data_);
    return out;
  }

  static void append_string(Bytes& out, std::string_view s) {
    append_le(out, std::uint64_t{s.size()});
    append(out, view(s));
  }

 private:
  static Bytes array_head(std::uint32_t type, std::uint64_t count) {
    Bytes b;
    append_le(b, type);
    append_le(b, count);
    return b;
  }
  static void pad(Bytes& out) { out.resize((out.size() + 31) / 32 * 32); }

  Bytes metadata_, infos_, data_;
  std::uint64_t metadata_count_ = 0, tensor_count_ = 0;
};

inline constexpr std::uint32_t kToyVocab = 14;

struct ToyShape {
  std::string architecture = "llama";
  std::uint32_t dim = 4, heads = 2, kv_heads = 1, ffn = 288, layers = 2, context = 16;
  bool tied = false;
  std::uint32_t head_dim = 0;    // 0: dim / heads, and no metadata about it
  std::vector<float> factors{};  // rope_freqs.weight
  // Types of the attention matrices, gate, up, and of down in even and odd layers.
  TensorType square = TensorType::f32, gate = TensorType::f16, up = TensorType::bf16;
  TensorType down_even = TensorType::q8_0, down_odd = TensorType::q4_0;
  std::uint32_t vocab = kToyVocab;  // more: words nobody writes

  std::uint32_t width() const { return head_dim != 0 ? head_dim : dim / heads; }
};

inline constexpr std::string_view kToyTemplate =
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + "
    "'<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

// A small SPM vocabulary: specials, the letters of "abc ", some merges, no byte tokens.
inline void add_toy_tokenizer(GgufBuilder& b, std::uint32_t vocab = kToyVocab) {
  std::vector<std::string> tokens{"<unk>",
                                  "<s>",
                                  "</s>",
                                  "<|system|>",
                                  "<|user|>",
                                  "<|assistant|>",
                                  "<|end|>",
                                  "\xe2\x96\x81",
                                  "a",
                                  "b",
                                  "c",
                                  "ab",
                                  "abc",
                                  "\xe2\x96\x81"
                                  "a"};
  std::vector<float> scores{0, 0, 0, 0, 0, 0, 0, -1, -2, -3, -4, -5, -6, -7};
  std::vector<std::int32_t> kinds{2, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1};
  for (std::uint32_t i = kToyVocab; i < vocab; ++i) {
    tokens.push_back(fmt::format("word {}", i));
    scores.push_back(-8);
    kinds.push_back(1);
  }
  b.string("tokenizer.ggml.model", "llama")
      .strings("tokenizer.ggml.tokens", tokens)
      .f32s("tokenizer.ggml.scores", scores)
      .i32s("tokenizer.ggml.token_type", kinds)
      .u32("tokenizer.ggml.bos_token_id", 1)
      .u32("tokenizer.ggml.eos_token_id", 2)
      .u32("tokenizer.ggml.unknown_token_id", 0)
      .boolean("tokenizer.ggml.add_space_prefix", false)
      .string("tokenizer.chat_template", kToyTemplate);
}
inline void add_toy_hyper(GgufBuilder& b, const ToyShape& s) {
  const auto key = [&](std::string_view name) {
    return fmt::format("{}.{}", s.architecture, name);
  };
  b.string("general.architecture", s.architecture)
      .string("general.name", "toy")
      .u32(key("block_count"), s.layers)
      .u32(key("context_length"), s.context)
      .u32(key("embedding_length"), s.dim)
      .u32(key("feed_forward_length"), s.ffn)
      .u32(key("attention.head_count"), s.heads)
      .u32(key("attention.head_count_kv"), s.kv_heads)
      .u32(key("vocab_size"), s.vocab)
      .f32(key("attention.layer_norm_rms_epsilon"), 1e-5f);
  if (s.head_dim != 0)
    b.u32(key("attention.key_length"), s.head_dim).u32(key("attention.value_length"), s.head_dim);
}

// Pseudo-random finite weights of one tensor, as GGUF bytes.
class ToyWeights {
 public:
  Bytes values(TensorType type, std::uint64_t count) {
    Bytes out;
    const BlockShape shape = block_shape(type);
    for (std::uint64_t block = 0; block < count / shape.values; ++block) {
      if (type == TensorType::f32 || type == TensorType::bf16) {
        // |x| in [1/8, 1): bfloat is the upper half of the same pattern.
        const std::uint32_t bits = (next() & 0x80ffffffu) | 0x3e000000u;
        if (type == TensorType::f32)
          append_le(out, bits);
        else
          append_le(out, static_cast<std::uint16_t>(bits >> 16));
        continue;
      }
      // Scales lie before the quantized values (Q4_K, Q5_K: two of them) or behind them (Q6_K).
      const std::uint16_t sign = shape.values == 1 ? 0x8000 : 0;
      if (type != TensorType::q6_k) half(out, sign);
      const bool two = type == TensorType::q4_k || type == TensorType::q5_k;
      if (two) half(out, sign);
      for (std::uint32_t i = two ? 4 : 2; i < shape.bytes; ++i) {
        const auto byte = static_cast<std::uint8_t>(next());
        out.push_back(byte == 0x80 ? 0 : byte);  // −128 is legal but no quantizer writes it
      }
      if (type == TensorType::q6_k) half(out, sign);
    }
    return out;
  }

 private:
  // fp16 in [2^-9, 2^-5).
  void half(Bytes& out, std::uint16_t sign) {
    append_le(out, static_cast<std::uint16_t>((next() & (sign | 0x0fffu)) | 0x1800u));
  }
  std::uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state_ >> 32);
  }
  std::uint64_t state_ = 1;
};

inline void add_toy_tensors(GgufBuilder& b, const ToyShape& s) {
  ToyWeights weights;
  const auto add = [&](const std::string& name, std::vector<std::uint64_t> shape, TensorType type) {
    std::uint64_t count = 1;
    for (const auto extent : shape) count *= extent;
    b.tensor(name, shape, static_cast<std::uint32_t>(type), weights.values(type, count));
  };
  const std::uint64_t q = s.width() * s.heads, kv = s.width() * s.kv_heads;
  add("token_embd.weight", {s.dim, s.vocab}, s.square);
  for (std::uint32_t i = 0; i < s.layers; ++i) {
    const std::string p = fmt::format("blk.{}.", i);
    add(p + "attn_norm.weight", {s.dim}, TensorType::f32);
    add(p + "attn_q.weight", {s.dim, q}, s.square);
    add(p + "attn_k.weight", {s.dim, kv}, s.square);
    add(p + "attn_v.weight", {s.dim, kv}, s.square);
    if (s.architecture == "qwen2") {
      add(p + "attn_q.bias", {q}, TensorType::f32);
      add(p + "attn_k.bias", {kv}, TensorType::f32);
      add(p + "attn_v.bias", {kv}, TensorType::f32);
    }
    if (s.architecture == "qwen3") {
      add(p + "attn_q_norm.weight", {s.width()}, TensorType::f32);
      add(p + "attn_k_norm.weight", {s.width()}, TensorType::f32);
    }
    add(p + "attn_output.weight", {q, s.dim}, s.square);
    add(p + "ffn_norm.weight", {s.dim}, TensorType::f32);
    add(p + "ffn_gate.weight", {s.dim, s.ffn}, s.gate);
    add(p + "ffn_up.weight", {s.dim, s.ffn}, s.up);
    add(p + "ffn_down.weight", {s.ffn, s.dim}, i % 2 == 0 ? s.down_even : s.down_odd);
  }
  add("output_norm.weight", {s.dim}, TensorType::f32);
  if (!s.tied) add("output.weight", {s.dim, s.vocab}, s.square);
  if (!s.factors.empty()) {
    Bytes bytes;
    for (const float factor : s.factors) append_le(bytes, std::bit_cast<std::uint32_t>(factor));
    const std::vector<std::uint64_t> shape{s.factors.size()};
    b.tensor("rope_freqs.weight", shape, 0, bytes);
  }
}

inline Bytes toy_model(const ToyShape& shape = {}) {
  GgufBuilder b;
  add_toy_hyper(b, shape);
  add_toy_tokenizer(b, shape.vocab);
  add_toy_tensors(b, shape);
  return b.build();
}

}  // namespace assay::engine
