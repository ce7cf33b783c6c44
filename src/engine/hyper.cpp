#include "engine/hyper.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>
#include <limits>
#include <ranges>

#include "canon/rope.hpp"

namespace assay::engine {
namespace {

constexpr Architecture kArchitectures[] = {
    {.name = "llama",
     .rope_halves = false,
     .qkv_bias = false,
     .qk_norm = false,
     .rope_factors = true},
    {.name = "qwen2",
     .rope_halves = true,
     .qkv_bias = true,
     .qk_norm = false,
     .rope_factors = false},
    {.name = "qwen3",
     .rope_halves = true,
     .qkv_bias = false,
     .qk_norm = true,
     .rope_factors = false},
};

// The RoPE root covers every position (spec/model.md), so a small file may not ask for a huge one:
// 2^27 values are 2^20 positions of 128-wide heads.
constexpr std::uint64_t kMaxRopeValues = std::uint64_t{1} << 27;
constexpr std::uint64_t kMaxContext = std::uint64_t{1} << 24;
// Working memory grows with these whatever the file's size; no public model comes near.
constexpr std::uint64_t kMaxWidth = std::uint64_t{1} << 18, kMaxHeadWidth = 1024;

// What is done with a key behind "<architecture>.".
enum class Use {
  read,       // read_hyper and the loader give it its meaning
  no_effect,  // changes no answer, whatever it holds
  zero,       // accepted where it holds 0 (false), which changes no answer
  one,        // … or where it holds 1 (true)
};
struct Key {
  std::string_view name;
  Use use;
};
constexpr Key kKeys[] = {
    {"block_count", Use::read},
    {"context_length", Use::read},
    {"embedding_length", Use::read},
    {"feed_forward_length", Use::read},
    {"attention.head_count", Use::read},
    {"attention.head_count_kv", Use::read},
    {"attention.key_length", Use::read},
    {"attention.value_length", Use::read},
    {"attention.layer_norm_rms_epsilon", Use::read},
    {"attention.sliding_window", Use::read},
    {"rope.dimension_count", Use::read},
    {"rope.freq_base", Use::read},
    {"rope.scaling.type", Use::read},
    {"rope.scaling.factor", Use::read},
    {"rope.scale_linear", Use::read},
    {"expert_count", Use::read},
    {"vocab_size", Use::read},
    {"tensor_data_layout", Use::no_effect},
    {"expert_used_count", Use::no_effect},  // of no experts
    {"attention.layer_norm_epsilon", Use::no_effect},
    {"rope.scaling.original_context_length", Use::no_effect},  // yarn alone reads it
    {"rope.scaling.finetuned", Use::no_effect},
    {"attention.causal", Use::one},
    {"rope.scaling.attn_factor", Use::one},
    {"attention.scale", Use::zero},
    {"attention.clamp_kqv", Use::zero},
    {"attention.max_alibi_bias", Use::zero},
    {"attn_logit_softcapping", Use::zero},
    {"final_logit_softcapping", Use::zero},
    {"logit_scale", Use::zero},
    {"residual_scale", Use::zero},
    {"embedding_scale", Use::zero},
    {"pooling_type", Use::zero},
    {"nextn_predict_layers", Use::zero},
    {"leading_dense_block_count", Use::zero},
};

// Metadata of one architecture: keys without their "<architecture>.".
class Metadata {
 public:
  Metadata(const Gguf& file, std::string_view architecture)
      : file_(file), prefix_(fmt::format("{}.", architecture)) {}

  std::string full(std::string_view key) const { return prefix_ + std::string(key); }
  bool has(std::string_view key) const { return file_.has(full(key)); }
  Result<std::string> string(std::string_view key) const { return file_.string(full(key)); }

