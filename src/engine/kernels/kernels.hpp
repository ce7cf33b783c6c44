// The operations of a layer as a table of functions, one table per instruction set. Every entry of
// every table equals canon/ to the bit; the scalar table calls canon/.
//
// Vector lanes run across outputs (rows, tokens, positions, dimensions) or inside exact integer
// sums, never along a chain. Code compiled for an instruction set uses no containers and no shared
// inline functions: the linker keeps one copy of those, which must run on every machine.
#pragma once
#include <cstddef>
#include <cstdint>

#include "canon/format.hpp"
#include "engine/isa.hpp"

namespace assay::engine {

// One weight matrix: the GGUF's own rows, where the file is mapped. Nothing is copied at load;
// kernels unpack what they multiply into scratch.
struct Matrix {
  canon::Format format;
  std::uint32_t rows, cols;
  const std::uint8_t* data;  // row r at data + r * row_bytes, any alignment
  std::size_t row_bytes;
};

inline constexpr std::uint32_t kActivationSegment = 256;  // columns: the canon's segment

// Rows of activations, one per token, in the forms the following matrices need (canon::Activation);
// the others are not read. Quantized ones lie segment by segment, each with its place for 256
// columns however few the last has: what one segment of weights is multiplied with lies together.
struct Activations {
  const float* x;                // [token][cols]
  const std::int8_t* q8;         // [segment][token][256]
  const float* q8_scale;         // [segment][token][8]
  const std::int8_t* q8k;        // [segment][token][256]
  const float* q8k_scale;        // [segment][token]
  const std::int16_t* q8k_sums;  // [segment][token][16]
  std::size_t tokens;            // of this layout
};

// One query head of one token over the cache of its KV head.
struct AttentionRow {
  const float* q;           // head_dim
  float* out;               // head_dim
  std::uint32_t positions;  // seen by the query, its own included, ≥ 1
  std::uint8_t* fault;      // set to 1 if a score is not finite
};

// A sequence's cache is a list of pages of kPagePositions positions, all finite (zeroed before
// use).
struct AttentionCache {
  const std::uint16_t* const* pages;       // page i: positions [i * kPagePositions, …)
  std::size_t keys_offset, values_offset;  // of this layer and KV head in every page, in values
  // keys    [position / key_lanes][head_dim][key_lanes]   (Kernels::key_lanes)
  // values  [position][value_stride]                      (value_stride ≥ head_dim)
  std::uint32_t head_dim, value_stride;
};

inline constexpr std::uint32_t kRowGroup = 32;        // unit in which products are scheduled
inline constexpr std::uint32_t kProductTokens = 512;  // most tokens per product call
inline constexpr std::uint32_t kAttentionRows = 96;   // most rows per attend call
inline constexpr std::uint32_t kPagePositions = 64;   // divides the segment of 256
inline constexpr std::uint32_t kValueAlignment = 16;  // value_stride is a multiple of this

struct Kernels {
  Isa isa;
  std::uint32_t key_lanes;  // see AttentionCache; divides kPagePositions
  // Q8 activations lie in memory XOR this: 0x80 where products take them + 128, as unsigned bytes.
  // Nobody but this table reads them.
  std::uint8_t q8_flip;

  // y[token * y_stride + row] for rows [begin, end), begin a multiple of kRowGroup, and 1 …
  // kProductTokens tokens.
  // scratch: product_scratch(cols) bytes, 64-byte aligned, of this thread.
  void (*product)(const Matrix&, std::uint32_t begin, std::uint32_t end, const Activations&,
                  std::uint32_t tokens, float* y, std::size_t y_stride, std::byte* scratch);
  // The rest works on one token and returns false on a numeric fault (canon/layer.hpp, q8.hpp).
  bool (*rms_norm)(const float* x, const float* weight, std::size_t n, float epsilon, float* y);
  bool (*quantize_q8)(const float* x, std::size_t n, std::int8_t* q, float* scale);
  bool (*quantize_q8k)(const float* x, std::size_t n, std::int8_t* q, float* scale,
                       std::int16_t* sums);
  // Row of the RoPE table: cos, sin per pair. Pairs are neighbours (2i, 2i+1) or halves
  // (i, i + head_dim/2).
  void (*rope_neighbours)(float* head, const float* row, std::size_t head_dim);
  void (*rope_halves)(float* head, const float* row, std::size_t head_dim);
  bool (*to_fp16)(const float* x, std::size_t n, std::uint16_t* out);
  bool (*swiglu)(const float* gate, const float* up, std::size_t n, float* y);
  bool (*add)(float* x, const float* y, std::size_t n);  // x = x + y: residual, bias
  bool (*all_finite)(const float* x, std::size_t n);
  // Where the largest value is, the first on ties; false if one is not finite. n ≥ 1.
  bool (*arg_max)(const float* x, std::size_t n, std::uint32_t* at);
  // p = exp(z - maximum), for finite z ≤ maximum.
  void (*exp_below)(const float* z, std::size_t n, float maximum, float* p);
  // rows: 1 … kAttentionRows, positions ascending. scratch: attention_scratch() floats, 64-byte
  // aligned.
  void (*attend)(const AttentionRow* rows, std::uint32_t count, const AttentionCache& cache,
                 float scale, float* scratch);
};

// Bytes, enough for any format and table.
std::size_t product_scratch(std::uint32_t cols);
// Floats one attend call needs.
std::size_t attention_scratch(std::uint32_t positions, std::uint32_t value_stride);

// Null where not compiled in or not usable on this machine (cpuid and operating system); the
// self-test is not asked.
const Kernels* find_kernels(Isa isa);

// Compiled in; the machine is not asked.
const Kernels* scalar_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
const Kernels* avx512vnni_kernels();
const Kernels* neon_kernels();
const Kernels* neondot_kernels();

}  // namespace assay::engine
