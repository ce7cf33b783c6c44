#include "engine/weights.hpp"

#include <mutex>

#include "canon/layer.hpp"
#include "canon/q8.hpp"

namespace assay::engine {
namespace {

// Rows side by side: group of `group` rows, block, 8 quads of 4 values, row, value.
void interleave_quants(const Matrix& m, std::vector<std::int8_t>& quants,
                       std::vector<std::uint16_t>& scales) {
  const std::size_t blocks = m.cols / canon::kBlock, group = m.group,
                    groups = (m.rows + group - 1) / group;
  const std::size_t block_bytes = m.row_bytes / blocks;
  quants.assign(groups * group * m.cols, 0);
  scales.assign(groups * group * blocks, 0);
  for (std::size_t row = 0; row < m.rows; ++row) {
    const std::size_t g = row / group, lane = row % group;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::uint8_t* block = m.raw + row * m.row_bytes + b * block_bytes;
      std::int8_t values[canon::kBlock];
      m.kind == Matrix::Kind::q8_0 ? canon::block_q8_0(block, values)
                                   : canon::block_q4_0(block, values);
      std::int8_t* out = &quants[(g * blocks + b) * group * canon::kBlock];
      for (std::size_t i = 0; i < canon::kBlock; ++i)
        out[(i / 4) * group * 4 + lane * 4 + i % 4] = values[i];
      scales[(g * blocks + b) * group + lane] = load_le<std::uint16_t>(block);
    }
  }
}

void interleave_values(const Matrix& m, const Tensor& tensor, std::vector<float>& values) {
  const std::size_t group = m.group, groups = (m.rows + group - 1) / group;
  values.assign(groups * group * m.cols, 0.0f);
  std::vector<float> row_values(m.cols);
  for (std::size_t row = 0; row < m.rows; ++row) {
    read_row(tensor, row, row_values);
    float* out = &values[(row / group) * group * m.cols + row % group];
    for (std::size_t i = 0; i < m.cols; ++i) out[i * group] = row_values[i];
  }
}

std::vector<float> read_vector(const Tensor& tensor) {
  std::vector<float> out(tensor.row_length());
  read_row(tensor, 0, out);
  return out;
}

}  // namespace

Matrix::Kind matrix_kind(TensorType type) {
  switch (type) {
    case TensorType::f32:
      return Matrix::Kind::f32;
    case TensorType::f16:
      return Matrix::Kind::f16;
    case TensorType::bf16:
      return Matrix::Kind::bf16;
    case TensorType::q8_0:
      return Matrix::Kind::q8_0;
    case TensorType::q4_0:
      return Matrix::Kind::q4_0;
  }
  return Matrix::Kind::f32;
}

void read_row(const Tensor& tensor, std::uint64_t row, std::span<float> out) {
  const auto format = [&] {
    switch (tensor.type) {
      case TensorType::f32:
        return canon::RowFormat::f32;
      case TensorType::f16:
        return canon::RowFormat::f16;
      case TensorType::bf16:
        return canon::RowFormat::bf16;
      case TensorType::q8_0:
        return canon::RowFormat::q8_0;
      case TensorType::q4_0:
        return canon::RowFormat::q4_0;
    }
    return canon::RowFormat::f32;
  }();
  canon::dequantize_row(format, tensor.data.data() + row * tensor.row_bytes(), out);
}

Matrix MatrixStore::add(const Tensor& tensor) {
  Matrix m{};
  m.kind = matrix_kind(tensor.type);
  m.rows = static_cast<std::uint32_t>(tensor.rows());
  m.cols = static_cast<std::uint32_t>(tensor.row_length());
  m.raw = tensor.data.data();
  m.row_bytes = tensor.row_bytes();
  m.group = group_;
  if (group_ == 0) return m;
  if (m.quantized()) {
    interleave_quants(m, quants_.emplace_back(), scales_.emplace_back());
    m.quants = quants_.back().data();
    m.scales = scales_.back().data();
  } else {
    interleave_values(m, tensor, values_.emplace_back());
    m.values = values_.back().data();
  }
  return m;
}

Weights::Weights(std::shared_ptr<const Model> model, const Kernels& kernels)
    : model_(std::move(model)), store_(kernels.group) {
  for (const Model::Layer& layer : model_->layers()) {
    Layer& out = layers_.emplace_back();
    out.attn_norm = read_vector(layer.attn_norm);
    out.ffn_norm = read_vector(layer.ffn_norm);
    out.q = store_.add(layer.q);
    out.k = store_.add(layer.k);
    out.v = store_.add(layer.v);
    out.o = store_.add(layer.o);
    out.gate = store_.add(layer.gate);
    out.up = store_.add(layer.up);
    out.down = store_.add(layer.down);
  }
  output_norm_ = read_vector(model_->output_norm());
  output_ = store_.add(model_->output());
}

std::shared_ptr<const Weights> Weights::of(const std::shared_ptr<const Model>& model,
                                           const Kernels& kernels) {
  struct Entry {
    const Model* model;
    const Kernels* kernels;
    std::weak_ptr<const Weights> weights;
  };
  static std::mutex mutex;
  static std::vector<Entry> entries;
  std::lock_guard lock(mutex);
  // Live weights hold their model, so an address in a live entry is that model's.
  std::erase_if(entries, [](const Entry& e) { return e.weights.expired(); });
  for (const Entry& e : entries)
    if (e.model == model.get() && e.kernels == &kernels)
      if (auto weights = e.weights.lock()) return weights;
  std::shared_ptr<const Weights> weights(new Weights(model, kernels));
  entries.push_back({model.get(), &kernels, weights});
  return weights;
}

}  // namespace assay::engine
