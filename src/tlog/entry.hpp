// What a market's log holds (spec/log.md): numbered, signed commitments, and nothing else.
// 158 bytes: kind ‖ ledger's domain separator ‖ issuer ‖ be64 number ‖ commitment ‖ signature.
// Each issuer's numbers count from 1 without a gap under one ledger, so that what an issuer never
// issued is as provable as what it did. Whether a commitment is to a receipt or to nothing (a void)
// shows only in its opening.
#pragma once
#include "crypto/secp256k1.hpp"

namespace assay::tlog {

enum class EntryKind : std::uint8_t {
  salted = 1,   // of a receipt, a void, or a row of a ledger
  auction = 2,  // of an auction's record, which the log serves: SHA-256 of its bytes
};

struct LogEntry {
  static constexpr std::size_t kBytes = 158;
  Hash ledger{};             // separator of the EIP-712 domain
  crypto::Address issuer{};  // a provider's operating key, or a ledger's host
  std::uint64_t number = 0;  // from 1
  Hash commitment{};
  crypto::Signature signature{};  // of digest(), by issuer
  EntryKind kind = EntryKind::salted;

  // EIP-712: LogEntry(address issuer,uint64 number,bytes32 commitment), or AuctionEntry(…).
  Hash digest() const;
  // What numbers are counted under: the ledger, or of auctions
  // sha256("assay/log/auctions/v0" ‖ ledger).
  Hash series() const;
  Bytes to_bytes() const;
  // The form only. Errors: invalid.
  static Result<LogEntry> parse(ByteView bytes);
  Status check_signature() const;  // mismatch
  bool operator==(const LogEntry&) const = default;
};
LogEntry sign_entry(const Hash& ledger, std::uint64_t number, const Hash& commitment,
                    const crypto::SecretKey& key, EntryKind kind = EntryKind::salted);
Hash auction_series(const Hash& ledger);

// Salts come from secrets that only the parties have and may delete: HMAC of the request's salt
// secret for a receipt. Without the salt a commitment says nothing about what it commits to.
Hash receipt_salt(const Hash& salt_secret, const Hash& receipt_digest);
Hash receipt_commitment(const Hash& salt, const Hash& receipt_digest);
// A number that no receipt has: used up by a crash, or to hide how many receipts there were.
Hash void_commitment(const Hash& salt, std::uint64_t number);
// A row of a ledger's operations log, which is public where its ledger is: number = sequence.
Hash row_commitment(const Hash& row_hash);

}  // namespace assay::tlog
