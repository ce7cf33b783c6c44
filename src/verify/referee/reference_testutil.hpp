// The parts of a leaf by the canon's functions over whole vectors and rows, for steps to be
// compared with.
#pragma once
#include <map>
#include <string>

#include "canon/sampling.hpp"
#include "verify/referee/world_testutil.hpp"

namespace assay::verify::test {

// Values of ops by their names; faulted: some operation of the part met a fault, values after it
// are missing or mean nothing.
struct PartValues {
  std::map<std::string, Bytes> ops;
  bool faulted = false;
  template <class T>
  std::vector<T> as(const std::string& name) const {
    return values_of<T>(ops.at(name));
  }
};

std::vector<float> reference_embedding(const World& world, std::uint32_t position);
// keys, values: rows of positions 0 … position.
PartValues reference_layer(const World& world, std::uint32_t position, std::uint32_t layer,
                           std::vector<float> x, std::vector<std::uint16_t> keys,
                           std::vector<std::uint16_t> values);
PartValues reference_cache_row(const World& world, std::uint32_t position, std::uint32_t layer,
                               const std::vector<float>& x);
PartValues reference_head(const World& world, const std::vector<float>& x);

canon::Draw draw_of(const World& world, std::uint32_t position,
                    std::vector<canon::LogitBias>& biases, std::vector<std::uint32_t>& tape);
// ad, z, tok, nx, lp, lo.
PartValues reference_choice(const World& world, std::uint32_t position, std::vector<float> logits);

}  // namespace assay::verify::test
