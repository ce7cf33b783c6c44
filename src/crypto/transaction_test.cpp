// Against published vectors (Ethereum's RLPTests and ethereumjs' EIP-1559 ones);
// tests/peers/chain.mjs holds spec/vectors/chain/transactions.json against viem.
#include "crypto/transaction.hpp"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "crypto/keccak.hpp"
#include "crypto/rlp.hpp"

namespace assay::crypto {
namespace {

std::string rlp_text(std::string_view text) { return to_hex(rlp_string(view(text))); }

TEST(Rlp, PublishedExamples) {
  EXPECT_EQ(rlp_text(""), "0x80");
  EXPECT_EQ(rlp_text(std::string_view("\0", 1)), "0x00");
  EXPECT_EQ(rlp_text("\x7f"), "0x7f");
  EXPECT_EQ(rlp_text("\x80"), "0x8180");
  EXPECT_EQ(rlp_text("dog"), "0x83646f67");
  EXPECT_EQ(
      rlp_text("Lorem ipsum dolor sit amet, consectetur adipisicing eli"),
      "0xb74c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465747572206164"
      "6970697369"
      "63696e6720656c69");
  EXPECT_EQ(rlp_text("Lorem ipsum dolor sit amet, consectetur adipisicing elit").substr(0, 6),
            "0xb838");
  EXPECT_EQ(rlp_text(std::string(1024, 'a')).substr(0, 8), "0xb90400");
  EXPECT_EQ(to_hex(RlpList().encode()), "0xc0");
  EXPECT_EQ(to_hex(RlpList().uint(0).uint(15).uint(1024).encode()), "0xc5800f820400");
  EXPECT_EQ(to_hex(RlpList().bytes(view("cat")).bytes(view("dog")).encode()),
            "0xc88363617483646f67");
  const RlpList empty, one = RlpList().list(empty);
  EXPECT_EQ(to_hex(RlpList().list(empty).list(one).list(RlpList().list(empty).list(one)).encode()),
            "0xc7c0c1c0c3c0c1c0");
  RlpList longer;
  for (int i = 0; i < 20; ++i) longer.bytes(view("dog"));
  EXPECT_EQ(to_hex(longer.encode()).substr(0, 14), "0xf85083646f67");
}

TEST(Uint256, QuantitiesBothWays) {
  for (const char* text : {"0x0", "0x1", "0xf", "0x10", "0xabc", "0xffffffffffffffff"})
    EXPECT_EQ(to_quantity(*parse_quantity(text)), text);
  const std::string most = "0x" + std::string(64, 'f');
  EXPECT_EQ(to_quantity(*parse_quantity(most)), most);
  EXPECT_EQ(*parse_quantity("0x0041"), Uint256(0x41));
  for (const std::string& text :
       {std::string(), std::string("0x"), std::string("41"), std::string("0x-1"),
        std::string("0x 1"), std::string("0xg"), std::string("0X1"), "0x" + std::string(65, '0')})
    EXPECT_FALSE(parse_quantity(text)) << text;
  EXPECT_EQ(*parse_quantity_u64("0xffffffffffffffff"), ~std::uint64_t{0});
  EXPECT_FALSE(parse_quantity_u64("0x10000000000000000"));
  EXPECT_LT(Uint256(255), Uint256(256));
  EXPECT_EQ(Uint256(7).to_u64(), 7u);
  EXPECT_FALSE(parse_quantity(most)->to_u64());
}

// ethereumjs-monorepo packages/tx/test/json/eip1559.json, chain 7822; the published form is the
// envelope as an RLP string.
TEST(Transaction, PublishedEip1559Vectors) {
  struct Vector {
    std::uint64_t nonce, value, gas, priority, fee;
    const char* wire;
  };
  for (const Vector& v : {
           Vector{819, 43203529, 35552, 75853, 121212,
                  "0xb87302f870821e8e8203338301284d8301d97c828ae09400000000000000000000000000000000"
                  "0000aaaa8402933bc980c080a0d067f2167008c59219652f91cbf8788dbca5f771f6e91e2b7657e8"
                  "5b78b472e0a01d305af9fe81fdba43f0dfcd400ed24dcace0a7e30d4e85701dcaaf484cd079e"},
           Vector{353, 61901619, 32593, 38850, 136295,
                  "0xb87202f86f821e8e8201618297c283021467827f51940000000000000000000000000000000000"
                  "00aaaa8403b08b3380c001a004205678f13fc1d7b10feea6513dfa76e24418b6e08097d95c6f93a3"
                  "b64e536da01d45ad61bfece43862de2cce7d2575a8c1d08c26c87f3cb5f26d7b0be54a91b2"},
           Vector{119, 65456115, 62341, 24721, 107729,
                  "0xb87002f86d821e8e778260918301a4d182f3859400000000000000000000000000000000000"
                  "0aaaa8403e6c7f380c001a0e38e239770801eb995498c821e55ac9c19ae09184bb27b34be105e0"
                  "2fe3b7615a067c64ca6bd6d9107e85fd581ab2e70a14b637eb36505bb40861ef9d6e800cab6"},
       }) {
    const SecretKey key =
        *secret_key(*from_hex("8f2a55949038a9610f50fb23b5883af3b4ecb3c3bb792cbcefbd1542c692be63"));
    const auto to = Address::parse("0x000000000000000000000000000000000000aaaa");
    const auto sent = sign_transaction({.chain_id = 7822,
                                        .nonce = v.nonce,
                                        .max_priority_fee_per_gas = v.priority,
                                        .max_fee_per_gas = v.fee,
                                        .gas_limit = v.gas,
                                        .to = *to,
                                        .value = v.value,
                                        .data = {}},
                                       key);
    EXPECT_EQ(to_hex(rlp_string(sent.raw)), v.wire);
    EXPECT_EQ(sent.hash, keccak256(sent.raw));
  }
}

TEST(Transaction, CreatedAddress) {
  // The widely published first contracts of this account.
  const auto sender = Address::parse("0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0");
  EXPECT_EQ(to_hex(created_address(*sender, 0).bytes),
            "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d");
  EXPECT_EQ(to_hex(created_address(*sender, 1).bytes),
            "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8");
  EXPECT_EQ(to_hex(created_address(*sender, 2).bytes),
            "0xf778b86fa74e846c4f0a1fbd1335fe81c00a0c91");
}

// Nonces are searched for signatures whose r or s have leading zeros: those a node refuses when
// they are written as 32 bytes.
TEST(Transaction, VectorsForPeers) {
  Hash secret{};
  secret[31] = 7;
  const SecretKey key = *secret_key(secret);
  Transaction t{.chain_id = 31337,
                .nonce = 0,
                .max_priority_fee_per_gas = 1'000'000'000,
                .max_fee_per_gas = 30'000'000'000,
                .gas_limit = 21'000,
                .to = address_of(key),
                .value = 0,
                .data = {}};
  std::vector<Transaction> all{t};
  t.to.reset();
  t.data = *from_hex("0x6000600055");
  all.push_back(t);
  t.to = address_of(key);
  t.data = Bytes(300, 0xab);
  t.value = Uint256(*array_from_hex<32>("0x00" + std::string(62, 'e')));
  t.nonce = (std::uint64_t{1} << 53) - 1;  // all that viem's doubles carry
  all.push_back(t);
  t.data = {0x7f};
  t.value = 0;
  int short_r = 0, short_s = 0;
  for (t.nonce = 0; short_r < 1 || short_s < 1; ++t.nonce) {
    const Signature signature = sign(signing_hash(t), key);
    if (signature.bytes[0] == 0 && short_r++ == 0)
      all.push_back(t);
    else if (signature.bytes[32] == 0 && short_s++ == 0)
      all.push_back(t);
  }
  json::array entries;
  for (const Transaction& one : all) {
    const SignedTransaction sent = sign_transaction(one, key);
    json::object entry;
    entry["chain_id"] = std::to_string(one.chain_id);
    entry["nonce"] = std::to_string(one.nonce);
    entry["max_priority_fee_per_gas"] = std::to_string(one.max_priority_fee_per_gas);
    entry["max_fee_per_gas"] = std::to_string(one.max_fee_per_gas);
    entry["gas_limit"] = std::to_string(one.gas_limit);
    entry["to"] = one.to ? json::value(one.to->to_string()) : json::value(nullptr);
    entry["value"] = to_quantity(one.value);
    entry["data"] = to_hex(one.data);
    entry["raw"] = to_hex(sent.raw);
    entry["hash"] = to_hex(sent.hash);
    entry["created"] = created_address(address_of(key), one.nonce).to_string();
    entries.push_back(std::move(entry));
  }
  json::object file;
  file["secret_key"] = to_hex(key.bytes);
  file["sender"] = address_of(key).to_string();
  file["transactions"] = std::move(entries);
  const std::string path = ASSAY_SOURCE_DIR "/spec/vectors/chain/transactions.json";
  const std::string text = json::dump_pretty(file) + "\n";
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) std::ofstream(path, std::ios::binary) << text;
  std::stringstream written;
  written << std::ifstream(path, std::ios::binary).rdbuf();
  EXPECT_TRUE(written.str() == text) << path << " differs (ASSAY_WRITE_VECTORS=1 writes it)";
}

}  // namespace
}  // namespace assay::crypto
