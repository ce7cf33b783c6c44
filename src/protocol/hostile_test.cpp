// Messages that must be refused, written as vectors so that every other implementation refuses
// the same ones.
#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "protocol/all_messages.hpp"
#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

// n - s: the other valid ECDSA form of the same signature.
Signature high_s(Signature s) {
  const auto n = *from_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
  int borrow = 0;
  for (int i = 31; i >= 0; --i) {
    const int d = n[i] - s.bytes[32 + i] - borrow;
    borrow = d < 0;
    s.bytes[32 + i] = static_cast<std::uint8_t>(d & 255);
  }
  s.bytes[64] = static_cast<std::uint8_t>(55 - s.bytes[64]);
  return s;
}

struct SignatureCase {
  std::string name;
  Domain domain = embedded_domain();
  Signed<Settlement> message;
  Address signer = address_named("signer one");
};

std::vector<SignatureCase> signature_cases() {
  const auto good = sign(embedded_domain(), sample<Settlement>(false), key_named("signer one"));
  std::vector<SignatureCase> out;
  const auto add = [&](std::string name, auto&& change) {
    SignatureCase c{.name = std::move(name), .message = good};
    change(c);
    out.push_back(std::move(c));
  };
  add("high s", [](auto& c) { c.message.signature = high_s(c.message.signature); });
  add("wrong domain: another embedded ledger", [](auto& c) { c.domain.ledger[31] ^= 1; });
  add("wrong domain: an EVM ledger", [](auto& c) { c.domain = evm_domain(); });
  add("tampered field: cumulative", [](auto& c) { c.message.message.cumulative += 1; });
  add("tampered field: lease", [](auto& c) { c.message.message.lease[0] ^= 0x80; });
  add("another signer", [](auto& c) { c.signer = address_named("signer two"); });
  add("v of 0", [](auto& c) { c.message.signature.bytes[64] -= 27; });
  add("v of 29", [](auto& c) { c.message.signature.bytes[64] = 29; });
  add("the other v", [](auto& c) { c.message.signature.bytes[64] ^= 27 ^ 28; });
  add("r of zero", [](auto& c) { std::fill_n(c.message.signature.bytes.begin(), 32, 0); });
  add("s of zero", [](auto& c) { std::fill_n(c.message.signature.bytes.begin() + 32, 32, 0); });
  add("r above the group order",
      [](auto& c) { std::fill_n(c.message.signature.bytes.begin(), 32, 0xff); });
  add("all zero", [](auto& c) { c.message.signature = {}; });
  return out;
}

TEST(Hostile, SignatureVectors) {
  json::array all;
  for (const auto& c : signature_cases()) {
    const auto refused = check_signature(c.domain, c.message, c.signer);
    ASSERT_FALSE(refused) << c.name;
    EXPECT_EQ(refused.error().code, Errc::mismatch);
    all.push_back(json::object{{"case", c.name},
                               {"type", "Settlement"},
                               {"type_string", type_string<Settlement>()},
                               {"domain", c.domain.to_json()},
                               {"message", to_json(c.message.message)},
                               {"signature", to_hex(c.message.signature.bytes)},
                               {"signer", c.signer.to_string()},
                               {"error", refused.error().message}});
  }
  expect_vectors("messages/hostile_signatures.json", json::dump_pretty(all) + "\n");
}

// JSON that must not decode: each a small change of a good claim.
TEST(Hostile, JsonVectors) {
  const std::string good = json::dump(to_json(sample<Claim>(false)));
  json::array all;
  const auto add = [&](std::string_view name, std::string_view from, std::string_view to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const auto parsed = json::parse(text);
    ASSERT_TRUE(parsed) << text;
    const auto* object = parsed->if_object();
    ASSERT_NE(object, nullptr);
    const auto refused = from_json<Claim>(*object);
    ASSERT_FALSE(refused) << name;
    all.push_back(json::object{
        {"case", name}, {"type", "Claim"}, {"json", text}, {"error", refused.error().message}});
  };
  add("unknown member", "{", R"({"extra":"1",)");
  add("missing member", R"("count":)", R"("counts":)");
  add("integer as a JSON number", R"("total":"1000003")", R"("total":1000003)");
  add("negative amount", R"("total":"1000003")", R"("total":"-1")");
  add("amount of 2^63", R"("total":"1000003")", R"("total":"9223372036854775808")");
  add("leading zero", R"("total":"1000003")", R"("total":"01000003")");
  add("plus sign", R"("total":"1000003")", R"("total":"+1000003")");
  add("space", R"("total":"1000003")", R"("total":" 1000003")");
  add("hexadecimal integer", R"("total":"1000003")", R"("total":"0xf4241")");
  add("decimal point", R"("total":"1000003")", R"("total":"1000003.0")");
  add("empty integer", R"("total":"1000003")", R"("total":"")");
  add("null", R"("total":"1000003")", R"("total":null)");
  add("count of 2^32", R"("count":"4")", R"("count":"4294967296")");
  const std::string root = to_hex(sample<Claim>(false).root);
  add("hash without 0x", root, root.substr(2));
  add("hash with 0X", root, "0X" + root.substr(2));
  add("short hash", root, root.substr(0, 64));
  add("long hash", root, root + "00");
  std::string upper = root;
  for (char& c : upper)
    if (c >= 'a' && c <= 'f') c = static_cast<char>(c - 'a' + 'A');
  add("upper-case hash", root, upper);
  expect_vectors("messages/hostile_json.json", json::dump_pretty(all) + "\n");
}

TEST(Hostile, AddressesStringsAndListsAreBounded) {
  auto offer = to_json(sample<Offer>(false));
  const auto error = [&] {
    const auto r = from_json<Offer>(offer);
    return r ? std::string() : r.error().message;
  };
  ASSERT_EQ(error(), "");
  auto& provider = offer["provider"].as_string();
  const std::string address(provider.data(), provider.size());
  provider = "0x52908400098527886E0F7030069857D2E4169Ee7";
  EXPECT_NE(error().find("wrong checksum"), std::string::npos);
  provider = address;
  offer["region"] = std::string(kStringBytesMax, 'x');
  EXPECT_EQ(error(), "");
  offer["region"] = std::string(kStringBytesMax + 1, 'x');
  EXPECT_EQ(error(), "Offer: 'region' has 4097 bytes, at most 4096 are allowed");
  offer["region"] = "x";
  offer["models"].as_array()[1].as_object()["name"] = 5;
  EXPECT_EQ(error(), "Offer: 'models' element 1: OfferModel: 'name' must be a string");
  offer["models"] = json::array(kMessageArrayMax + 1);
  EXPECT_EQ(error(), "Offer: 'models' has 257 elements, at most 256 are allowed");
}

}  // namespace
}  // namespace assay::protocol
