#include "verify/identity.hpp"

#include <bit>

#include "base/assert.hpp"
#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"

namespace assay::verify {
namespace {

constexpr std::uint64_t kChunk = 256;
constexpr std::size_t kFileBlock = 8u << 20;
constexpr std::size_t kLeavesPerTask = 1024;

void append_string(Bytes& out, std::string_view s) {
  append_le(out, static_cast<std::uint32_t>(s.size()));
  append(out, view(s));
}

std::uint64_t chunks_per_row(const engine::Tensor& tensor) {
  return (tensor.row_length() + kChunk - 1) / kChunk;
}

// A tensor as a leaf of the root over tensors.
Hash tensor_leaf(const engine::Tensor& tensor, const Hash& root) {
  Bytes leaf = tensor_description(tensor);
  append(leaf, root);
  return crypto::leaf_hash(leaf);
}

std::uint64_t weight_bytes(const engine::Model& model) {
  std::uint64_t total = 0;
  for (const engine::Tensor* tensor : model.weights()) total += tensor->data.size();
  return total;
}

}  // namespace

Bytes tensor_description(const engine::Tensor& tensor) {
  Bytes out;
  append_string(out, tensor.name);
  append_le(out, static_cast<std::uint32_t>(tensor.type));
  append_le(out, static_cast<std::uint32_t>(tensor.shape.size()));
  for (const std::uint64_t extent : tensor.shape) append_le(out, extent);
  return out;
}

Hash chunk_leaf(const engine::Tensor& tensor, std::uint32_t index, std::uint64_t row,
                std::uint32_t chunk) {
  const std::uint64_t first = chunk * kChunk;
  ASSAY_ASSERT(row < tensor.rows() && first < tensor.row_length());
  const engine::BlockShape block = engine::block_shape(tensor.type);
  const std::uint64_t values = std::min(kChunk, tensor.row_length() - first);
  const std::size_t bytes = values / block.values * block.bytes;
  const std::uint8_t* data =
      &tensor.data[row * tensor.row_bytes() + first / block.values * block.bytes];

  // index, row, chunk, then the GGUF bytes: at most 256 floats.
  std::array<std::uint8_t, 16 + kChunk * 4> leaf;
  const auto put = [&](std::size_t at, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i)
      leaf[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
  };
  put(0, index, 4);
  put(4, row, 8);
  put(12, chunk, 4);
  std::memcpy(&leaf[16], data, bytes);
  return crypto::leaf_hash({leaf.data(), 16 + bytes});
}

Hash tensor_root(const engine::Tensor& tensor, std::uint32_t index, ThreadPool& pool) {
  const std::uint64_t chunks = chunks_per_row(tensor);
  std::vector<Hash> leaves(tensor.rows() * chunks);
  pool.parallel_for(leaves.size(), kLeavesPerTask, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      leaves[i] = chunk_leaf(tensor, index, i / chunks, static_cast<std::uint32_t>(i % chunks));
  });
  return crypto::merkle_root(leaves);
}

Hash weights_root(const engine::Model& model, ThreadPool& pool, const HashProgress& progress) {
  const auto weights = model.weights();
  const std::uint64_t total = weight_bytes(model);
  std::uint64_t done = 0;
  std::vector<Hash> leaves;
  for (std::uint32_t i = 0; i < weights.size(); ++i) {
    leaves.push_back(tensor_leaf(*weights[i], tensor_root(*weights[i], i, pool)));
    done += weights[i]->data.size();
    if (progress) progress(done, total);
  }
  return crypto::merkle_root(leaves);
}

Hash rope_root(const engine::RopeTable& table, ThreadPool& pool) {
  return crypto::merkle_root(rope_leaves(table, pool));
}

