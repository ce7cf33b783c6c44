#include "engine/model.hpp"

#include <algorithm>
#include <atomic>
#include <fmt/ranges.h>
#include <numeric>
#include <set>
#include <thread>

#include "base/assert.hpp"
#include "base/thread_pool.hpp"
#include "canon/format.hpp"
#include "canon/rope.hpp"

namespace assay::engine {
namespace {

constexpr std::uint64_t kMaxVocabulary = std::uint64_t{1} << 24;
constexpr unsigned kMaxScanThreads = 8;

std::string shape_text(std::span<const std::uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Why a tensor that nobody asked for cannot be ignored.
std::string_view meaning(std::string_view name) {
  if (name.ends_with(".bias")) return "biases like this";
  if (name.starts_with("rope_factors_")) return "RoPE factors for short and long contexts";
  if (name.starts_with("rope_freqs")) return "RoPE factors";
  if (name.contains("_exps.") || name.contains("ffn_gate_inp")) return "experts";
  if (name.contains("_norm.")) return "this norm";
  return "this tensor";
}

// Takes tensors by name and shape, and at the end knows which were never asked for.
class Loader {
 public:
  Loader(const Gguf& file, std::string_view architecture)
      : file_(file), architecture_(architecture) {}

  Result<Tensor> take(const std::string& name, std::vector<std::uint64_t> shape) {
    const Tensor* tensor = file_.find(name);
    if (tensor == nullptr) return fail(Errc::invalid, "the GGUF has no tensor '{}'", name);
    if (tensor->shape != shape)
      return fail(Errc::invalid, "tensor '{}' has shape {}, but the hyper-parameters want {}", name,
                  shape_text(tensor->shape), shape_text(shape));
    if (shape.size() == 1 && tensor->type != TensorType::f32)
      return fail(Errc::unsupported,
                  "tensor '{}' has type {}, but canon 0 wants norms, biases and factors in F32",
                  name, type_name(static_cast<std::uint32_t>(tensor->type)));
    taken_.insert(name);
    return *tensor;
  }
  Result<std::optional<Tensor>> take_if(bool wanted, const std::string& name,
                                        std::vector<std::uint64_t> shape) {
    if (!wanted) return std::nullopt;
    TRY(Tensor tensor, take(name, std::move(shape)));
    return tensor;
  }
  Status nothing_left() const {
    for (const Tensor& tensor : file_.tensors())
      if (!taken_.contains(tensor.name))
        return fail(Errc::unsupported,
                    "tensor '{}': canon 0 does not specify {} in a {} model; use a model without "
                    "it",
                    tensor.name, meaning(tensor.name), architecture_);
    return {};
  }

 private:
  const Gguf& file_;
  std::string_view architecture_;
  std::set<std::string, std::less<>> taken_;
};

Result<Model::Layer> load_layer(Loader& loader, const Hyper& h, std::uint32_t index) {
  const auto name = [&](std::string_view part, std::string_view kind = "weight") {
    return fmt::format("blk.{}.{}.{}", index, part, kind);
  };
  Model::Layer layer;
  TRY(layer.attn_norm, loader.take(name("attn_norm"), {h.dim}));
  TRY(layer.q, loader.take(name("attn_q"), {h.dim, h.q_dim()}));
  TRY(layer.k, loader.take(name("attn_k"), {h.dim, h.kv_dim()}));
  TRY(layer.v, loader.take(name("attn_v"), {h.dim, h.kv_dim()}));
  TRY(layer.q_bias, loader.take_if(h.qkv_bias, name("attn_q", "bias"), {h.q_dim()}));
  TRY(layer.k_bias, loader.take_if(h.qkv_bias, name("attn_k", "bias"), {h.kv_dim()}));
  TRY(layer.v_bias, loader.take_if(h.qkv_bias, name("attn_v", "bias"), {h.kv_dim()}));
  TRY(layer.q_norm, loader.take_if(h.qk_norm, name("attn_q_norm"), {h.head_dim}));
  TRY(layer.k_norm, loader.take_if(h.qk_norm, name("attn_k_norm"), {h.head_dim}));
  TRY(layer.o, loader.take(name("attn_output"), {h.q_dim(), h.dim}));
  TRY(layer.ffn_norm, loader.take(name("ffn_norm"), {h.dim}));
  TRY(layer.gate, loader.take(name("ffn_gate"), {h.dim, h.ffn}));
  TRY(layer.up, loader.take(name("ffn_up"), {h.dim, h.ffn}));
  TRY(layer.down, loader.take(name("ffn_down"), {h.ffn, h.dim}));
  return layer;
}

// The vocabulary is as long as the embedding, wherever the file states its length.
Result<std::uint32_t> vocabulary(const Gguf& file, std::string_view architecture) {
  const Tensor* embedding = file.find("token_embd.weight");
  if (embedding == nullptr)
    return fail(Errc::invalid,
                "the GGUF has no tensor 'token_embd.weight': is it a vocabulary only?");
  if (embedding->shape.size() != 2 || embedding->shape[1] > kMaxVocabulary)
    return fail(Errc::invalid, "tensor 'token_embd.weight' has shape {}, not [width, vocabulary]",
                shape_text(embedding->shape));
  const std::uint64_t vocab = embedding->shape[1];
  if (const std::string key = fmt::format("{}.vocab_size", architecture); file.has(key)) {
    TRY(const auto stated, file.u64(key));
    if (stated != vocab)
      return fail(Errc::invalid, "metadata '{}' is {}, but the embedding has {} rows", key, stated,
                  vocab);
  }
  if (file.has("tokenizer.ggml.tokens")) {
    TRY(const auto tokens, file.strings("tokenizer.ggml.tokens"));
    if (tokens.size() != vocab)
      return fail(Errc::invalid, "the tokenizer has {} tokens, but the embedding has {} rows",
                  tokens.size(), vocab);
  }
  return static_cast<std::uint32_t>(vocab);
}

// Llama 3.1's divisors of the RoPE frequencies; empty: none.
Result<std::vector<float>> rope_factors(Loader& loader, const Gguf& file, const Hyper& h) {
  constexpr std::string_view kName = "rope_freqs.weight";
  if (!h.rope_factors || file.find(kName) == nullptr) return {};
  TRY(const Tensor tensor, loader.take(std::string(kName), {h.head_dim / 2}));
  std::vector<float> factors(h.head_dim / 2);
  canon::dequantize_row(tensor.type, tensor.data.data(), factors);
  for (std::size_t i = 0; i < factors.size(); ++i)
    if (!canon::rope_divisor_valid(factors[i]))
      return fail(Errc::unsupported,
                  "tensor '{}' has the factor {} at index {}, not a number of at least 1", kName,
                  factors[i], i);
  return factors;
}

// Reads every scale of the file: as many threads as the machine has, a few rows at a time. The
// first bad one in canonical order is named, whoever finds it.
Status check_finite(const std::vector<const Tensor*>& weights) {
  constexpr std::size_t kTaskBytes = 4u << 20;
  struct Task {
    const Tensor* tensor;
    std::uint64_t begin, end;  // rows
  };
  std::vector<Task> tasks;
  for (const Tensor* tensor : weights) {
    const std::uint64_t step = std::max<std::uint64_t>(1, kTaskBytes / tensor->row_bytes());
    for (std::uint64_t row = 0; row < tensor->rows(); row += step)
      tasks.push_back({tensor, row, std::min(row + step, tensor->rows())});
  }
  const auto find = [](const Task& task) {
    return canon::find_non_finite(task.tensor->type,
                                  &task.tensor->data[task.begin * task.tensor->row_bytes()],
                                  (task.end - task.begin) * task.tensor->row_length());
  };
  std::atomic<std::size_t> worst{tasks.size()};
  ThreadPool pool(std::clamp(std::thread::hardware_concurrency(), 1u, kMaxScanThreads));
  pool.parallel_for(tasks.size(), 1, [&](std::size_t i, std::size_t) {
    std::size_t seen = worst.load();
    if (i >= seen || !find(tasks[i])) return;
    while (i < seen && !worst.compare_exchange_weak(seen, i)) {
    }
  });
  if (worst == tasks.size()) return {};
  const auto& [tensor, begin, end] = tasks[worst];
  const std::uint64_t values = block_shape(tensor->type).values;
  return fail(Errc::invalid, "tensor '{}' has a {} that is not finite at index {}", tensor->name,
              values == 1 ? "value" : "block scale",
              begin * tensor->row_length() / values + *find(tasks[worst]));
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::load(ByteView file) {
  TRY(auto model, open(file));
  CHECK_OK(check_finite(model->weights()));
  return model;
}

Result<std::shared_ptr<const Model>> Model::load_layers(ByteView file,
                                                        std::span<const std::uint32_t> layers) {
  TRY(auto model, open(file));
  for (const std::uint32_t layer : layers)
    if (layer >= model->hyper_.layers)
      return fail(Errc::invalid, "the model has layers 0 to {}, there is no layer {}",
                  model->hyper_.layers - 1, layer);
  CHECK_OK(check_finite(model->layers_weights(layers)));
  return model;
}

std::shared_ptr<const Model> Model::part(std::span<const std::uint32_t> layers) const {
  auto out = std::make_shared<Model>();
  out->hyper_ = hyper_;
  out->hyper_.layers = static_cast<std::uint32_t>(layers.size());
  out->embedding_ = embedding_;
  out->output_norm_ = output_norm_;
  out->output_ = output_;
  out->tied_ = tied_;
  for (const std::uint32_t layer : layers) {
    ASSAY_ASSERT(layer < layers_.size());
    out->layers_.push_back(layers_[layer]);
  }
  out->rope_ = rope_;
  out->pieces_ = pieces_;
  return out;
}

// All but the weights' bytes.
Result<std::shared_ptr<Model>> Model::open(ByteView file) {
  auto model = std::make_shared<Model>();
  model->pieces_ = std::make_shared<LazyPieces>();
  TRY(model->gguf_, Gguf::parse(file));
  const Gguf& gguf = model->gguf_;
  TRY(model->hyper_, read_hyper(gguf));
  Hyper& h = model->hyper_;
  TRY(h.vocab, vocabulary(gguf, h.architecture));

  Loader loader(gguf, h.architecture);
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
  TRY(auto factors, rope_factors(loader, gguf, h));
  CHECK_OK(loader.nothing_left());
  model->rope_ = std::make_shared<const RopeTable>(h.context, h.head_dim, h.rope_base,
                                                   std::move(factors), h.rope_linear);
  return model;
}

std::vector<const Tensor*> Model::weights() const {
  std::vector<std::uint32_t> all(layers_.size());
  std::iota(all.begin(), all.end(), 0u);
  return layers_weights(all);
}

std::vector<const Tensor*> Model::layers_weights(std::span<const std::uint32_t> layers) const {
  std::vector<const Tensor*> out{&embedding_};
  const auto optional = [&out](const std::optional<Tensor>& tensor) {
    if (tensor) out.push_back(&*tensor);
  };
  for (const std::uint32_t index : layers) {
    ASSAY_ASSERT(index < layers_.size());
    const Layer& l = layers_[index];
    out.insert(out.end(), {&l.attn_norm, &l.q, &l.k, &l.v});
    for (const auto* tensor : {&l.q_bias, &l.k_bias, &l.v_bias, &l.q_norm, &l.k_norm})
      optional(*tensor);
    out.insert(out.end(), {&l.o, &l.ffn_norm, &l.gate, &l.up, &l.down});
  }
  out.push_back(&output_norm_);
  if (!tied_) out.push_back(&output_);
  return out;
}

}  // namespace assay::engine
