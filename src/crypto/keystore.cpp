#include "crypto/keystore.hpp"

#include <bit>
#include <memory>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "crypto/keccak.hpp"

namespace assay::crypto {
namespace {

constexpr std::size_t kDerivedBytes = 32;
constexpr std::size_t kJsonBytesMax = 64 << 10;

using DerivedKey = SecretKey;  // 32 bytes that are overwritten when destroyed

Status check_cost(const ScryptCost& c, const KdfLimits& limits) {
  if (c.n < 2 || !std::has_single_bit(c.n) || c.r == 0 || c.p == 0)
    return fail(Errc::invalid, "keystore: scrypt needs n a power of two, r and p at least 1");
  if (c.r < 4 && c.n >= std::uint64_t{1} << (16 * c.r))
    return fail(Errc::unsupported, "keystore: scrypt n={} with r={} is outside RFC 7914", c.n, c.r);
  // Divisions, so that no hostile product can wrap.
  const std::uint64_t blocks = limits.scrypt_memory_bytes / 128 / c.n;
  if (c.r > blocks)
    return fail(Errc::refused, "keystore: scrypt n={} r={} needs more than {} MiB of memory", c.n,
                c.r, limits.scrypt_memory_bytes >> 20);
  if (c.p > limits.scrypt_work_bytes / (128 * c.n * c.r))
    return fail(Errc::refused, "keystore: scrypt n={} r={} p={} is too much work", c.n, c.r, c.p);
  return {};
}

Result<DerivedKey> derive_scrypt(std::string_view passphrase, ByteView salt, const ScryptCost& c,
                                 const KdfLimits& limits) {
  CHECK_OK(check_cost(c, limits));
  DerivedKey out;
  // OpenSSL counts its small buffers too.
  const std::uint64_t memory_max = 128 * c.r * (c.n + c.p + 2) + (1u << 20);
  if (EVP_PBE_scrypt(passphrase.data(), passphrase.size(), salt.data(), salt.size(), c.n, c.r, c.p,
                     memory_max, out.bytes.data(), kDerivedBytes) != 1)
    return fail(Errc::internal, "keystore: scrypt failed (not enough memory?)");
  return out;
}

Result<DerivedKey> derive_pbkdf2(std::string_view passphrase, ByteView salt,
                                 std::uint64_t iterations, const KdfLimits& limits) {
  if (iterations == 0) return fail(Errc::invalid, "keystore: pbkdf2 needs at least one iteration");
  if (iterations > limits.pbkdf2_iterations)
    return fail(Errc::refused, "keystore: {} pbkdf2 iterations exceed the limit of {}", iterations,
                limits.pbkdf2_iterations);
  DerivedKey out;
  if (PKCS5_PBKDF2_HMAC(passphrase.data(), static_cast<int>(passphrase.size()), salt.data(),
                        static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                        kDerivedBytes, out.bytes.data()) != 1)
    return fail(Errc::internal, "keystore: pbkdf2 failed");
  return out;
}

// Counter mode: the same call encrypts and decrypts.
Result<DerivedKey> aes_128_ctr(const DerivedKey& derived, ByteView iv, ByteView in) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> ctx(EVP_CIPHER_CTX_new(),
                                                                            EVP_CIPHER_CTX_free);
  DerivedKey out;
  int size = 0;
  if (!ctx ||
      EVP_EncryptInit_ex(ctx.get(), EVP_aes_128_ctr(), nullptr, derived.bytes.data(), iv.data()) !=
          1 ||
      EVP_EncryptUpdate(ctx.get(), out.bytes.data(), &size, in.data(),
                        static_cast<int>(in.size())) != 1 ||
      size != 32)
    return fail(Errc::internal, "keystore: AES failed");
  return out;
}

Hash mac_of(const DerivedKey& derived, ByteView ciphertext) {
  std::array<std::uint8_t, 48> buffer;
  std::copy(derived.bytes.begin() + 16, derived.bytes.end(), buffer.begin());
  std::ranges::copy(ciphertext, buffer.begin() + 16);
  const Hash mac = keccak256(buffer);
  OPENSSL_cleanse(buffer.data(), buffer.size());
  return mac;
}

Result<DerivedKey> derive(const json::object& crypto, std::string_view passphrase,
                          const KdfLimits& limits) {
  TRY(const std::string kdf, json::get_string(crypto, "kdf"));
  TRY(const json::object* params, json::get_object(crypto, "kdfparams"));
  TRY(const std::uint64_t size, json::get_u64(*params, "dklen"));
  if (size != kDerivedBytes)
    return fail(Errc::unsupported, "keystore: dklen {} is not supported, only 32", size);
  TRY(const Bytes salt, json::get_hex(*params, "salt"));
  if (kdf == "scrypt") {
    ScryptCost cost;
    TRY(cost.n, json::get_u64(*params, "n"));
    TRY(cost.r, json::get_u64(*params, "r"));
    TRY(cost.p, json::get_u64(*params, "p"));
    return derive_scrypt(passphrase, salt, cost, limits);
  }
  if (kdf == "pbkdf2") {
    TRY(const std::string prf, json::get_string(*params, "prf"));
    if (prf != "hmac-sha256")
      return fail(Errc::unsupported, "keystore: prf '{}' is not supported, only hmac-sha256", prf);
    TRY(const std::uint64_t iterations, json::get_u64(*params, "c"));
    return derive_pbkdf2(passphrase, salt, iterations, limits);
  }
  return fail(Errc::unsupported, "keystore: kdf '{}' is not supported, only scrypt and pbkdf2",
              kdf);
}

// version 4, variant 1 (RFC 9562)
std::string uuid_text(std::array<std::uint8_t, 16> b) {
  b[6] = static_cast<std::uint8_t>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<std::uint8_t>((b[8] & 0x3f) | 0x80);
  std::string s = to_hex_bare(b);
  for (const std::size_t at : {20, 16, 12, 8}) s.insert(at, "-");
  return s;
}

Result<json::value> parse_v3(std::string_view text) {
  auto parsed = json::parse(text, kJsonBytesMax);
  if (!parsed || !parsed->is_object())
    return fail(Errc::invalid, "not a keystore file: expected Web3 secret storage JSON");
  TRY(const std::uint64_t version, json::get_u64(parsed->get_object(), "version"));
  if (version != 3)
    return fail(Errc::unsupported, "keystore version {} is not supported, only 3", version);
  return parsed;
}

}  // namespace

