#include "crypto/hpke.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/assert.hpp"
#include "crypto/openssl.hpp"
#include "crypto/sha256.hpp"

namespace assay::crypto {
namespace {

constexpr std::size_t kEnc = 32, kTag = 16;
constexpr std::uint8_t kKemSuite[] = {'K', 'E', 'M', 0x00, 0x20};
constexpr std::uint8_t kSuite[] = {'H', 'P', 'K', 'E', 0x00, 0x20, 0x00, 0x01, 0x00, 0x03};

Hash labeled_extract(ByteView suite, ByteView salt, std::string_view label, ByteView ikm) {
  Bytes in;
  append(in, view("HPKE-v1"));
  append(in, suite);
  append(in, view(label));
  append(in, ikm);
  return hmac_sha256(salt, in);
}

// One block of HKDF-Expand; the caller takes its first `length` bytes.
Hash labeled_expand(ByteView suite, const Hash& prk, std::string_view label, ByteView info,
                    std::uint8_t length) {
  Bytes in{0, length};
  append(in, view("HPKE-v1"));
  append(in, suite);
  append(in, view(label));
  append(in, info);
  in.push_back(1);
  return hmac_sha256(prk, in);
}

Key x25519_key(const X25519SecretKey& key) {
  Key out(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, key.bytes.data(), key.bytes.size()));
  ASSAY_ASSERT(out != nullptr);
  return out;
}

// invalid where the result would be zero, whatever the secret.
Result<Hash> diffie_hellman(const X25519SecretKey& secret, const X25519PublicKey& public_key) {
  const Key own = x25519_key(secret);
  const Key peer(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, public_key.data(), public_key.size()));
  const KeyContext context(EVP_PKEY_CTX_new(own.get(), nullptr));
  ASSAY_ASSERT(peer != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1);
  Hash out{};
  std::size_t size = out.size();
  if (EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
      EVP_PKEY_derive(context.get(), out.data(), &size) != 1 || out == Hash{}) {
    ERR_clear_error();
    return fail(Errc::invalid, "no X25519 key: a point of small order");
  }
  return out;
}

struct Schedule {
  Hash key, base_nonce;  // of the nonce 12 bytes count
};

Schedule schedule(const Hash& dh, ByteView enc, ByteView to, ByteView info) {
  Bytes kem_context;
  append(kem_context, enc);
  append(kem_context, to);
  const Hash eae = labeled_extract(kKemSuite, {}, "eae_prk", dh);
  const Hash shared = labeled_expand(kKemSuite, eae, "shared_secret", kem_context, 32);
  Bytes context{0};  // mode_base
  append(context, labeled_extract(kSuite, {}, "psk_id_hash", {}));
  append(context, labeled_extract(kSuite, {}, "info_hash", info));
  const Hash secret = labeled_extract(kSuite, shared, "secret", {});
  return {labeled_expand(kSuite, secret, "key", context, 32),
          labeled_expand(kSuite, secret, "base_nonce", context, 12)};
}

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, Freed<EVP_CIPHER_CTX_free>>;

Cipher cipher(const Schedule& keys, bool seals) {
  Cipher out(EVP_CIPHER_CTX_new());
  ASSAY_ASSERT(out != nullptr &&
               EVP_CipherInit_ex(out.get(), EVP_chacha20_poly1305(), nullptr, keys.key.data(),
                                 keys.base_nonce.data(), seals ? 1 : 0) == 1);
  return out;
}

void update(const Cipher& context, std::uint8_t* out, ByteView in) {
  int size = 0;
  if (in.empty()) return;
  ASSAY_ASSERT(in.size() <= INT32_MAX && EVP_CipherUpdate(context.get(), out, &size, in.data(),
                                                          static_cast<int>(in.size())) == 1);
}

}  // namespace

X25519SecretKey::~X25519SecretKey() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

X25519PublicKey x25519_public_key(const X25519SecretKey& key) {
  X25519PublicKey out;
  std::size_t size = out.size();
  const Key handle = x25519_key(key);
  ASSAY_ASSERT(EVP_PKEY_get_raw_public_key(handle.get(), out.data(), &size) == 1 &&
               size == out.size());
  return out;
}

Result<Bytes> hpke_seal(const X25519PublicKey& to, ByteView info, ByteView aad, ByteView plaintext,
                        const X25519SecretKey& ephemeral) {
  TRY(const Hash dh, diffie_hellman(ephemeral, to));
  const X25519PublicKey enc = x25519_public_key(ephemeral);
  const Cipher context = cipher(schedule(dh, enc, to, info), true);
  Bytes out(kEnc + plaintext.size() + kTag);
  std::copy(enc.begin(), enc.end(), out.begin());
  update(context, nullptr, aad);
  update(context, out.data() + kEnc, plaintext);
  int size = 0;
  ASSAY_ASSERT(EVP_CipherFinal_ex(context.get(), out.data() + kEnc + plaintext.size(), &size) ==
                   1 &&
               EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTag,
                                   out.data() + kEnc + plaintext.size()) == 1);
  return out;
}

Result<Bytes> hpke_open(const X25519SecretKey& key, ByteView info, ByteView aad, ByteView sealed) {
  if (sealed.size() < kHpkeOverhead)
    return fail(Errc::mismatch, "{} bytes are no sealed message", sealed.size());
  X25519PublicKey enc;
  std::copy_n(sealed.begin(), kEnc, enc.begin());
  TRY(const Hash dh, diffie_hellman(key, enc));
  const Cipher context = cipher(schedule(dh, enc, x25519_public_key(key), info), false);
  const ByteView body = sealed.subspan(kEnc, sealed.size() - kHpkeOverhead);
  Bytes tag(sealed.end() - kTag, sealed.end());
  Bytes out(body.size());
  update(context, nullptr, aad);
  update(context, out.data(), body);
  ASSAY_ASSERT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()) == 1);
  int size = 0;
  std::uint8_t rest[16];
  if (EVP_CipherFinal_ex(context.get(), rest, &size) != 1) {
    ERR_clear_error();
    return fail(Errc::mismatch, "the message was sealed for another key, or altered");
  }
  return out;
}

}  // namespace assay::crypto