  Result<std::uint32_t> positive(std::string_view key) const {
    TRY(const auto value, file_.u64(full(key)));
    if (value == 0 || value > std::numeric_limits<std::uint32_t>::max() / 2)
      return fail(Errc::invalid, "metadata '{}' is {}, outside 1 to 2^31", full(key), value);
    return static_cast<std::uint32_t>(value);
  }
  Result<std::uint32_t> positive_or(std::string_view key, std::uint32_t fallback) const {
    if (!has(key)) return fallback;
    return positive(key);
  }
  Result<float> number_or(std::string_view key, double fallback) const {
    if (!has(key)) return static_cast<float>(fallback);
    TRY(const double value, file_.number(full(key)));
    return static_cast<float>(value);
  }
  Status expect(std::string_view key, std::uint32_t wanted) const {
    TRY(const auto value, positive_or(key, wanted));
    if (value != wanted)
      return fail(Errc::unsupported, "metadata '{}' is {}, but canon 0 supports only {} here",
                  full(key), value, wanted);
    return {};
  }
  // 0 or 1 (booleans: false or true) and nothing else.
  Status expect_neutral(std::string_view key, int wanted) const {
    if (const auto boolean = file_.boolean(full(key)); boolean && *boolean == (wanted == 1))
      return {};
    if (const auto number = file_.number(full(key)); number && *number == wanted) return {};
    return fail(Errc::unsupported,
                "metadata '{}' changes the answer unless it is {}, which canon 0 does not specify; "
                "use a model without it",
                full(key), wanted);
  }
  Status refuse_unspecified() const {
    for (const auto& [key, value] : file_.metadata()) {
      if (!key.starts_with(prefix_)) continue;
      const auto name = std::string_view(key).substr(prefix_.size());
      const auto known = std::ranges::find(kKeys, name, &Key::name);
      if (known == std::end(kKeys))
        return fail(Errc::unsupported,
                    "canon 0 does not specify the metadata '{}'; use a model without it", key);
      if (known->use == Use::zero) CHECK_OK(expect_neutral(name, 0));
      if (known->use == Use::one) CHECK_OK(expect_neutral(name, 1));
    }
    return {};
  }

