#include "crypto/keystore.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"

namespace assay::crypto {
namespace {

constexpr const char* kSecret = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
constexpr ScryptCost kCheap{.n = 16, .r = 1, .p = 1};

// The PBKDF2 vector of the Web3 Secret Storage definition.
constexpr const char* kPbkdf2 = R"({"crypto": {"cipher": "aes-128-ctr",
  "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
  "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
  "kdf": "pbkdf2", "kdfparams": {"c": 262144, "dklen": 32, "prf": "hmac-sha256",
  "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
  "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
  "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3})";
// The same key as ethers 6.17.0 wrote it. (The definition's own scrypt vector has r = 1 with
// n = 2^18, which RFC 7914 and OpenSSL forbid: see the last test.)
constexpr const char* kScrypt = R"({"address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
  "id": "bf4cf5a7-2c2d-4417-8003-2809437c4540", "version": 3, "Crypto": {"cipher": "aes-128-ctr",
  "cipherparams": {"iv": "7de819bf043c810e7a7b4c6412ec752c"},
  "ciphertext": "601648db276e6466eb18e78dec9017f6563ed276182b64ebb3994031d53dde64",
  "kdf": "scrypt", "kdfparams": {
  "salt": "602bebc3e47e65f46957d859b87ff71433257604ac21b41f698573f3f1954700",
  "n": 131072, "dklen": 32, "p": 1, "r": 8},
  "mac": "01eebf40d72aecbb988fd51912a0d54a8abb69305e61c961b5f6933758661e12"}})";

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Keystore, FilesOfOtherTools) {
  for (const char* file : {kPbkdf2, kScrypt}) {
    const auto key = keystore_decrypt(file, "testpassword");
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(to_hex_bare(key->bytes), kSecret);
    EXPECT_EQ(to_hex_bare(address_of(*key).bytes), "008aeeda4d805471df9b2a5b0f38a0c3bcba786b");
  }
}

TEST(Keystore, WrongPassphraseIsItsOwnError) {
  const auto key = *secret_key(*from_hex(kSecret));
  const std::string file = *keystore_encrypt(key, "right", {}, kCheap);
  const auto wrong = keystore_decrypt(file, "Right");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::mismatch);
  EXPECT_EQ(wrong.error().message, "wrong passphrase for this keystore (or the file is damaged)");
}

TEST(Keystore, RoundTripsAndNamesItsAddress) {
  const auto key = *secret_key(*from_hex(kSecret));
  KeystoreRandom random;
  random.salt.fill(7);
  random.iv.fill(8);
  random.uuid.fill(0xff);
  for (const char* passphrase : {"", "x", "пароль \xf0\x9f\x94\x91"}) {
    const std::string file = *keystore_encrypt(key, passphrase, random, kCheap);
    EXPECT_EQ(keystore_decrypt(file, passphrase)->bytes, key.bytes);
    EXPECT_EQ(*keystore_address(file), address_of(key));
    EXPECT_NE(file.find("\"ffffffff-ffff-4fff-bfff-ffffffffffff\""), std::string::npos);
    EXPECT_EQ(file.find(kSecret), std::string::npos);
  }
}

TEST(Keystore, HostileFilesAreRefusedBeforeTheyCost) {
  const std::string file(kScrypt);
  const auto code = [](const std::string& text) {
    const auto r = keystore_decrypt(text, "testpassword");
    EXPECT_FALSE(r);
    return r ? Errc::internal : r.error().code;
  };
  EXPECT_EQ(code(replaced(file, "131072", "524288")), Errc::refused);
  EXPECT_EQ(code(replaced(file, "131072", "9223372036854775808")), Errc::refused);
  EXPECT_EQ(code(replaced(file, "\"r\": 8", "\"r\": 18446744073709551615")), Errc::refused);
  EXPECT_EQ(code(replaced(file, "\"p\": 1", "\"p\": 18446744073709551615")), Errc::refused);
  EXPECT_EQ(code(replaced(file, "\"p\": 1", "\"p\": 9")), Errc::refused);
  EXPECT_EQ(code(replaced(file, "131072", "131071")), Errc::invalid);
  EXPECT_EQ(code(replaced(file, "131072", "0")), Errc::invalid);
  EXPECT_EQ(code(replaced(file, "\"r\": 8", "\"r\": 0")), Errc::invalid);
  EXPECT_EQ(code(replaced(kPbkdf2, "262144", "10000001")), Errc::refused);
  EXPECT_EQ(code(replaced(kPbkdf2, "262144", "0")), Errc::invalid);
  EXPECT_EQ(code(replaced(kPbkdf2, "hmac-sha256", "hmac-sha512")), Errc::unsupported);
  EXPECT_EQ(code(replaced(file, "\"dklen\": 32", "\"dklen\": 64")), Errc::unsupported);
  EXPECT_EQ(code(replaced(file, "aes-128-ctr", "aes-256-gcm")), Errc::unsupported);
  EXPECT_EQ(code(replaced(file, "scrypt", "argon2id")), Errc::unsupported);
  EXPECT_EQ(code(replaced(file, "\"version\": 3", "\"version\": 4")), Errc::unsupported);
  EXPECT_EQ(code(replaced(file, "de64\"", "de\"")), Errc::invalid);
  EXPECT_EQ(code(replaced(file, "752c\"", "75\"")), Errc::invalid);
  EXPECT_EQ(code("{}"), Errc::invalid);
  EXPECT_EQ(code("not json"), Errc::invalid);
  EXPECT_EQ(code(std::string(70 << 10, ' ')), Errc::invalid);
}

TEST(Keystore, TheLabelledAddressMustBeTheKeys) {
  const auto key = *secret_key(*from_hex(kSecret));
  const std::string file = *keystore_encrypt(key, "p", {}, kCheap);
  const auto other = keystore_decrypt(replaced(file, "008aeeda", "108aeeda"), "p");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::mismatch);
}

TEST(Keystore, EncryptRefusesCostsItWouldNotRead) {
  const auto key = *secret_key(*from_hex(kSecret));
  EXPECT_FALSE(keystore_encrypt(key, "p", {}, {.n = 1u << 20, .r = 8, .p = 1}));
  EXPECT_FALSE(keystore_encrypt(key, "p", {}, {.n = 3, .r = 8, .p = 1}));
}

TEST(Keystore, ScryptOutsideRfc7914IsNamed) {
  const std::string narrow =
      replaced(replaced(kScrypt, "131072", "262144"), "\"r\": 8", "\"r\": 1");
  const auto refused = keystore_decrypt(narrow, "testpassword");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unsupported);
}

}  // namespace
}  // namespace assay::crypto
