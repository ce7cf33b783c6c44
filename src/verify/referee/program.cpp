#include "verify/referee/program.hpp"

#include <bit>
#include <cmath>
#include <optional>

#include "base/assert.hpp"
#include "crypto/sha256.hpp"

namespace assay::verify {
namespace {

constexpr std::string_view kTag = "assay/program/0";
constexpr std::uint32_t kVocabularyMax = 1u << 18, kWidthMax = 1u << 18, kHeadWidthMax = 1024,
                        kHeadsMax = 1u << 12, kContextMax = 1u << 24;
constexpr std::uint64_t kRopeValuesMax = std::uint64_t{1} << 27;

struct Architecture {
  std::string_view name;
  bool rope_halves, qkv_bias, qk_norm;
};
constexpr Architecture kArchitectures[] = {
    {"llama", false, false, false}, {"qwen2", true, true, false}, {"qwen3", true, false, true}};

constexpr TensorRole kLayerRoles[] = {
    TensorRole::attn_norm, TensorRole::attn_q,      TensorRole::attn_k,   TensorRole::attn_v,
    TensorRole::q_bias,    TensorRole::k_bias,      TensorRole::v_bias,   TensorRole::q_norm,
    TensorRole::k_norm,    TensorRole::attn_output, TensorRole::ffn_norm, TensorRole::ffn_gate,
    TensorRole::ffn_up,    TensorRole::ffn_down};

bool has(const Program& p, TensorRole role) {
  switch (role) {
    case TensorRole::q_bias:
    case TensorRole::k_bias:
    case TensorRole::v_bias:
      return p.qkv_bias;
    case TensorRole::q_norm:
    case TensorRole::k_norm:
      return p.qk_norm;
    default:
      return true;
  }
}

std::uint32_t tensors_per_layer(const Program& p) {
  return 9 + (p.qkv_bias ? 3 : 0) + (p.qk_norm ? 2 : 0);
}

std::uint64_t tensor_count(const Program& p) {
  return std::uint64_t{p.layers} * tensors_per_layer(p) + (p.tied ? 2 : 3);
}

std::uint32_t tensor_index(const Program& p, TensorRole role, std::uint32_t layer) {
  const std::uint32_t after = 1 + p.layers * tensors_per_layer(p);
  if (role == TensorRole::token_embd) return 0;
  if (role == TensorRole::output_norm) return after;
  if (role == TensorRole::output) return p.tied ? 0 : after + 1;
  ASSAY_ASSERT(layer < p.layers && has(p, role));
  std::uint32_t index = 1 + layer * tensors_per_layer(p);
  for (const TensorRole r : kLayerRoles) {
    if (r == role) return index;
    index += has(p, r) ? 1 : 0;
  }
  ASSAY_ASSERT(false && "not a tensor's role");
}

struct Extent {
  std::uint64_t rows, cols;
  bool vector = false;  // one-dimensional: F32
};

Extent extent(const Program& p, TensorRole role) {
  switch (role) {
    case TensorRole::token_embd:
    case TensorRole::output:
      return {p.vocab, p.dim};
    case TensorRole::attn_norm:
    case TensorRole::ffn_norm:
    case TensorRole::output_norm:
      return {1, p.dim, true};
    case TensorRole::attn_q:
      return {p.q_dim(), p.dim};
    case TensorRole::attn_k:
    case TensorRole::attn_v:
      return {p.kv_dim(), p.dim};
    case TensorRole::q_bias:
      return {1, p.q_dim(), true};
    case TensorRole::k_bias:
    case TensorRole::v_bias:
      return {1, p.kv_dim(), true};
    case TensorRole::q_norm:
    case TensorRole::k_norm:
      return {1, p.head_dim, true};
    case TensorRole::attn_output:
      return {p.dim, p.q_dim()};
    case TensorRole::ffn_gate:
    case TensorRole::ffn_up:
      return {p.ffn, p.dim};
    case TensorRole::ffn_down:
      return {p.dim, p.ffn};
  }
  ASSAY_ASSERT(false && "not a tensor's role");
}

// Takes fields from the front; a missing one reads as zero and is remembered.
class Fields {
 public:
  explicit Fields(ByteView bytes) : rest_(bytes) {}
  template <class T>
  T number() {
    const ByteView b = take(sizeof(T));
    return b.empty() ? T{} : load_le<T>(b.data());
  }
  std::string_view string() { return text(take(number<std::uint32_t>())); }
  Hash hash() {
    Hash out{};
    std::ranges::copy(take(out.size()), out.begin());
    return out;
  }
  ByteView take(std::uint64_t n) {
    if (n > rest_.size()) {
      cut_ = true;
      rest_ = {};
      return {};
    }
    const ByteView out = rest_.first(n);
    rest_ = rest_.subspan(n);
    return out;
  }
  bool cut() const { return cut_; }
  bool empty() const { return rest_.empty(); }

