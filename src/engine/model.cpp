#include "engine/model.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/ranges.h>
#include <limits>
#include <set>

#include "canon/rope.hpp"

namespace assay::engine {
namespace {

// The RoPE table is built whatever the file's size, so a small file may not ask for a huge one:
// 2^25 floats are 262,144 positions of 128-wide heads.
constexpr std::uint64_t kMaxRopeFloats = std::uint64_t{1} << 25;
constexpr std::uint64_t kMaxContext = std::uint64_t{1} << 24;

// Every "llama.*" key canon 0 gives a meaning to, or may pass over because it has none for the
// result. Any other changes the computation in a way nobody specified.
constexpr std::string_view kKnownKeys[] = {
    "llama.block_count",
    "llama.context_length",
    "llama.embedding_length",
    "llama.feed_forward_length",
    "llama.attention.head_count",
    "llama.attention.head_count_kv",
    "llama.attention.layer_norm_rms_epsilon",
    "llama.attention.key_length",
    "llama.attention.value_length",
    "llama.rope.dimension_count",
    "llama.rope.freq_base",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "llama.rope.scale_linear",
    "llama.expert_count",
    "llama.expert_used_count",
    "llama.vocab_size",
    "llama.tensor_data_layout",
};

Result<std::uint32_t> positive(const Gguf& file, std::string_view key) {
  TRY(const auto value, file.u64(key));
  if (value == 0 || value > std::numeric_limits<std::uint32_t>::max() / 2)
    return fail(Errc::invalid, "metadata '{}' is {}, outside 1 to 2^31", key, value);
  return static_cast<std::uint32_t>(value);
}

Result<std::uint32_t> positive_or(const Gguf& file, std::string_view key, std::uint32_t fallback) {
  if (!file.has(key)) return fallback;
  return positive(file, key);
}

Status expect(const Gguf& file, std::string_view key, std::uint32_t wanted) {
  TRY(const auto value, positive_or(file, key, wanted));
  if (value != wanted)
    return fail(Errc::unsupported, "metadata '{}' is {}, but canon 0 supports only {} here", key,
                value, wanted);
  return {};
}

Status refuse_unspecified(const Gguf& file) {
  for (const auto& [key, value] : file.metadata())
    if (key.starts_with("llama.") && std::ranges::find(kKnownKeys, key) == std::end(kKnownKeys))
      return fail(Errc::unsupported, "canon 0 does not specify the metadata '{}'", key);
  if (file.has("llama.rope.scaling.type")) {
    TRY(const auto type, file.string("llama.rope.scaling.type"));
    if (type != "none")
      return fail(Errc::unsupported, "RoPE scaling '{}' is not supported by canon 0",
                  printable(type));
  }
  for (const std::string_view key : {"llama.rope.scaling.factor", "llama.rope.scale_linear"}) {
    if (!file.has(key)) continue;
    TRY(const double factor, file.number(key));
    if (factor != 1.0)
      return fail(Errc::unsupported, "RoPE scaling by {} ('{}') is not supported by canon 0",
                  factor, key);
  }
  if (file.has("llama.expert_count")) {
    TRY(const auto experts, file.u64("llama.expert_count"));
    if (experts != 0)
      return fail(Errc::unsupported, "mixture of {} experts is not supported by canon 0", experts);
  }
  return {};
}

Result<float> number_or(const Gguf& file, std::string_view key, double fallback) {
  double value = fallback;
  if (file.has(key)) {
    TRY(value, file.number(key));
  }
  return static_cast<float>(value);
}

Result<Hyper> read_hyper(const Gguf& file) {
  Hyper h{};
  TRY(h.architecture, file.string("general.architecture"));
  if (h.architecture != "llama")
    return fail(Errc::unsupported, "architecture '{}' is not supported; canon 0 supports 'llama'",
                printable(h.architecture));
  CHECK_OK(refuse_unspecified(file));
  TRY(h.layers, positive(file, "llama.block_count"));
  TRY(h.dim, positive(file, "llama.embedding_length"));
  TRY(h.ffn, positive(file, "llama.feed_forward_length"));
  TRY(h.context, positive(file, "llama.context_length"));
  TRY(h.heads, positive(file, "llama.attention.head_count"));
  TRY(h.kv_heads, positive_or(file, "llama.attention.head_count_kv", h.heads));
  if (h.dim % h.heads != 0)
    return fail(Errc::invalid, "the width {} is not a multiple of the {} heads", h.dim, h.heads);
  if (h.heads % h.kv_heads != 0)
    return fail(Errc::invalid, "the {} heads are not a multiple of the {} key/value heads", h.heads,
                h.kv_heads);
  h.head_dim = h.dim / h.heads;
  if (h.head_dim % 2 != 0)
    return fail(Errc::unsupported, "heads of odd width {} are not supported", h.head_dim);
  CHECK_OK(expect(file, "llama.attention.key_length", h.head_dim));
  CHECK_OK(expect(file, "llama.attention.value_length", h.head_dim));
  CHECK_OK(expect(file, "llama.rope.dimension_count", h.head_dim));

  if (!file.has("llama.attention.layer_norm_rms_epsilon"))
    return fail(Errc::not_found,
                "the GGUF has no metadata 'llama.attention.layer_norm_rms_epsilon', which is "
                "needed");
  TRY(h.rms_epsilon, number_or(file, "llama.attention.layer_norm_rms_epsilon", 0));
  if (!std::isfinite(h.rms_epsilon) || h.rms_epsilon <= 0)
    return fail(Errc::invalid, "the RMS epsilon {} is not a positive number", h.rms_epsilon);
  TRY(h.rope_base, number_or(file, "llama.rope.freq_base", 10000.0));
  if (!std::isfinite(h.rope_base) || h.rope_base < 1)
    return fail(Errc::invalid, "the RoPE base {} is not a number of at least 1", h.rope_base);
  if (h.context > kMaxContext || std::uint64_t{h.context} * h.head_dim > kMaxRopeFloats)
    return fail(Errc::unsupported,
                "a context of {} positions with heads of {} needs a RoPE table over the limit of "
                "{} values",
                h.context, h.head_dim, kMaxRopeFloats);
  return h;
}

// What is wrong with the first value or scale that is not finite.
std::optional<std::uint64_t> first_not_finite(const Tensor& tensor) {
  const std::uint8_t* p = tensor.data.data();
  const std::uint32_t step = block_shape(tensor.type).bytes;
  const std::uint64_t count = tensor.data.size() / step;
  if (tensor.type == TensorType::f32) {
    for (std::uint64_t i = 0; i < count; ++i, p += step)
      if ((load_le<std::uint32_t>(p) & 0x7f800000u) == 0x7f800000u) return i;
    return std::nullopt;
  }
  // An IEEE or bfloat half: the value itself, or the scale a quantized block begins with.
  const std::uint16_t exponent = tensor.type == TensorType::bf16 ? 0x7f80 : 0x7c00;
  for (std::uint64_t i = 0; i < count; ++i, p += step)
    if ((load_le<std::uint16_t>(p) & exponent) == exponent) return i;
  return std::nullopt;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Takes tensors by name and shape, and at the end knows which were never asked for.
class Loader {
 public:
  explicit Loader(const Gguf& file) : file_(file) {}

  Result<Tensor> take(const std::string& name, std::vector<std::uint64_t> shape) {
    const Tensor* tensor = file_.find(name);
    if (tensor == nullptr) return fail(Errc::invalid, "the GGUF has no tensor '{}'", name);
    if (tensor->shape != shape)
      return fail(Errc::invalid, "tensor '{}' has shape {}, but the hyper-parameters want {}", name,
                  shape_text(tensor->shape), shape_text(shape));
    if (shape.size() == 1 && tensor->type != TensorType::f32)
      return fail(Errc::unsupported, "tensor '{}' has type {}, but canon 0 wants norms in F32",
                  name, type_name(static_cast<std::uint32_t>(tensor->type)));
    if (const auto at = first_not_finite(*tensor))
      return fail(Errc::invalid, "tensor '{}' has a {} that is not finite at index {}", name,
                  block_shape(tensor->type).values == 1 ? "value" : "block scale", *at);
    taken_.insert(name);
    return *tensor;
  }
  Status nothing_left() const {
    for (const Tensor& tensor : file_.tensors()) {
      if (taken_.contains(tensor.name)) continue;
      const std::string_view why = tensor.name.ends_with(".bias")       ? "biases"
                                   : tensor.name.contains("rope_freqs") ? "RoPE scaling factors"
                                                                        : "this tensor";
      return fail(Errc::unsupported, "tensor '{}': canon 0 does not specify {} in a llama model",
                  tensor.name, why);
    }
    return {};
  }

 private:
  const Gguf& file_;
  std::set<std::string, std::less<>> taken_;
};

Result<Model::Layer> load_layer(Loader& loader, const Hyper& h, std::uint32_t index) {
  const auto name = [&](std::string_view part) {
    return fmt::format("blk.{}.{}.weight", index, part);
  };
  Model::Layer layer;
  TRY(layer.attn_norm, loader.take(name("attn_norm"), {h.dim}));
  TRY(layer.q, loader.take(name("attn_q"), {h.dim, h.dim}));
  TRY(layer.k, loader.take(name("attn_k"), {h.dim, h.kv_dim()}));
  TRY(layer.v, loader.take(name("attn_v"), {h.dim, h.kv_dim()}));
  TRY(layer.o, loader.take(name("attn_output"), {h.dim, h.dim}));
  TRY(layer.ffn_norm, loader.take(name("ffn_norm"), {h.dim}));
  TRY(layer.gate, loader.take(name("ffn_gate"), {h.dim, h.ffn}));
  TRY(layer.up, loader.take(name("ffn_up"), {h.dim, h.ffn}));
  TRY(layer.down, loader.take(name("ffn_down"), {h.ffn, h.dim}));
  return layer;
}

// The vocabulary is as long as the embedding, wherever the file states its length.
Result<std::uint32_t> vocabulary(const Gguf& file) {
  const Tensor* embedding = file.find("token_embd.weight");
  if (embedding == nullptr)
    return fail(Errc::invalid,
                "the GGUF has no tensor 'token_embd.weight': is it a vocabulary only?");
  if (embedding->shape.size() != 2 || embedding->shape[1] > std::uint64_t{1} << 24)
    return fail(Errc::invalid, "tensor 'token_embd.weight' has shape {}, not [width, vocabulary]",
                shape_text(embedding->shape));
  const auto vocab = static_cast<std::uint32_t>(embedding->shape[1]);
  CHECK_OK(expect(file, "llama.vocab_size", vocab));
  if (file.has("tokenizer.ggml.tokens")) {
    TRY(const auto tokens, file.strings("tokenizer.ggml.tokens"));
    if (tokens.size() != vocab)
      return fail(Errc::invalid, "the tokenizer has {} tokens, but the embedding has {} rows",
                  tokens.size(), vocab);
  }
  return vocab;
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::load(ByteView file) {
  auto model = std::make_shared<Model>();
  TRY(model->gguf_, Gguf::parse(file));
  const Gguf& gguf = model->gguf_;
  TRY(model->hyper_, read_hyper(gguf));
  Hyper& h = model->hyper_;
  TRY(h.vocab, vocabulary(gguf));

  Loader loader(gguf);
  TRY(model->embedding_, loader.take("token_embd.weight", {h.dim, h.vocab}));
  for (std::uint32_t i = 0; i < h.layers; ++i) {
    TRY(Layer layer, load_layer(loader, h, i));
    model->layers_.push_back(std::move(layer));
  }
  TRY(model->output_norm_, loader.take("output_norm.weight", {h.dim}));
  model->tied_ = gguf.find("output.weight") == nullptr;
  if (model->tied_) {
    model->output_ = model->embedding_;
  } else {
    TRY(model->output_, loader.take("output.weight", {h.dim, h.vocab}));
  }
  CHECK_OK(loader.nothing_left());

  model->rope_.resize(std::size_t{h.context} * h.head_dim);
  canon::rope_table(h.context, h.head_dim, h.rope_base, model->rope_);
  return model;
}

std::vector<const Tensor*> Model::weights() const {
  std::vector<const Tensor*> out{&embedding_};
  for (const Layer& l : layers_)
    out.insert(out.end(),
               {&l.attn_norm, &l.q, &l.k, &l.v, &l.o, &l.ffn_norm, &l.gate, &l.up, &l.down});
  out.push_back(&output_norm_);
  if (!tied_) out.push_back(&output_);
  return out;
}

}  // namespace assay::engine
