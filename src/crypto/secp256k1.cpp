#include "crypto/secp256k1.hpp"

#include "base/assert.hpp"
#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/keccak.hpp"
#include "crypto/secp256k1_point.hpp"

namespace assay::crypto {
namespace {

Hash number(std::string_view hex) {
  Hash out;
  ASSAY_ASSERT(from_hex(hex, out));
  return out;
}
const Hash& order() {
  static const Hash n = number("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  return n;
}
const Hash& half_order() {
  static const Hash n = number("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
  return n;
}

Hash half_of(const PlainSignature& signature, std::size_t at) {
  Hash out;
  std::copy_n(signature.begin() + at, out.size(), out.begin());
  return out;
}

// A DER INTEGER: as short as it can be, positive.
void append_integer(Bytes& out, ByteView number) {
  while (number.size() > 1 && number[0] == 0) number = number.subspan(1);
  const bool pad = number[0] >= 0x80;
  out.push_back(0x02);
  out.push_back(static_cast<std::uint8_t>(number.size() + pad));
  if (pad) out.push_back(0);
  append(out, number);
}

// Takes an INTEGER of at most 32 bytes off the front; what is not in DER shows when it is written
// again.
bool take_integer(ByteView& der, std::span<std::uint8_t> out) {
  if (der.size() < 2 || der[0] != 0x02 || der[1] > der.size() - 2) return false;
  ByteView number = der.subspan(2, der[1]);
  der = der.subspan(2 + number.size());
  while (!number.empty() && number[0] == 0) number = number.subspan(1);
  if (number.size() > out.size()) return false;
  std::ranges::copy(number, out.end() - static_cast<std::ptrdiff_t>(number.size()));
  return true;
}

}  // namespace

std::string Address::to_string() const {
  std::string out = to_hex(bytes);
  const Hash hash = keccak256(view(std::string_view(out).substr(2)));
  for (std::size_t i = 0; i < 40; ++i) {
    const int nibble = i % 2 == 0 ? hash[i / 2] >> 4 : hash[i / 2] & 15;
    char& c = out[i + 2];
    if (c >= 'a' && nibble >= 8) c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

Result<Address> Address::parse(std::string_view text) {
  Address a;
  if (!text.starts_with("0x") || !from_hex(text, a.bytes))
    return fail(Errc::invalid, "'{}' is not an address: expected 0x and 40 hex digits",
                text.substr(0, 44));
  if (text != to_hex(a.bytes) && text != a.to_string())
    return fail(Errc::invalid, "address {} has a wrong checksum: check it for typing errors", text);
  return a;
}

Address address_of(const PublicKey& key) {
  const Hash hash = keccak256(key.bytes);
  Address a;
  std::copy(hash.begin() + 12, hash.end(), a.bytes.begin());
  return a;
}

Result<PublicKey> recover_key(const Hash& digest, const Signature& signature) {
  const int v = signature.bytes[64];
  if (v != 27 && v != 28)
    return fail(Errc::mismatch, "signature refused: v is {}, expected 27 or 28", v);
  const PlainSignature numbers = plain(signature);
  const Hash r = half_of(numbers, 0), s = half_of(numbers, 32);
  if (r >= order() || s >= order())
    return fail(Errc::mismatch, "signature refused: r or s out of range");
  if (s > half_order())
    return fail(Errc::mismatch, "signature refused: s is in the upper half (malleable form)");
  const auto key = recover_point(digest, numbers, v == 28);
  if (!key) return fail(Errc::mismatch, "signature refused: no public key recovers from it");
  return *key;
}

Result<Address> recover(const Hash& digest, const Signature& signature) {
  TRY(const PublicKey key, recover_key(digest, signature));
  return address_of(key);
}

std::string to_pem(const PublicKey& key) {
  // SEQUENCE { SEQUENCE { id-ecPublicKey, secp256k1 }, BIT STRING 04 ‖ x ‖ y }
  Bytes der = *from_hex("3056301006072a8648ce3d020106052b8104000a03420004");
  append(der, key.bytes);
  const std::string base64 = to_base64(der);
  std::string out = "-----BEGIN PUBLIC KEY-----\n";
  for (std::size_t i = 0; i < base64.size(); i += 64) out += base64.substr(i, 64) + "\n";
  return out + "-----END PUBLIC KEY-----\n";
}

PlainSignature plain(const Signature& signature) {
  PlainSignature out;
  std::copy_n(signature.bytes.begin(), out.size(), out.begin());
  return out;
}

Result<PublicKey> check_plain(const Hash& digest, const PlainSignature& signature,
                              const Address& signer) {
  Signature full;
  std::ranges::copy(signature, full.bytes.begin());
  for (const int v : {27, 28}) {
    full.bytes[64] = static_cast<std::uint8_t>(v);
    const auto key = recover_key(digest, full);
    if (key && address_of(*key) == signer) return key;
  }
  return fail(Errc::mismatch, "the signature is not one of {}", signer.to_string());
}

Bytes to_der(const PlainSignature& signature) {
  Bytes numbers;
  append_integer(numbers, ByteView(signature).first(32));
  append_integer(numbers, ByteView(signature).last(32));
  Bytes out{0x30, static_cast<std::uint8_t>(numbers.size())};
  append(out, numbers);
  return out;
}

Result<PlainSignature> from_der(ByteView der) {
  PlainSignature out{};
  ByteView rest = der.size() < 2 ? ByteView() : der.subspan(2);
  const auto in_range = [&](std::size_t at) {
    const Hash number = half_of(out, at);
    return number != Hash{} && number < order();
  };
  if (!take_integer(rest, std::span(out).first(32)) ||
      !take_integer(rest, std::span(out).last(32)) || !in_range(0) || !in_range(32) ||
      !std::ranges::equal(to_der(out), der))
    return fail(Errc::invalid, "not the DER of an ECDSA signature");
  return out;
}

}  // namespace assay::crypto
