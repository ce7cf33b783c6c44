#include "tlog/entry.hpp"

#include "crypto/eip712.hpp"
#include "crypto/sha256.hpp"

namespace assay::tlog {
namespace {

template <class... Parts>
Hash commit(std::string_view label, const Parts&... parts) {
  crypto::Sha256 hash;
  hash.update(view(label));
  (hash.update(parts), ...);
  return hash.finish();
}

template <std::size_t N>
void take(ByteView& bytes, std::array<std::uint8_t, N>& out) {
  std::copy_n(bytes.begin(), N, out.begin());
  bytes = bytes.subspan(N);
}

}  // namespace

Hash LogEntry::digest() const {
  crypto::StructHasher hasher(kind == EntryKind::auction
                                  ? "AuctionEntry(address issuer,uint64 number,bytes32 commitment)"
                                  : "LogEntry(address issuer,uint64 number,bytes32 commitment)");
  hasher.address(issuer).u64(number).bytes32(commitment);
  return crypto::typed_digest(ledger, hasher.finish());
}

Hash LogEntry::series() const {
  return kind == EntryKind::auction ? auction_series(ledger) : ledger;
}

Bytes LogEntry::to_bytes() const {
  Bytes out{static_cast<std::uint8_t>(kind)};
  append(out, ledger);
  append(out, issuer.bytes);
  append_be(out, number);
  append(out, commitment);
  append(out, signature.bytes);
  return out;
}

Result<LogEntry> LogEntry::parse(ByteView bytes) {
  if (bytes.size() != kBytes || (bytes[0] != 1 && bytes[0] != 2))
    return fail(Errc::invalid, "not a log entry: {} bytes beginning 0x01 or 0x02 are one", kBytes);
  LogEntry out;
  out.kind = static_cast<EntryKind>(bytes[0]);
  bytes = bytes.subspan(1);
  take(bytes, out.ledger);
  take(bytes, out.issuer.bytes);
  out.number = load_be<std::uint64_t>(bytes.data());
  bytes = bytes.subspan(8);
  take(bytes, out.commitment);
  take(bytes, out.signature.bytes);
  // Sequences are int64 where they are stored.
  if (out.number == 0 || out.number > INT64_MAX)
    return fail(Errc::invalid, "a log entry's number is 1 … 2^63-1");
  return out;
}

Status LogEntry::check_signature() const {
  TRY(const auto signer, crypto::recover(digest(), signature));
  if (signer != issuer)
    return fail(Errc::mismatch, "the entry is signed by {}, not by its issuer {}",
                signer.to_string(), issuer.to_string());
  return {};
}

LogEntry sign_entry(const Hash& ledger, std::uint64_t number, const Hash& commitment,
                    const crypto::SecretKey& key, EntryKind kind) {
  LogEntry out{ledger, crypto::address_of(key), number, commitment, {}, kind};
  out.signature = crypto::sign(out.digest(), key);
  return out;
}

Hash receipt_salt(const Hash& salt_secret, const Hash& receipt_digest) {
  Bytes message;
  append(message, view("assay/log/salt/v0"));
  append(message, receipt_digest);
  return crypto::hmac_sha256(salt_secret, message);
}

Hash receipt_commitment(const Hash& salt, const Hash& receipt_digest) {
  return commit("assay/log/receipt/v0", salt, receipt_digest);
}

Hash void_commitment(const Hash& salt, std::uint64_t number) {
  Bytes bytes;
  append_be(bytes, number);
  return commit("assay/log/void/v0", salt, bytes);
}

Hash auction_series(const Hash& ledger) { return commit("assay/log/auctions/v0", ledger); }

Hash row_commitment(const Hash& row_hash) { return commit("assay/log/row/v0", row_hash); }

}  // namespace assay::tlog
