#include "canon/format.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "canon/fp16.hpp"
#include "canon/q8.hpp"
#include "canon/q8k.hpp"

namespace assay::canon {
namespace {

constexpr FormatInfo kFormats[] = {
    {Format::f32, "F32", 1, 4, Activation::plain},
    {Format::f16, "F16", 1, 2, Activation::plain},
    {Format::bf16, "BF16", 1, 2, Activation::plain},
    {Format::q8_0, "Q8_0", kBlock, 34, Activation::q8},
    {Format::q4_0, "Q4_0", kBlock, 18, Activation::q8},
    {Format::q4_k, "Q4_K", kSuperblock, 144, Activation::q8k},
    {Format::q5_k, "Q5_K", kSuperblock, 176, Activation::q8k},
    {Format::q6_k, "Q6_K", kSuperblock, 210, Activation::q8k},
};

std::uint16_t half_at(const std::uint8_t* p) { return load_le<std::uint16_t>(p); }

void dequantize_blocks(const std::uint8_t* row, std::size_t block_bytes,
                       void (*unpack)(const std::uint8_t*, std::int8_t*), std::span<float> out) {
  for (std::size_t at = 0; at < out.size(); at += kBlock, row += block_bytes) {
    std::int8_t values[kBlock];
    unpack(row, values);
    const float d = from_fp16(half_at(row));
    for (std::size_t i = 0; i < kBlock; ++i) out[at + i] = static_cast<float>(values[i]) * d;
  }
}

// Q4_K, Q5_K: both products are exact, the subtraction rounds.
void dequantize_with_mins(const std::uint8_t* row, std::size_t block_bytes,
                          void (*unpack)(const std::uint8_t*, Superblock&), std::span<float> out) {
  for (std::size_t at = 0; at < out.size(); at += kSuperblock, row += block_bytes) {
    Superblock s;
    unpack(row, s);
    const float d = from_fp16(s.d), dmin = from_fp16(s.dmin);
    for (std::size_t i = 0; i < kSuperblock; ++i) {
      const float scale = d * static_cast<float>(s.scales[i / 32]);
      const float minimum = dmin * static_cast<float>(s.mins[i / 32]);
      out[at + i] = scale * static_cast<float>(s.quants[i]) - minimum;
    }
  }
}

void dequantize_q6_k(const std::uint8_t* row, std::span<float> out) {
  for (std::size_t at = 0; at < out.size(); at += kSuperblock, row += 210) {
    Superblock s;
    superblock_q6_k(row, s);
    for (std::size_t i = 0; i < kSuperblock; ++i) {
      const float scale = from_fp16(s.d) * static_cast<float>(s.scales[i / 16]);
      out[at + i] = scale * static_cast<float>(s.quants[i]);
    }
  }
}

bool block_finite(Format format, const std::uint8_t* block) {
  switch (format) {
    case Format::f32:
      return finite(std::bit_cast<float>(load_le<std::uint32_t>(block)));
    case Format::bf16:
      return finite(from_bf16(half_at(block)));
    case Format::f16:
    case Format::q8_0:
    case Format::q4_0:
      return fp16_finite(half_at(block));
    case Format::q4_k:
    case Format::q5_k:
      return fp16_finite(half_at(block)) && fp16_finite(half_at(block + 2));
    case Format::q6_k:
      return fp16_finite(half_at(block + 208));
  }
  ASSAY_ASSERT(false && "not a weight format");
}

}  // namespace

std::optional<Format> format_of(std::uint32_t ggml_type) {
  const auto it = std::ranges::find(kFormats, static_cast<Format>(ggml_type), &FormatInfo::format);
  if (it == std::end(kFormats)) return std::nullopt;
  return it->format;
}

const FormatInfo& info(Format format) {
  const auto it = std::ranges::find(kFormats, format, &FormatInfo::format);
  ASSAY_ASSERT(it != std::end(kFormats));
  return *it;
}

std::span<const FormatInfo> formats() { return kFormats; }

float row_product(Format format, const std::uint8_t* row, std::size_t cols,
                  const ActivationRow& a) {
  const FormatInfo& f = info(format);
  ASSAY_ASSERT(cols % f.block_values == 0);
  const auto x = f.activation == Activation::plain ? a.x.first(cols) : a.x.first(0);
  const bool q8 = f.activation == Activation::q8, q8k = f.activation == Activation::q8k;
  const auto q = q8 ? a.q8.first(cols) : q8k ? a.q8k.first(cols) : a.q8.first(0);
  const auto scale = q8    ? a.q8_scale.first(cols / kBlock)
                     : q8k ? a.q8k_scale.first(cols / kSuperblock)
                           : a.q8_scale.first(0);
  switch (format) {
    case Format::f32:
      return row_f32(row, x);
    case Format::f16:
      return row_f16(row, x);
    case Format::bf16:
      return row_bf16(row, x);
    case Format::q8_0:
      return row_q8_0(row, q, scale);
    case Format::q4_0:
      return row_q4_0(row, q, scale);
    case Format::q4_k:
      return row_q4_k(row, q, scale);
    case Format::q5_k:
      return row_q5_k(row, q, scale);
    case Format::q6_k:
      return row_q6_k(row, q, scale);
  }
  ASSAY_ASSERT(false && "not a weight format");
}

void dequantize_row(Format format, const std::uint8_t* row, std::span<float> out) {
  ASSAY_ASSERT(out.size() % info(format).block_values == 0);
  switch (format) {
    case Format::f32:
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = std::bit_cast<float>(load_le<std::uint32_t>(row + 4 * i));
      return;
    case Format::f16:
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = from_fp16(half_at(row + 2 * i));
      return;
    case Format::bf16:
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = from_bf16(half_at(row + 2 * i));
      return;
    case Format::q8_0:
      return dequantize_blocks(row, 34, block_q8_0, out);
    case Format::q4_0:
      return dequantize_blocks(row, 18, block_q4_0, out);
    case Format::q4_k:
      return dequantize_with_mins(row, 144, superblock_q4_k, out);
    case Format::q5_k:
      return dequantize_with_mins(row, 176, superblock_q5_k, out);
    case Format::q6_k:
      return dequantize_q6_k(row, out);
  }
  ASSAY_ASSERT(false && "not a weight format");
}

std::optional<std::size_t> find_non_finite(Format format, const std::uint8_t* row,
                                           std::size_t cols) {
  const FormatInfo& f = info(format);
  for (std::size_t block = 0; block < cols / f.block_values; ++block)
    if (!block_finite(format, row + block * f.block_bytes)) return block;
  return std::nullopt;
}

}  // namespace assay::canon
