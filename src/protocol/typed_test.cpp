#include "protocol/typed.hpp"

#include <gtest/gtest.h>
#include <set>

#include "base/hex.hpp"
#include "protocol/all_messages.hpp"
#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

template <class M>
json::object vector_of(const Domain& domain, const M& message, std::string_view signer) {
  const auto signed_message = sign(domain, message, key_named(signer));
  return {{"type", M::kName},
          {"type_string", type_string<M>()},
          {"domain", domain.to_json()},
          {"domain_separator", to_hex(domain.separator())},
          {"message", to_json(message)},
          {"struct_hash", to_hex(struct_hash(message))},
          {"digest", to_hex(digest(domain, message))},
          {"secret_key", to_hex(key_named(signer).bytes)},
          {"signature", to_hex(signed_message.signature.bytes)},
          {"signer", address_named(signer).to_string()}};
}

TEST(Typed, VectorsOfEveryMessage) {
  json::array all;
  for_each_message([&]<class M>() {
    all.push_back(vector_of(embedded_domain(), sample<M>(false), "signer one"));
    all.push_back(vector_of(evm_domain(), sample<M>(true), "signer two"));
  });
  expect_vectors("messages/signed.json", json::dump_pretty(all) + "\n");
}

TEST(Typed, TypeStringsAreWhatContractsWillSay) {
  EXPECT_EQ(type_string<Settlement>(), "Settlement(bytes32 lease,uint128 cumulative)");
  EXPECT_EQ(type_string<ExecutionId>(),
            "ExecutionId(bytes32 weights_root,bytes32 program_hash,uint32 canon)");
  EXPECT_TRUE(type_string<Offer>().ends_with(
      "uint64 expires,OfferModel[] models)OfferModel(string name,bytes32 weights_root,bytes32 "
      "program_hash,uint32 canon,bytes32 file_alias,string quantization,uint128 price_in,uint128 "
      "price_out,uint32 context)"));
}

TEST(Typed, EveryMessageSurvivesJson) {
  for_each_message([]<class M>() {
    for (const bool extreme : {false, true}) {
      const auto message = sign(embedded_domain(), sample<M>(extreme), key_named("signer one"));
      const auto text = json::dump(to_json(message));
      const auto parsed = json::parse(text);
      const auto back = signed_from_json<M>(parsed->as_object());
      ASSERT_TRUE(back) << back.error().message;
      EXPECT_EQ(json::dump(to_json(*back)), text);
      EXPECT_EQ(struct_hash(back->message), struct_hash(message.message));
      EXPECT_TRUE(check_signature(embedded_domain(), *back, address_named("signer one")));
    }
  });
}

// A different value in any field, at any depth, gives a different hash; all types differ too.
TEST(Typed, EveryFieldIsSigned) {
  for_each_message([]<class M>() {
    std::set<Hash> seen;
    std::size_t fields = 0;
    const M base = sample<M>(false);
    M::fields(base, [&](std::string_view, const auto&) { ++fields; });
    seen.insert(struct_hash(base));
    for (std::size_t target = 0; target < fields; ++target) {
      M changed = base;
      std::size_t at = 0;
      M::fields(changed, [&]<class T>(std::string_view name, T& field) {
        FillSample fill{.extreme = true};
        if (at++ != target) return;
        if constexpr (detail::IsVector<T>::value)
          std::swap(field[0], field[1]);
        else
          fill(name, field);
      });
      EXPECT_TRUE(seen.insert(struct_hash(changed)).second) << M::kName << " field " << target;
    }
  });
}

TEST(Typed, SignaturesAreBoundToDomainContentAndSigner) {
  const auto message = sample<Settlement>(false);
  const auto good = sign(embedded_domain(), message, key_named("signer one"));
  const Address signer = address_named("signer one");
  EXPECT_TRUE(check_signature(embedded_domain(), good, signer));
  EXPECT_FALSE(check_signature(evm_domain(), good, signer));
  Domain other = embedded_domain();
  other.ledger[0] ^= 1;
  EXPECT_FALSE(check_signature(other, good, signer));
  EXPECT_FALSE(check_signature(embedded_domain(), good, address_named("signer two")));
  auto more = good;
  more.message.cumulative += 1;
  const auto refused = check_signature(embedded_domain(), more, signer);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::mismatch);
  EXPECT_TRUE(refused.error().message.starts_with("Settlement: signature recovers to 0x"));
}

TEST(Domain, JsonHasExactlyOneForm) {
  for (const Domain& d : {embedded_domain(), evm_domain()})
    EXPECT_EQ(*Domain::from_json(d.to_json()), d);
  const auto refused = [](std::string_view text) {
    return !Domain::from_json(json::parse(text)->as_object());
  };
  const std::string salt = to_hex(embedded_domain().ledger);
  EXPECT_FALSE(refused(R"({"name":"Assay","version":"0","salt":")" + salt + "\"}"));
  EXPECT_TRUE(refused(R"({"name":"Assay","version":"1","salt":")" + salt + "\"}"));
  EXPECT_TRUE(refused(R"({"name":"Other","version":"0","salt":")" + salt + "\"}"));
  EXPECT_TRUE(refused(R"({"name":"Assay","version":"0","chainId":"1","salt":")" + salt + "\"}"));
  EXPECT_TRUE(refused(R"({"name":"Assay","version":"0"})"));
  EXPECT_TRUE(refused(R"({"name":"Assay","version":"0","chainId":"0","verifyingContract":)"
                      R"("0x0000000000000000000000000000000000000001"})"));
}

}  // namespace
}  // namespace assay::protocol