 private:
  ByteView rest_;
  bool cut_ = false;
};

Status check_shapes(const Program& p) {
  const auto within = [](std::uint64_t n, std::uint64_t most) { return n >= 1 && n <= most; };
  if (!within(p.vocab, kVocabularyMax))
    return fail(Errc::invalid, "program: a vocabulary of {}, canon 0 has 1 to {}", p.vocab,
                kVocabularyMax);
  if (!within(p.dim, kWidthMax) || !within(p.ffn, kWidthMax))
    return fail(Errc::invalid, "program: widths of {} and {}, canon 0 has 1 to {}", p.dim, p.ffn,
                kWidthMax);
  if (!within(p.head_dim, kHeadWidthMax) || p.head_dim % 2 != 0)
    return fail(Errc::invalid, "program: heads of width {}, canon 0 has even ones up to {}",
                p.head_dim, kHeadWidthMax);
  if (!within(p.heads, kHeadsMax) || p.kv_heads == 0 || p.heads % p.kv_heads != 0 ||
      std::uint64_t{p.heads} * p.head_dim > kWidthMax)
    return fail(Errc::invalid, "program: {} heads and {} key/value heads of width {} do not fit",
                p.heads, p.kv_heads, p.head_dim);
  if (!within(p.context, kContextMax) || std::uint64_t{p.context} * p.head_dim > kRopeValuesMax)
    return fail(Errc::invalid, "program: a context of {} is out of range", p.context);
  if (!std::isfinite(p.rms_epsilon) || p.rms_epsilon <= 0.0f)
    return fail(Errc::invalid, "program: the RMS epsilon is not a positive number");
  if (!std::isfinite(p.rope_base) || p.rope_base < 1.0f)
    return fail(Errc::invalid, "program: the RoPE base is not a number of at least 1");
  return {};
}

Status check_tensor(const Program& p, TensorRole role, std::uint32_t layer) {
  const Extent e = extent(p, role);
  const canon::FormatInfo& f = canon::info(p.formats[tensor_index(p, role, layer)]);
  if (e.vector && f.format != canon::Format::f32)
    return fail(Errc::invalid, "program: a norm or bias of layer {} has type {}, not F32", layer,
                f.name);
  if (e.cols % f.block_values != 0)
    return fail(Errc::invalid, "program: rows of {} values are no whole blocks of {}", e.cols,
                f.name);
  return {};
}

Status check_tensors(const Program& p) {
  for (std::uint32_t layer = 0; layer < p.layers; ++layer)
    for (const TensorRole role : kLayerRoles)
      if (has(p, role)) CHECK_OK(check_tensor(p, role, layer));
  for (const TensorRole role :
       {TensorRole::token_embd, TensorRole::output_norm, TensorRole::output})
    CHECK_OK(check_tensor(p, role, 0));
  return {};
}

}  // namespace

TensorShape tensor_shape(const Program& program, TensorRole role, std::uint32_t layer) {
  const std::uint32_t index = tensor_index(program, role, layer);
  ASSAY_ASSERT(index < program.formats.size());
  const Extent e = extent(program, role);
  return {index, e.rows, e.cols, program.formats[index]};
}

Bytes program_bytes(const Program& program) {
  Bytes out;
  const auto string = [&](std::string_view s) {
    append_le(out, static_cast<std::uint32_t>(s.size()));
    append(out, view(s));
  };
  string(kTag);
  string(program.architecture);
  for (const std::uint32_t n : {program.vocab, program.dim, program.layers, program.heads,
                                program.kv_heads, program.head_dim, program.ffn, program.context})
    append_le(out, n);
  append_le(out, std::bit_cast<std::uint32_t>(program.rms_epsilon));
  append_le(out, std::bit_cast<std::uint32_t>(program.rope_base));
  out.push_back(program.tied ? 1 : 0);
  append(out, program.rope_root);
  append(out, program.tokenizer);
  append_le(out, static_cast<std::uint32_t>(program.formats.size()));
  for (const canon::Format format : program.formats)
    out.push_back(static_cast<std::uint8_t>(format));
  out.push_back(program.has_template ? 1 : 0);
  if (program.has_template) append(out, program.chat_template);
  return out;
}

Hash program_hash(const Program& program) { return crypto::sha256(program_bytes(program)); }

Result<Program> parse_program(ByteView bytes) {
  if (bytes.size() > kProgramMax)
    return fail(Errc::invalid, "program: {} bytes, canon 0 has at most {}", bytes.size(),
                kProgramMax);
  Fields in(bytes);
  if (in.string() != kTag) return fail(Errc::invalid, "these are not the bytes of a program");
  Program p;
  p.architecture = std::string(in.string());
  const auto known = std::ranges::find(kArchitectures, p.architecture, &Architecture::name);
  if (known == std::end(kArchitectures))
    return fail(Errc::invalid, "program: its architecture is unknown to canon 0");
  p.rope_halves = known->rope_halves;
  p.qkv_bias = known->qkv_bias;
  p.qk_norm = known->qk_norm;
  for (std::uint32_t* n :
       {&p.vocab, &p.dim, &p.layers, &p.heads, &p.kv_heads, &p.head_dim, &p.ffn, &p.context})
    *n = in.number<std::uint32_t>();
  p.rms_epsilon = std::bit_cast<float>(in.number<std::uint32_t>());
  p.rope_base = std::bit_cast<float>(in.number<std::uint32_t>());
  const auto tied = in.number<std::uint8_t>();
  p.tied = tied == 1;
  p.rope_root = in.hash();
  p.tokenizer = in.hash();
  const auto tensors = in.number<std::uint32_t>();
  for (const std::uint8_t type : in.take(tensors)) {
    const auto format = canon::format_of(type);
    if (!format) return fail(Errc::invalid, "program: tensor type {} is not of canon 0", type);
    p.formats.push_back(*format);
  }
  const auto has_template = in.number<std::uint8_t>();
  p.has_template = has_template == 1;
  if (p.has_template) p.chat_template = in.hash();
  if (in.cut() || !in.empty() || tied > 1 || has_template > 1)
    return fail(Errc::invalid, "program: its bytes are cut short, too many or malformed");
  CHECK_OK(check_shapes(p));
  if (p.layers == 0 || p.formats.size() != tensor_count(p))
    return fail(Errc::invalid, "program: {} tensors, an {} model of {} layers has {}",
                p.formats.size(), p.architecture, p.layers, tensor_count(p));
  CHECK_OK(check_tensors(p));
  return p;
}

}  // namespace assay::verify