Result<std::string> keystore_encrypt(const SecretKey& key, std::string_view passphrase,
                                     const KeystoreRandom& random, ScryptCost cost) {
  TRY(const DerivedKey derived, derive_scrypt(passphrase, random.salt, cost, KdfLimits{}));
  TRY(const DerivedKey ciphertext, aes_128_ctr(derived, random.iv, key.bytes));
  const json::object kdfparams{{"dklen", kDerivedBytes},
                               {"n", cost.n},
                               {"p", cost.p},
                               {"r", cost.r},
                               {"salt", to_hex_bare(random.salt)}};
  const json::object crypto{{"cipher", "aes-128-ctr"},
                            {"cipherparams", json::object{{"iv", to_hex_bare(random.iv)}}},
                            {"ciphertext", to_hex_bare(ciphertext.bytes)},
                            {"kdf", "scrypt"},
                            {"kdfparams", kdfparams},
                            {"mac", to_hex_bare(mac_of(derived, ciphertext.bytes))}};
  const json::object file{{"address", to_hex_bare(address_of(key).bytes)},
                          {"crypto", crypto},
                          {"id", uuid_text(random.uuid)},
                          {"version", 3}};
  return json::dump_pretty(file) + "\n";
}

Result<SecretKey> keystore_decrypt(std::string_view text, std::string_view passphrase,
                                   const KdfLimits& limits) {
  TRY(const json::value parsed, parse_v3(text));
  const json::object& file = parsed.get_object();
  // Early geth wrote "Crypto".
  TRY(const json::object* crypto,
      json::get_object(file, file.contains("Crypto") ? "Crypto" : "crypto"));
  TRY(const std::string cipher, json::get_string(*crypto, "cipher"));
  if (cipher != "aes-128-ctr")
    return fail(Errc::unsupported, "keystore: cipher '{}' is not supported, only aes-128-ctr",
                cipher);
  TRY(const json::object* cipherparams, json::get_object(*crypto, "cipherparams"));
  TRY(const Bytes iv, json::get_hex(*cipherparams, "iv"));
  TRY(const Bytes ciphertext, json::get_hex(*crypto, "ciphertext"));
  if (iv.size() != 16 || ciphertext.size() != 32)
    return fail(Errc::invalid, "keystore: iv must have 16 bytes and ciphertext 32");
  TRY(const Hash mac, json::get_hash(*crypto, "mac"));
  TRY(const DerivedKey derived, derive(*crypto, passphrase, limits));
  const Hash expected = mac_of(derived, ciphertext);
  if (CRYPTO_memcmp(mac.data(), expected.data(), mac.size()) != 0)
    return fail(Errc::mismatch, "wrong passphrase for this keystore (or the file is damaged)");
  TRY(const DerivedKey plain, aes_128_ctr(derived, iv, ciphertext));
  TRY(const SecretKey key, secret_key(plain.bytes));
  if (file.contains("address")) {
    TRY(const Address labelled, keystore_address(text));
    if (labelled != address_of(key))
      return fail(Errc::mismatch, "keystore: the address in the file is not that of its key");
  }
  return key;
}

Result<Address> keystore_address(std::string_view text) {
  TRY(const json::value parsed, parse_v3(text));
  TRY(const Bytes bytes, json::get_hex(parsed.get_object(), "address"));
  Address a;
  if (bytes.size() != a.bytes.size())
    return fail(Errc::invalid, "keystore: the address must have 20 bytes");
  std::ranges::copy(bytes, a.bytes.begin());
  return a;
}

}  // namespace assay::crypto
