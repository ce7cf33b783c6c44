// The canon's sums, quotients and roundings once more, with one of them wrong on request: a second
// implementation, and the mutants that spec/vectors/canon must tell from it (mutations_test.cpp).
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "canon/format.hpp"
#include "canon/sampling.hpp"

namespace assay::canon::test {

enum class Wrong {
  nothing,
  tree,              // pairwise sums inside a segment
  unfused,           // fma as a product and a sum
  contracted,        // a product and a sum as fma
  ties_away,         // the quantizer rounds halves away from zero
  clamp_to_128,      // the quantizer admits -128
  reciprocal,        // a / b as a · (1 / b)
  online_softmax,    // attention rescales whenever the maximum grows
  page_softmax,      // after every 64 positions
  one_maximum,       // never: every segment takes the maximum of all
  minimum_first,     // msum before isum
  truncated_isum,    // f32(isum) toward zero
  ties_cut,          // top-k keeps exactly k
  nucleus_before_k,  // top-p over every token
  minimum_of_sum,    // min-p of normalised p
  prompt_counts,     // presence and frequency over the whole tape
  penalties_first,   // penalties before bias
  repeated_penalty,  // repetition once per occurrence
};

struct Rules {
  Wrong wrong = Wrong::nothing;
  std::size_t segment = 256;
  bool is(Wrong w) const { return wrong == w; }
};

struct Quantized {
  std::vector<std::int8_t> q;
  std::vector<float> scale;
  bool operator==(const Quantized&) const = default;
};

float variant_exp(const Rules& r, float x);
float variant_log(const Rules& r, float x);
std::optional<Quantized> variant_quantize(const Rules& r, std::span<const float> x,
                                          std::size_t block);
// a: the activations of the format; plain rows take x.
float variant_row(const Rules& r, Format format, const std::uint8_t* row, std::span<const float> x,
                  const Quantized& a);
std::vector<float> variant_rms_norm(const Rules& r, std::span<const float> x,
                                    std::span<const float> weight, float epsilon);
float variant_silu(const Rules& r, float g);
void variant_rotate(const Rules& r, float& a, float& b, float c, float s);
// K and V row-major, out as wide as q.
std::vector<float> variant_attend(const Rules& r, std::span<const float> q,
                                  std::span<const std::uint16_t> k,
                                  std::span<const std::uint16_t> v);
void variant_adjust(const Rules& r, std::span<float> logits, const Draw& draw);
std::optional<std::uint32_t> variant_sample(const Rules& r, std::span<const float> logits,
                                            const Draw& draw);
float variant_log_sum(const Rules& r, std::span<const float> logits);

}  // namespace assay::canon::test
