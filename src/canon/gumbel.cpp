#include "canon/gumbel.hpp"

#include "canon/elementary.hpp"

namespace assay::canon {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c,
                                    std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = 0xD2511F53ull * c[0], b = 0xCD9E8D57ull * c[2];
    c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ key[0], static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return c;
}

float gumbel_of(std::uint32_t k) {
  const float u = static_cast<float>(2 * k + 1) * 0x1p-24f;  // exact: 24 bits
  return -log(-log(u));
}

std::uint32_t gumbel_key(std::uint64_t seed, std::uint32_t position, std::uint32_t token) {
  const auto words = philox({position, token, 0, 0}, {static_cast<std::uint32_t>(seed),
                                                      static_cast<std::uint32_t>(seed >> 32)});
  return words[0] >> 9;
}

float gumbel(std::uint64_t seed, std::uint32_t position, std::uint32_t token) {
  return gumbel_of(gumbel_key(seed, position, token));
}

}  // namespace assay::canon
