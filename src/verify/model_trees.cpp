#include "verify/model_trees.hpp"

#include "base/assert.hpp"
#include "crypto/merkle.hpp"
#include "verify/referee/ops.hpp"

namespace assay::verify {
namespace {

// Leaves hashed at a time. A power of two: the roots of such blocks are nodes of the whole tree,
// and the tree over them has the whole tree's upper part.
constexpr std::uint64_t kBlock = 4096;

}  // namespace

ModelTrees::ModelTrees(std::shared_ptr<const engine::Model> model, ThreadPool& pool,
                       const HashProgress& progress)
    : model_(std::move(model)),
      tensors_(model_->weights()),
      rope_leaves_(rope_leaves(model_->rope(), pool)) {
  std::uint64_t total = 0, done = 0;
  for (const engine::Tensor* tensor : tensors_) total += tensor->data.size();
  for (std::uint32_t i = 0; i < tensors_.size(); ++i) {
    Bytes leaf = tensor_description(*tensors_[i]);
    append(leaf, tensor_root(*tensors_[i], i, pool));
    tensor_leaves_.push_back(crypto::leaf_hash(leaf));
    done += tensors_[i]->data.size();
    if (progress) progress(done, total);
  }
}

ByteView ModelTrees::chunk(std::uint32_t tensor, std::uint64_t row, std::uint32_t chunk) const {
  const engine::Tensor& t = *tensors_[tensor];
  const std::uint64_t first = chunk * kChunkValues;
  ASSAY_ASSERT(row < t.rows() && first < t.row_length());
  const engine::BlockShape block = engine::block_shape(t.type);
  const std::uint64_t values = std::min<std::uint64_t>(kChunkValues, t.row_length() - first);
  return t.data.subspan(row * t.row_bytes() + first / block.values * block.bytes,
                        values / block.values * block.bytes);
}

ByteView ModelTrees::rope(std::uint64_t chunk, std::vector<float>& out) const {
  const engine::RopeTable& table = model_->rope();
  const std::uint64_t width = table.head_dim(), values = table.positions() * width;
  const std::uint64_t first = chunk * kChunkValues;
  ASSAY_ASSERT(first < values);
  out.clear();
  for (std::uint64_t i = first; i < std::min(first + kChunkValues, values);) {
    const float* row = table.row(static_cast<std::uint32_t>(i / width));
    const std::uint64_t end =
        std::min<std::uint64_t>({first + kChunkValues, (i / width + 1) * width});
    out.insert(out.end(), row + i % width, row + i % width + (end - i));
    i = end;
  }
  return {reinterpret_cast<const std::uint8_t*>(out.data()), out.size() * sizeof(float)};
}

Hash ModelTrees::weights_root() const { return crypto::merkle_root(tensor_leaves_); }
Hash ModelTrees::rope_root() const { return crypto::merkle_root(rope_leaves_); }

std::vector<Hash> ModelTrees::chunk_path(std::uint32_t tensor, std::uint64_t row,
                                         std::uint32_t chunk, ThreadPool& pool) const {
  const engine::Tensor& t = *tensors_[tensor];
  const std::uint64_t chunks = chunks_of(t.row_length()), leaves = t.rows() * chunks;
  const std::uint64_t index = row * chunks + chunk;
  const auto leaf = [&](std::uint64_t i) {
    return chunk_leaf(t, tensor, i / chunks, static_cast<std::uint32_t>(i % chunks));
  };
  std::vector<Hash> blocks((leaves + kBlock - 1) / kBlock);
  std::vector<Hash> path;
  pool.parallel_for(blocks.size(), 1, [&](std::size_t b, std::size_t) {
    std::vector<Hash> hashes(std::min(kBlock, leaves - b * kBlock));
    for (std::size_t i = 0; i < hashes.size(); ++i) hashes[i] = leaf(b * kBlock + i);
    blocks[b] = crypto::merkle_root(hashes);
    if (b == index / kBlock) path = crypto::inclusion_proof(hashes, index % kBlock);
  });
  const auto above = crypto::inclusion_proof(blocks, index / kBlock);
  path.insert(path.end(), above.begin(), above.end());
  return path;
}

std::vector<Hash> ModelTrees::tensor_path(std::uint32_t tensor) const {
  return crypto::inclusion_proof(tensor_leaves_, tensor);
}

std::vector<Hash> ModelTrees::rope_path(std::uint64_t chunk) const {
  return crypto::inclusion_proof(rope_leaves_, chunk);
}

}  // namespace assay::verify
