#include "engine/weights.hpp"

namespace assay::engine {
namespace {

Matrix matrix_of(const Tensor& tensor) {
  return {tensor.type, static_cast<std::uint32_t>(tensor.rows()),
          static_cast<std::uint32_t>(tensor.row_length()), tensor.data.data(), tensor.row_bytes()};
}

std::vector<float> vector_of(const Tensor& tensor) {
  std::vector<float> out(tensor.row_length());
  read_row(tensor, 0, out);
  return out;
}

std::vector<float> vector_of(const std::optional<Tensor>& tensor) {
  return tensor ? vector_of(*tensor) : std::vector<float>{};
}

}  // namespace

void read_row(const Tensor& tensor, std::uint64_t row, std::span<float> out) {
  canon::dequantize_row(tensor.type, tensor.data.data() + row * tensor.row_bytes(), out);
}

Weights Weights::of(const Model& model) {
  Weights out;
  for (const Model::Layer& l : model.layers())
    out.layers.push_back({.attn_norm = vector_of(l.attn_norm),
                          .ffn_norm = vector_of(l.ffn_norm),
                          .q_bias = vector_of(l.q_bias),
                          .k_bias = vector_of(l.k_bias),
                          .v_bias = vector_of(l.v_bias),
                          .q_norm = vector_of(l.q_norm),
                          .k_norm = vector_of(l.k_norm),
                          .q = matrix_of(l.q),
                          .k = matrix_of(l.k),
                          .v = matrix_of(l.v),
                          .o = matrix_of(l.o),
                          .gate = matrix_of(l.gate),
                          .up = matrix_of(l.up),
                          .down = matrix_of(l.down)});
  out.output_norm = vector_of(model.output_norm());
  out.output = matrix_of(model.output());
  return out;
}

}  // namespace assay::engine
