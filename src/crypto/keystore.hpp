// Web3 Secret Storage version 3: a secret key in a JSON file under a passphrase, as geth, ethers
// and wallets read and write it. AES-128-CTR under the first half of a derived key, Keccak-256
// MAC under the second.
// https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage
#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/secp256k1.hpp"

namespace assay::crypto {

// Fresh random bytes for one file; never reused for another.
struct KeystoreRandom {
  std::array<std::uint8_t, 32> salt{};
  std::array<std::uint8_t, 16> iv{};
  std::array<std::uint8_t, 16> uuid{};  // made a version 4 UUID when written
};

// scrypt (RFC 7914): memory is 128·n·r bytes. The default takes about a third of a second.
struct ScryptCost {
  std::uint64_t n = 1u << 17;  // a power of two > 1
  std::uint64_t r = 8;
  std::uint64_t p = 1;
};

// What a file may make us spend before it is refused. The defaults admit what geth and ethers
// write (n = 2^18, r = 8: 256 MiB).
struct KdfLimits {
  std::uint64_t scrypt_memory_bytes = 256u << 20;  // 128·n·r
  std::uint64_t scrypt_work_bytes = 1u << 30;      // 128·n·r·p
  std::uint64_t pbkdf2_iterations = 10'000'000;
};

// The JSON text of a keystore. Errors: invalid for a cost over the default KdfLimits.
Result<std::string> keystore_encrypt(const SecretKey& key, std::string_view passphrase,
                                     const KeystoreRandom& random, ScryptCost cost = {});

// Reads scrypt and pbkdf2 (hmac-sha256). Errors: mismatch for a wrong passphrase (or a damaged
// file: the MAC cannot tell them apart); unsupported for another version, cipher or KDF; invalid
// for a malformed file; refused for one that exceeds `limits`.
Result<SecretKey> keystore_decrypt(std::string_view json, std::string_view passphrase,
                                   const KdfLimits& limits = {});

// The address written in the file, without the passphrase: a label, proven only by decrypting.
// Errors: invalid when there is none.
Result<Address> keystore_address(std::string_view json);

}  // namespace assay::crypto
