// SHA-256 (FIPS 180-4) by OpenSSL's low-level names, all that crypto/sha256.cpp takes from it: an
// AArch64 build needs no AArch64 package. crypto/hash_test.cpp holds it to the standard's vectors.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

struct SHA256_CTX {
  std::uint32_t h[8];
  std::uint64_t bytes;
  std::uint8_t block[64];
  std::uint64_t unused;  // the size OpenSSL's has
};

namespace sha256_portable {

inline constexpr std::uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

inline void compress(SHA256_CTX& c) {
  std::uint32_t w[64];
  for (int i = 0; i < 16; ++i)
    w[i] = std::uint32_t{c.block[4 * i]} << 24 | std::uint32_t{c.block[4 * i + 1]} << 16 |
           std::uint32_t{c.block[4 * i + 2]} << 8 | c.block[4 * i + 3];
  for (int i = 16; i < 64; ++i) {
    const std::uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] +
           (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
  }
  std::uint32_t s[8];
  std::copy(c.h, c.h + 8, s);
  for (int i = 0; i < 64; ++i) {
    const std::uint32_t one = s[7] + (std::rotr(s[4], 6) ^ std::rotr(s[4], 11) ^ std::rotr(s[4], 25)) +
                              ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
    const std::uint32_t two = (std::rotr(s[0], 2) ^ std::rotr(s[0], 13) ^ std::rotr(s[0], 22)) +
                              ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    std::copy_backward(s, s + 7, s + 8);
    s[4] += one;
    s[0] = one + two;
  }
  for (int i = 0; i < 8; ++i) c.h[i] += s[i];
}

}  // namespace sha256_portable

inline int SHA256_Init(SHA256_CTX* c) {
  *c = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
         0x5be0cd19},
        0,
        {},
        0};
  return 1;
}

inline int SHA256_Update(SHA256_CTX* c, const void* data, std::size_t size) {
  const auto* from = static_cast<const std::uint8_t*>(data);
  while (size > 0) {
    const std::size_t at = c->bytes % 64, n = std::min(size, 64 - at);
    std::copy(from, from + n, c->block + at);
    c->bytes += n;
    from += n;
    size -= n;
    if (at + n == 64) sha256_portable::compress(*c);
  }
  return 1;
}

inline int SHA256_Final(std::uint8_t* out, SHA256_CTX* c) {
  const std::uint64_t bits = c->bytes * 8;
  const std::uint8_t one = 0x80, zeros[64]{};
  SHA256_Update(c, &one, 1);
  SHA256_Update(c, zeros, (120 - c->bytes % 64) % 64);
  for (int i = 0; i < 8; ++i) {
    const auto byte = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
    SHA256_Update(c, &byte, 1);
  }
  for (int i = 0; i < 32; ++i) out[i] = static_cast<std::uint8_t>(c->h[i / 4] >> (24 - 8 * (i % 4)));
  return 1;
}
