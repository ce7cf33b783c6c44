#include "verify/layers_identity.hpp"

#include <algorithm>

#include "crypto/merkle.hpp"

namespace assay::verify {
namespace {

Hash layer_leaf(const engine::Tensor& tensor, std::uint32_t index, ThreadPool& pool) {
  Bytes leaf = tensor_description(tensor);
  append(leaf, tensor_root(tensor, index, pool));
  return crypto::leaf_hash(leaf);
}

}  // namespace

std::vector<Hash> tensor_leaves(const engine::Model& model, ThreadPool& pool) {
  std::vector<Hash> out;
  for (const engine::Tensor* tensor : model.weights())
    out.push_back(layer_leaf(*tensor, static_cast<std::uint32_t>(out.size()), pool));
  return out;
}

Result<protocol::ExecutionId> layers_execution_id(const engine::Model& model,
                                                  std::span<const std::uint32_t> layers,
                                                  std::span<const Hash> leaves, ThreadPool& pool) {
  const auto all = model.weights();
  if (leaves.size() != all.size())
    return fail(Errc::mismatch, "{} tensor leaves are given, this model has {} tensors",
                leaves.size(), all.size());
  for (const engine::Tensor* tensor : model.layers_weights(layers)) {
    const auto index = static_cast<std::uint32_t>(std::ranges::find(all, tensor) - all.begin());
    if (layer_leaf(*tensor, index, pool) != leaves[index])
      return fail(Errc::mismatch,
                  "tensor '{}' of this file is not the one among the tensor leaves: another model, "
                  "or leaves of another",
                  tensor->name);
  }
  TRY(const auto tokenizer, engine::Tokenizer::from(model.gguf()));
  if (tokenizer.size() != model.hyper().vocab)
    return fail(Errc::mismatch, "the tokenizer has {} tokens, but the model {}", tokenizer.size(),
                model.hyper().vocab);
  const auto chat = engine::ChatTemplate::from(model.gguf());
  return protocol::ExecutionId{
      crypto::merkle_root(leaves),
      program_hash(program_of(model, tokenizer, chat ? &*chat : nullptr, pool)), protocol::kCanon};
}

}  // namespace assay::verify
