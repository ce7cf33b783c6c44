#include "engine/sampler_noise.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "canon/gumbel.hpp"

namespace assay::engine {
namespace {

constexpr std::uint32_t kNoiseKeys = 1u << 23;
constexpr std::size_t kLanes = 16;

// A key's distance from the end, as the leading 3 bits and the exponent of a float: noise grows
// like the logarithm of one over it.
std::uint32_t bucket_of(std::uint32_t distance) {
  return (std::bit_cast<std::uint32_t>(static_cast<float>(distance)) - 0x3f800000u) >> 20;
}

struct Bounds {
  std::array<float, 24 * 8> of;
  // Noise rises with the key, so that of a bucket's last key (its least distance) bounds it; where
  // rounding might let an earlier key win, a margin far beyond it does not hurt.
  Bounds() {
    of.fill(0.0f);
    for (std::uint32_t b = 0; b < of.size(); ++b) {
      const auto least = std::bit_cast<float>((b << 20) + 0x3f800000u);
      const auto distance =
          std::clamp<std::uint32_t>(static_cast<std::uint32_t>(least), 1, kNoiseKeys);
      of[b] = canon::gumbel_of(kNoiseKeys - distance) + 0x1p-16f;
    }
  }
};

const Bounds& bounds() {
  static const Bounds table;
  return table;
}

// Philox4x32-10 of kLanes counters in step.
void philox_lanes(std::uint64_t seed, std::uint32_t position, std::uint32_t first,
                  std::uint32_t* out) {
  std::uint32_t c0[kLanes], c1[kLanes], c2[kLanes] = {}, c3[kLanes] = {};
  for (std::size_t i = 0; i < kLanes; ++i) {
    c0[i] = position;
    c1[i] = first + static_cast<std::uint32_t>(i);
  }
  auto key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < kLanes; ++i) {
      const std::uint64_t a = 0xD2511F53ull * c0[i], b = 0xCD9E8D57ull * c2[i];
      c0[i] = static_cast<std::uint32_t>(b >> 32) ^ c1[i] ^ key0;
      c1[i] = static_cast<std::uint32_t>(b);
      c2[i] = static_cast<std::uint32_t>(a >> 32) ^ c3[i] ^ key1;
      c3[i] = static_cast<std::uint32_t>(a);
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  for (std::size_t i = 0; i < kLanes; ++i) out[i] = c0[i] >> 9;
}

}  // namespace

void gumbel_keys(std::uint64_t seed, std::uint32_t position, std::uint32_t first,
                 std::span<std::uint32_t> keys) {
  for (std::size_t at = 0; at < keys.size(); at += kLanes) {
    std::uint32_t lanes[kLanes];
    philox_lanes(seed, position, first + static_cast<std::uint32_t>(at), lanes);
    std::copy_n(lanes, std::min(kLanes, keys.size() - at), &keys[at]);
  }
}

float noise_bound(std::uint32_t key) { return bounds().of[bucket_of(kNoiseKeys - key)]; }

float noise_bound() { return bounds().of[0]; }

}  // namespace assay::engine
