// The weight formats of the canon: how GGUF bytes become integers and scales, and which activations
// a row multiplies. spec/canon.md, "Weights" and "Products". Adding a format is one row in the
// table of format.cpp, one function pair (dequantize, product), vectors, and its unpacking in
// engine/kernels.
// Source of the layouts: ggml's ggml-common.h and ggml-quants.c.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace assay::canon {

// Values are ggml's type numbers.
enum class Format : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q8_0 = 8,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

// What a row of the format is multiplied with.
enum class Activation : std::uint8_t { plain, q8, q8k };

struct FormatInfo {
  Format format;
  std::string_view name;  // as GGUF tools print it: "Q4_K"
  std::uint32_t block_values, block_bytes;
  Activation activation;
};

std::optional<Format> format_of(std::uint32_t ggml_type);
const FormatInfo& info(Format format);
std::span<const FormatInfo> formats();

// One token's activations in every form its products need; unused ones are empty.
struct ActivationRow {
  std::span<const float> x{};
  std::span<const std::int8_t> q8{};   // canon/q8.hpp
  std::span<const float> q8_scale{};   // one per 32
  std::span<const std::int8_t> q8k{};  // canon/q8k.hpp
  std::span<const float> q8k_scale{};  // one per 256
};

// The product of one GGUF row of `cols` values (a multiple of block_values) with the activation its
// format names. Never non-finite for finite quantized scales; plain formats may overflow, which a
// later check finds.
float row_product(Format format, const std::uint8_t* row, std::size_t cols,
                  const ActivationRow& activation);

// Exact numbers where one multiplication is exact; K-quants as spec/canon.md, "Embedding", rounds.
void dequantize_row(Format format, const std::uint8_t* row, std::span<float> out);

// The first block of the row with a NaN or infinite scale (or value); nullopt: none.
std::optional<std::size_t> find_non_finite(Format format, const std::uint8_t* row,
                                           std::size_t cols);

}  // namespace assay::canon