 private:
  const Gguf& file_;
  std::string prefix_;
};

Status refuse_parts(const Gguf& file) {
  if (!file.has("split.count")) return {};
  TRY(const auto parts, file.u64("split.count"));
  if (parts > 1)
    return fail(Errc::unsupported,
                "this is one of {} parts of a model; join them with `llama-gguf-split --merge`",
                parts);
  return {};
}

Status refuse_experts(const Metadata& m, const Gguf& file) {
  if (!m.has("expert_count")) return {};
  TRY(const auto experts, file.u64(m.full("expert_count")));
  if (experts != 0)
    return fail(Errc::unsupported, "mixture of {} experts ('{}') is not supported by canon 0",
                experts, m.full("expert_count"));
  return {};
}

// Dimensions of attention, and that nothing else is meant by them.
Status read_heads(const Metadata& m, Hyper& h) {
  TRY(h.heads, m.positive("attention.head_count"));
  TRY(h.kv_heads, m.positive_or("attention.head_count_kv", h.heads));
  if (h.heads % h.kv_heads != 0)
    return fail(Errc::invalid, "the {} heads are not a multiple of the {} key/value heads", h.heads,
                h.kv_heads);
  if (!m.has("attention.key_length") && h.dim % h.heads != 0)
    return fail(Errc::invalid, "the width {} is not a multiple of the {} heads", h.dim, h.heads);
  TRY(h.head_dim, m.positive_or("attention.key_length", h.dim / h.heads));
  if (h.head_dim % 2 != 0)
    return fail(Errc::unsupported, "heads of odd width {} are not supported", h.head_dim);
  if (h.head_dim > kMaxHeadWidth)
    return fail(Errc::unsupported, "heads of width {} are wider than the limit of {}", h.head_dim,
                kMaxHeadWidth);
  if (std::uint64_t{h.heads} * h.head_dim > kMaxWidth)
    return fail(Errc::unsupported, "{} heads of width {} are wider than the limit of {}", h.heads,
                h.head_dim, kMaxWidth);
  // As llama.cpp defaults it: not to the keys' length.
  TRY(const auto value_length, m.positive_or("attention.value_length", h.dim / h.heads));
  if (value_length != h.head_dim)
    return fail(Errc::unsupported,
                "keys of length {} with values of length {} ('{}') are not supported by canon 0",
                h.head_dim, value_length, m.full("attention.value_length"));
  return m.expect("rope.dimension_count", h.head_dim);
}

// A window as long as the context hides nothing.
Status refuse_sliding_window(const Metadata& m, const Gguf& file, const Hyper& h) {
  if (!m.has("attention.sliding_window")) return {};
  TRY(const auto window, file.u64(m.full("attention.sliding_window")));
  if (window != 0 && window < h.context)
    return fail(Errc::unsupported,
                "metadata '{}' is {}: canon 0 does not specify attention over less than the "
                "context of {}; use a model without it",
                m.full("attention.sliding_window"), window, h.context);
  return {};
}

Result<float> linear_scaling(const Metadata& m) {
  std::string type = "linear";
  if (m.has("rope.scaling.type")) {
    TRY(type, m.string("rope.scaling.type"));
  }
  if (type != "linear" && type != "none")
    return fail(Errc::unsupported,
                "RoPE scaling '{}' ('{}') is not supported by canon 0; it knows 'none', 'linear' "
                "and the factors of Llama 3.1",
                printable(type), m.full("rope.scaling.type"));
  const std::string_view key =
      m.has("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear";
  TRY(const float factor, m.number_or(key, 1.0));
  if (type == "none" || factor == 0) return 1.0f;  // 0 stands for none, too
  if (!canon::rope_divisor_valid(factor))
    return fail(Errc::unsupported, "RoPE scaling by {} ('{}') is not a number of at least 1",
                factor, m.full(key));
  return factor;
}

Status read_rope(const Metadata& m, Hyper& h) {
  TRY(h.rope_base, m.number_or("rope.freq_base", 10000.0));
  if (!std::isfinite(h.rope_base) || h.rope_base < 1)
    return fail(Errc::invalid, "the RoPE base {} is not a number of at least 1", h.rope_base);
  TRY(h.rope_linear, linear_scaling(m));
  if (h.context > kMaxContext || std::uint64_t{h.context} * h.head_dim > kMaxRopeValues)
    return fail(Errc::unsupported,
                "a context of {} positions with heads of {} needs a RoPE table over the limit of "
                "{} values",
                h.context, h.head_dim, kMaxRopeValues);
  return {};
}

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

Result<Hyper> read_hyper(const Gguf& file) {
  CHECK_OK(refuse_parts(file));
  Hyper h{};
  TRY(h.architecture, file.string("general.architecture"));
  const auto known = std::ranges::find(kArchitectures, h.architecture, &Architecture::name);
  if (known == std::end(kArchitectures))
    return fail(Errc::unsupported, "architecture '{}' is not supported; canon 0 supports {}",
                printable(h.architecture),
                fmt::join(kArchitectures | std::views::transform(&Architecture::name), ", "));
  h.rope_halves = known->rope_halves;
  h.qkv_bias = known->qkv_bias;
  h.qk_norm = known->qk_norm;
  h.rope_factors = known->rope_factors;

  const Metadata m(file, known->name);
  CHECK_OK(refuse_experts(m, file));
  CHECK_OK(m.refuse_unspecified());
  TRY(h.layers, m.positive("block_count"));
  TRY(h.dim, m.positive("embedding_length"));
  TRY(h.ffn, m.positive("feed_forward_length"));
  TRY(h.context, m.positive("context_length"));
  if (std::max(h.dim, h.ffn) > kMaxWidth)
    return fail(Errc::unsupported, "a width of {} is more than the limit of {}",
                std::max(h.dim, h.ffn), kMaxWidth);
  CHECK_OK(read_heads(m, h));
  CHECK_OK(refuse_sliding_window(m, file, h));
  constexpr std::string_view kEpsilon = "attention.layer_norm_rms_epsilon";
  if (!m.has(kEpsilon))
    return fail(Errc::not_found, "the GGUF has no metadata '{}', which is needed",
                m.full(kEpsilon));
  TRY(h.rms_epsilon, m.number_or(kEpsilon, 0));
  if (!std::isfinite(h.rms_epsilon) || h.rms_epsilon <= 0)
    return fail(Errc::invalid, "the RMS epsilon {} is not a positive number", h.rms_epsilon);
  CHECK_OK(read_rope(m, h));
  return h;
}

}  // namespace assay::engine