std::vector<Hash> rope_leaves(const engine::RopeTable& table, ThreadPool& pool) {
  // 256 positions are a whole number of leaves, whatever the heads' width.
  constexpr std::size_t kPositions = 256;
  const std::size_t groups = (table.positions() + kPositions - 1) / kPositions;
  const std::size_t values = std::size_t{table.positions()} * table.head_dim();
  std::vector<Hash> leaves((values + kChunk - 1) / kChunk);
  pool.parallel_for(groups, 1, [&](std::size_t group, std::size_t) {
    const std::size_t first = group * kPositions;
    std::vector<float> rows(std::min(kPositions, table.positions() - first) * table.head_dim());
    table.compute(static_cast<std::uint32_t>(first), rows);
    Bytes chunk;
    for (std::size_t at = 0; at < rows.size(); at += kChunk) {
      chunk.clear();
      for (std::size_t i = at; i < std::min<std::size_t>(at + kChunk, rows.size()); ++i)
        append_le(chunk, std::bit_cast<std::uint32_t>(rows[i]));
      leaves[(first * table.head_dim() + at) / kChunk] = crypto::leaf_hash(chunk);
    }
  });
  return leaves;
}

Program program_of(const engine::Model& model, const engine::Tokenizer& tokenizer,
                   const engine::ChatTemplate* chat, ThreadPool& pool) {
  const engine::Hyper& h = model.hyper();
  Program out{.architecture = h.architecture,
              .vocab = h.vocab,
              .dim = h.dim,
              .layers = h.layers,
              .heads = h.heads,
              .kv_heads = h.kv_heads,
              .head_dim = h.head_dim,
              .ffn = h.ffn,
              .context = h.context,
              .rms_epsilon = h.rms_epsilon,
              .rope_base = h.rope_base,
              .tied = model.tied(),
              .rope_halves = h.rope_halves,
              .qkv_bias = h.qkv_bias,
              .qk_norm = h.qk_norm,
              .rope_root = rope_root(model.rope(), pool),
              .tokenizer = crypto::sha256(tokenizer.canonical()),
              .formats = {},
              .has_template = chat != nullptr,
              .chat_template = chat != nullptr ? crypto::sha256(view(chat->source())) : Hash{}};
  for (const engine::Tensor* tensor : model.weights()) out.formats.push_back(tensor->type);
  return out;
}

Result<ModelIdentity> identify(const engine::Model& model, const engine::Tokenizer& tokenizer,
                               const engine::ChatTemplate* chat, ByteView file, ThreadPool& pool,
                               const HashProgress& progress) {
  if (tokenizer.size() != model.hyper().vocab)
    return fail(Errc::mismatch, "the tokenizer has {} tokens, but the model {}", tokenizer.size(),
                model.hyper().vocab);
  const std::uint64_t total = weight_bytes(model) + file.size();
  const auto report = [&](std::uint64_t done) {
    if (progress) progress(done, total);
  };
  const Bytes program = program_bytes(program_of(model, tokenizer, chat, pool));
  CHECK_OK(parse_program(program));  // what no referee could read has no identity
  ModelIdentity out;
  out.canon = protocol::kCanon;
  out.program_hash = crypto::sha256(program);
  out.weights_root =
      weights_root(model, pool, [&](std::uint64_t done, std::uint64_t) { report(done); });
  crypto::Sha256 hash;
  for (std::size_t at = 0; at < file.size(); at += kFileBlock) {
    hash.update(file.subspan(at, std::min(kFileBlock, file.size() - at)));
    report(weight_bytes(model) + std::min(at + kFileBlock, file.size()));
  }
  out.file_sha256 = hash.finish();
  return out;
}

protocol::ExecutionId execution_id(const ModelIdentity& identity) {
  return {identity.weights_root, identity.program_hash, identity.canon};
}

Result<protocol::ExecutionId> execution_id(const engine::Model& model, ThreadPool& pool) {
  TRY(const auto tokenizer, engine::Tokenizer::from(model.gguf()));
  const auto chat = engine::ChatTemplate::from(model.gguf());
  TRY(const auto identity, identify(model, tokenizer, chat ? &*chat : nullptr, {}, pool));
  return execution_id(identity);
}

}  // namespace assay::verify
