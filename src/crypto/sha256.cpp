// OpenSSL 3 deprecates the low-level functions because they bypass its providers; here they are
// wanted for exactly that: a fetch per 1 KiB chunk costs more than the hash.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/sha256.hpp"

#include <new>
#include <openssl/sha.h>

namespace assay::crypto {
namespace {

static_assert(sizeof(SHA256_CTX) == 112 && alignof(SHA256_CTX) <= 8);

SHA256_CTX* ctx(std::array<std::uint8_t, 112>& state) {
  return std::launder(reinterpret_cast<SHA256_CTX*>(state.data()));
}

}  // namespace

Hash sha256(ByteView data) {
  SHA256_CTX c;
  SHA256_Init(&c);
  SHA256_Update(&c, data.data(), data.size());
  Hash out;
  SHA256_Final(out.data(), &c);
  return out;
}

Sha256::Sha256() { SHA256_Init(new (state_.data()) SHA256_CTX); }

void Sha256::update(ByteView data) { SHA256_Update(ctx(state_), data.data(), data.size()); }

Hash Sha256::finish() {
  Hash out;
  SHA256_Final(out.data(), ctx(state_));
  return out;
}

Hash hmac_sha256(ByteView key, ByteView data) {
  std::array<std::uint8_t, 64> pad{};
  if (key.size() > pad.size())
    std::ranges::copy(sha256(key), pad.begin());
  else
    std::ranges::copy(key, pad.begin());
  for (auto& b : pad) b ^= 0x36;
  Sha256 inner;
  inner.update(pad);
  inner.update(data);
  const Hash digest = inner.finish();
  for (auto& b : pad) b ^= 0x36 ^ 0x5c;
  Sha256 outer;
  outer.update(pad);
  outer.update(digest);
  return outer.finish();
}

}  // namespace assay::crypto
