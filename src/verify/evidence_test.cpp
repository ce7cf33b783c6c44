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

Exhibit of(const std::string& bytes) {
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
    const Exhibit e = of(bytes);
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
                 .log = protocol::LogEvidence{.proof = "c2sp.org/tlog-proof@v1\n"},
                 .anchor = protocol::Anchor{.chain_id = 1},
                 .aliases = {{"", {{"mediaType", "x"}}}}};
  const auto report = verify_evidence(of(to_text(b)), {});
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(codes(report, Standing::unchecked),
              IsSupersetOf({"log", "anchor", "time", "file.signed"}));
  // A signature that is none known here, or not the named signer's, is not a publisher's word.
  const ModelTrust trust{.public_key_pem = "x"};
  const auto signer = [&](const json::object& attestation) {
    const Bundle one{.receipt = t.file, .aliases = {{"", attestation}}};
    return verify_evidence(of(to_text(one)), {.model_signer = &trust})
        .find("file.signed")
        ->standing;
  };
  EXPECT_EQ(signer({{"mediaType", "x"}}), Standing::unchecked);
  EXPECT_EQ(signer({}), Standing::failed);
}

// A log's section, as the judge that tlog gives finds it.
struct LogCase {
  protocol::LogPlace place{.origin = "example.com/log", .index = 4, .size = 9, .root = Hash{3}};
  std::size_t witnesses = 1;
  std::optional<protocol::Anchor> anchor{};

  VerifyReport report() const {
    const Bundle b{.receipt = trade().file, .log = protocol::LogEvidence{}, .anchor = anchor};
    const auto judge = [this](const protocol::LogEvidence&, const protocol::ReceiptFile& file) {
      EXPECT_EQ(to_text(file), to_text(trade().file));
      return Result<protocol::LogPlace>(place);
    };
    return verify_evidence(of(to_text(b)), {.log = judge, .witnesses = witnesses});
  }
};

TEST(Evidence, ALogProvesAPlaceAndWitnessesATime) {
  LogCase c;
  EXPECT_EQ(c.report().find("log")->standing, Standing::claimed);
  EXPECT_EQ(c.report().find("time")->standing, Standing::unchecked);
  c.place.trusted = true;
  EXPECT_TRUE(c.report().proven("log"));
  EXPECT_FALSE(c.report().proven("time"));

  c.place.cosignatures = {
      {"a", 951'782'400, false}, {"b", 951'782'401, true}, {"c", 951'782'402, true}};
  const auto time = [&](std::size_t witnesses) {
    c.witnesses = witnesses;
    return *c.report().find("time");
  };
  EXPECT_EQ(time(1).standing, Standing::proven);
  EXPECT_NE(time(1).text.find("2000-02-29 00:00:01 UTC: cosigned by b,"), std::string::npos);
  EXPECT_NE(time(2).text.find("2000-02-29 00:00:02 UTC: cosigned by b, c"), std::string::npos);
  EXPECT_EQ(time(3).standing, Standing::unchecked);
  EXPECT_EQ(time(0).standing, Standing::proven);  // as 1
  // A witness's word stands whoever keeps the log.
  c.place.trusted = false;
  EXPECT_EQ(time(1).standing, Standing::proven);
  c.place.cosignatures = {{"a", 951'782'400, false}};
  EXPECT_EQ(time(1).standing, Standing::claimed);
  EXPECT_EQ(std::ranges::count(c.report().findings, "time", &Finding::code), 1);
}

TEST(Evidence, AnAnchorIsOfTheCheckpointOrFails) {
  LogCase c;
  c.anchor = protocol::Anchor{.chain_id = 10, .block = 77, .size = 9, .root = Hash{3}};
  EXPECT_EQ(c.report().find("anchor")->standing, Standing::claimed);
  c.anchor->size = 8;
  EXPECT_EQ(c.report().find("anchor")->standing, Standing::failed);
  c.anchor->size = 9;
  c.anchor->root = Hash{4};
  EXPECT_EQ(c.report().find("anchor")->standing, Standing::failed);
  const auto broken = [](const protocol::LogEvidence&, const protocol::ReceiptFile&) {
    return Result<protocol::LogPlace>(fail(Errc::mismatch, "no"));
  };
  const Bundle b{.receipt = trade().file, .log = protocol::LogEvidence{}, .anchor = c.anchor};
  const auto report = verify_evidence(of(to_text(b)), {.log = broken});
  EXPECT_THAT(codes(report, Standing::failed), ElementsAre("log"));
  EXPECT_EQ(report.find("anchor")->standing, Standing::unchecked);
}

TEST(Evidence, TheDocumentSaysWhatTheReportDoes) {
  const Exhibit e = of(to_text(trade().file));
  const auto report = verify_evidence(e, {});
  const json::object document = to_json(e, report);
  EXPECT_EQ(document.at("form"), "receipt");
  const auto& findings = document.at("findings").as_array();
  ASSERT_EQ(findings.size(), report.findings.size());
  EXPECT_EQ(std::string_view(findings[0].at("code").as_string()), report.findings[0].code);
  EXPECT_EQ(findings[0].at("standing"), "proven");
  for (const auto& question : kQuestions) EXPECT_NE(report.find(question.code), nullptr);
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
