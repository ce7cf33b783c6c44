#include "protocol/audit_keys.hpp"

#include <algorithm>

#include "crypto/sha256.hpp"

namespace assay::protocol {
namespace {

Bytes tagged(std::string_view tag) {
  Bytes out;
  append(out, view(tag));
  return out;
}

}  // namespace

Hash beacon_before(const Hash& value) {
  crypto::Sha256 h;
  h.update(view("assay/beacon/v0"));
  h.update(value);
  return h.finish();
}

Hash draw_score(const Hash& beacon, const Hash& audit, const Address& auditor,
                std::uint32_t tickets) {
  Bytes b = tagged("assay/auditors/v0");
  append(b, beacon);
  append(b, audit);
  append(b, auditor.bytes);
  b.resize(b.size() + 4);
  Hash least;
  least.fill(0xff);
  for (std::uint32_t j = 0; j < tickets; ++j) {
    for (std::size_t i = 0; i < 4; ++i)
      b[b.size() - 4 + i] = static_cast<std::uint8_t>(j >> (24 - 8 * i));
    least = std::min(least, crypto::sha256(b));
  }
  return least;
}

Hash key_nonce(const Hash& beacon, const Hash& audit, const Address& auditor, const Hash& key) {
  Bytes b = tagged("assay/audit-key/v0");
  append(b, beacon);
  append(b, audit);
  append(b, auditor.bytes);
  append(b, key);
  return crypto::sha256(b);
}

Hash nonce_hash(const Hash& nonce) { return crypto::sha256(nonce); }

Hash keyed_root_hash(const Hash& keyed_root, const Hash& key) {
  Bytes b(keyed_root.begin(), keyed_root.end());
  append(b, key);
  return crypto::sha256(b);
}

}  // namespace assay::protocol
