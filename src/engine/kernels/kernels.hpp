// The operations of a layer as a table of functions, one table per instruction set. Every entry of
// every table equals canon/ to the bit; the scalar table calls canon/.
//
// Vector lanes run across outputs (rows, positions, dimensions) or inside exact integer sums, never
// along a chain. Code compiled for an instruction set uses no containers and no shared inline
// functions: the linker keeps one copy of those, which must run on every machine.
#pragma once
#include <cstddef>
#include <cstdint>

namespace assay::engine {

enum class Isa;

// One weight matrix in the form a table wants.
struct Matrix {
  enum class Kind { q8_0, q4_0, f32, f16, bf16 };
  Kind kind;
  std::uint32_t rows, cols;
  const std::uint8_t* raw;  // GGUF rows
  std::size_t row_bytes;
  // Repacked for `group` rows side by side (null for the scalar table); rows padded with zeros.
  // quantized: quants [group][block][8][row in group][4], scales [group][block][row in group] fp16;
  // else values [group][col][row in group].
  std::uint32_t group;
  const std::int8_t* quants;
  const std::uint16_t* scales;
  const float* values;

  [[gnu::always_inline]] bool quantized() const { return kind == Kind::q8_0 || kind == Kind::q4_0; }
};

// Rows of activations, one per token: plain, and quantized where a quantized matrix follows.
struct Activations {
  const float* x;        // [token][cols]
  const std::int8_t* q;  // [token][cols]
  const float* scale;    // [token][cols / 32]
};

// One query head of one token over the cache of its KV head.
struct AttentionRow {
  const float* q;           // head_dim
  float* out;               // head_dim
  std::uint32_t positions;  // seen by the query, its own included
  std::uint8_t* fault;      // set to 1 if a score is not finite
};

struct AttentionCache {
  const std::uint16_t* keys;    // [position / key_lanes][head_dim][key_lanes]
  const std::uint16_t* values;  // [position][value_stride]
  std::uint32_t head_dim, value_stride;
};

inline constexpr std::uint32_t kRowGroup = 16;         // unit in which products are scheduled
inline constexpr std::uint32_t kAttentionRows = 8;     // most rows per attend call
inline constexpr std::uint32_t kPositionPadding = 64;  // cache capacity is a multiple of this

struct Kernels {
  Isa isa;
  std::uint32_t group;      // Matrix::group to repack for; 0: use raw rows
  std::uint32_t key_lanes;  // see AttentionCache

  // y[token * y_stride + row] for rows [begin, end), begin a multiple of kRowGroup.
  void (*product)(const Matrix&, std::uint32_t begin, std::uint32_t end, const Activations&,
                  std::uint32_t tokens, float* y, std::size_t y_stride);
  // The rest works on one token and returns false on a numeric fault (canon/layer.hpp, q8.hpp).
  bool (*rms_norm)(const float* x, const float* weight, std::size_t n, float epsilon, float* y);
  bool (*quantize)(const float* x, std::size_t n, std::int8_t* q, float* scale);
  void (*rope)(float* head, const float* row, std::size_t head_dim);
  bool (*to_fp16)(const float* x, std::size_t n, std::uint16_t* out);
  bool (*swiglu)(const float* gate, const float* up, std::size_t n, float* y);
  bool (*add_residual)(float* x, const float* y, std::size_t n);
  bool (*all_finite)(const float* x, std::size_t n);
  // rows: 1 … kAttentionRows, positions ascending. scratch: attention_scratch() floats.
  void (*attend)(const AttentionRow* rows, std::uint32_t count, const AttentionCache& cache,
                 float scale, float* scratch);
};

// Floats of scratch one attend call needs.
std::size_t attention_scratch(std::uint32_t positions, std::uint32_t value_stride);

// Null where not compiled in or not usable on this machine (cpuid and operating system).
const Kernels* find_kernels(Isa isa);

const Kernels* scalar_kernels();
const Kernels* avx2_kernels();  // compiled in; the machine is not asked
const Kernels* avx512_kernels();

}  // namespace assay::engine
