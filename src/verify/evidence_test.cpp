#include "verify/evidence.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "verify/verify_testutil.hpp"

namespace assay::verify {
namespace {

using protocol::Bundle;
using protocol::TokenList;
using testing::Contains;
using testing::ElementsAre;
using testing::IsSupersetOf;

const Trade& trade() {
  static const ToyModel model;
  static const Trade made = make_trade(model, model);
  return made;
}

std::vector<std::string> codes(const VerifyReport& report, Standing standing) {
  std::vector<std::string> out;
  for (const auto& f : report.findings)
    if (f.standing == standing) out.push_back(f.code);
  return out;
}

Evidence of(const std::string& bytes) {
  auto evidence = evidence_from(view(bytes));
  EXPECT_TRUE(evidence) << evidence.error().message;
  return std::move(*evidence);
}

TEST(Evidence, EveryFormIsFoundOutAndHolds) {
  const auto& t = trade();
  const Bytes cose = *protocol::export_cose(t.file, 1'700'000'000, t.provider);
  const std::pair<std::string, std::string> forms[] = {
      {"receipt", to_text(t.file)},
      {"cose", std::string(text(cose))},
      {"dsse", *protocol::export_dsse(t.file, 1'700'000'000, t.buyer)},
      {"bundle", to_text(Bundle{.receipt = t.file, .opening = t.opening})},
  };
  for (const auto& [form, bytes] : forms) {
    const Evidence e = of(bytes);
    EXPECT_EQ(e.form, form);
    EXPECT_EQ(to_text(e.file), to_text(t.file));
    const auto report = verify_evidence(e, {.opening = &t.opening});
    EXPECT_TRUE(report.ok()) << form;
    EXPECT_TRUE(report.proven("answer"));
    EXPECT_EQ(report.proven("export.signature"), form == "cose" || form == "dsse");
    EXPECT_EQ(verify_evidence(e, {}).proven("answer"), form == "bundle");
  }
}

TEST(Evidence, NeitherOfThem) {
  for (const std::string bytes : {"", "{", "[]", "{}", "\xd2", "hello", R"({"assay":"bundle/7"})",
                                  R"({"assay":"receipt/7"})", R"({"payloadType":"x"})"}) {
    const auto e = evidence_from(view(bytes));
    ASSERT_FALSE(e) << bytes;
    EXPECT_EQ(e.error().message.find('\n'), std::string::npos);
  }
}

TEST(Evidence, ChunksProveWhatTheyDisclose) {
  const auto& t = trade();
  Bundle b{.receipt = t.file, .chunks = open_chunks(t.opening, TokenList::tape)};
  const auto report = verify_evidence(of(to_text(b)), {});
  EXPECT_TRUE(report.ok());
  EXPECT_TRUE(report.proven("answer"));
  EXPECT_TRUE(report.proven("answer.chunks"));
  EXPECT_FALSE(report.proven("prompt"));

  b.chunks[0].leaf[33] ^= 1;
  const auto tampered = verify_evidence(of(to_text(b)), {});
  EXPECT_FALSE(tampered.ok());
  EXPECT_FALSE(tampered.proven("answer"));
  EXPECT_THAT(codes(tampered, Standing::failed), ElementsAre("answer.chunks"));
}

TEST(Evidence, WhatABundleHoldsAndNobodyReadIsUnknown) {
  const auto& t = trade();
  const Bundle b{.receipt = t.file,
                 .log = protocol::LogEvidence{"c2sp.org/tlog-proof@v1\n", "key", {}},
                 .anchor = protocol::Anchor{.chain_id = 1},
                 .aliases = {{"", {{"mediaType", "x"}}}}};
  const auto report = verify_evidence(of(to_text(b)), {});
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(codes(report, Standing::unchecked), IsSupersetOf({"log", "anchor", "file.signed"}));
  const ModelTrust trust{.public_key_pem = "x"};
  EXPECT_THAT(codes(verify_evidence(of(to_text(b)), {.model_signer = &trust}), Standing::failed),
              ElementsAre("file.signed"));
}

// What was found good once is not looked at again, and nothing else is taken for it.
TEST(Evidence, TheMemoChangesNoVerdict) {
  const auto& t = trade();
  SignatureMemo memo;
  const auto report = [&](const protocol::ReceiptFile& file) {
    return codes(verify_receipt(file, nullptr, nullptr, &memo), Standing::failed);
  };
  EXPECT_THAT(report(t.file), ElementsAre());
  EXPECT_THAT(report(t.file), ElementsAre());
  protocol::ReceiptFile file = t.file;
  file.offer.signature.bytes[5] ^= 1;
  EXPECT_THAT(report(file), Contains("offer.signature"));
  file = t.file;
  file.lease.message.nonce ^= 1;
  EXPECT_THAT(report(file), Contains("lease.signature"));
  file = t.file;
  file.offer.message.provider = file.lease.message.buyer;
  EXPECT_THAT(report(file), Contains("offer.signature"));
  EXPECT_THAT(report(t.file), ElementsAre());
}

}  // namespace
}  // namespace assay::verify
