#include "protocol/export.hpp"

#include <gtest/gtest.h>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "protocol/bundle.hpp"
#include "protocol/cbor_codec.hpp"
#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

constexpr std::uint64_t kExported = 1'700'000'700;

Result<Exported> import_text(std::string_view text) {
  const auto parsed = json::parse(text);
  if (!parsed) return std::unexpected(parsed.error());
  return import_dsse(parsed->as_object());
}

Result<Bundle> bundle_from_text(std::string_view text) {
  const auto parsed = json::parse(text);
  if (!parsed) return std::unexpected(parsed.error());
  return bundle_from_json(parsed->as_object());
}

std::string flipped(std::string text, std::size_t at) {
  text[at] = static_cast<char>(text[at] ^ 1);
  return text;
}

TEST(Export, CoseCarriesTheWholeReceipt) {
  const Exchange x;
  for (const auto& key : {x.provider, x.buyer}) {
    const Bytes encoded = *export_cose(x.file, kExported, key);
    const auto back = import_cose(encoded);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(to_text(back->file), to_text(x.file));
    EXPECT_EQ(back->issued_at, kExported);
    EXPECT_EQ(back->signer, crypto::address_of(key));
    EXPECT_EQ(back->key, crypto::public_key_of(key));
  }
  ReceiptFile evm = x.file;
  evm.domain = evm_domain();
  EXPECT_EQ(to_text(import_cose(*export_cose(evm, kExported, x.provider))->file), to_text(evm));
}

TEST(Export, DsseCarriesTheWholeReceipt) {
  const Exchange x;
  const auto back = import_text(*export_dsse(x.file, kExported, x.provider));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(to_text(back->file), to_text(x.file));
  EXPECT_EQ(back->issued_at, kExported);
  EXPECT_EQ(back->key, crypto::public_key_of(x.provider));
}

TEST(Export, NoByteMayChange) {
  const Exchange x;
  const Bytes cose = *export_cose(x.file, kExported, x.provider);
  for (std::size_t i = 0; i < cose.size(); ++i) {
    Bytes changed = cose;
    changed[i] ^= 1;
    ASSERT_FALSE(import_cose(changed)) << i;
  }
  const std::string dsse = *export_dsse(x.file, kExported, x.provider);
  const std::size_t payload = dsse.find("\"payload\": \"") + 12;
  const std::size_t end = dsse.find('"', payload);
  for (std::size_t i = payload; i < end; i += 7) ASSERT_FALSE(import_text(flipped(dsse, i))) << i;
}

// Signed by a key that exists, and still not what the receipt says.
TEST(Export, ClaimsMustBeTheReceipts) {
  const Exchange x;
  const auto resigned = [&](auto change) {
    cose::Sign1 m = *cose::decode(*export_cose(x.file, kExported, x.provider));
    cbor::Value claims = *cbor::decode(m.payload);
    change(claims);
    m.payload = cbor::encode(claims);
    cose::sign_es256k(m, x.provider);
    return import_cose(cose::encode(m)).error().message;
  };
  const auto set = [](const cbor::Value& label, const cbor::Value& value) {
    return [=](cbor::Value& claims) {
      for (std::size_t i = 0; i < claims.items.size(); i += 2)
        if (claims.items[i] == label) claims.items[i + 1] = value;
    };
  };
  const std::string own = "the claims beside the receipt are not the receipt's own";
  EXPECT_EQ(resigned(set(cbor::integer(-65537), cbor::text("better-model"))), own);
  EXPECT_EQ(resigned(set(cbor::integer(-65541), cbor::bytes(Hash{1}))), own);
  EXPECT_EQ(resigned(set(cbor::uint(1), cbor::text("somebody"))), own);
  EXPECT_EQ(resigned([](cbor::Value& claims) {
              claims.items.push_back(cbor::uint(2));
              claims.items.push_back(cbor::text("subject"));
            }),
            own);
  EXPECT_NE(resigned(set(cbor::uint(265), cbor::text("x"))).find("profile"), std::string::npos);
  EXPECT_NE(resigned(set(cbor::integer(-80003), cbor::map({}))).find("missing"), std::string::npos);
  EXPECT_NE(resigned(set(cbor::uint(6), cbor::text("now"))).find("iat"), std::string::npos);

  const auto statement = [&](std::string_view from, std::string_view to) {
    const auto parsed = json::parse(*export_dsse(x.file, kExported, x.provider));
    dsse::Envelope e = *dsse::envelope_from_json(parsed->as_object());
    std::string payload(text(e.payload));
    payload.replace(payload.find(from), from.size(), to);
    e.payload.assign(payload.begin(), payload.end());
    e.signatures[0].bytes = crypto::to_der(
        crypto::plain(crypto::sign(crypto::sha256(dsse::to_be_signed(e)), x.provider)));
    return import_dsse(dsse::to_json(e)).error().message;
  };
  EXPECT_EQ(statement("assay-small", "assay-huge"), own);
  EXPECT_EQ(statement("{\"_type", "{ \"_type"), own);
  EXPECT_NE(statement("Statement/v1", "Statement/v0").find("statement type"), std::string::npos);
  EXPECT_NE(statement("urn:x-assay:receipt:0", "urn:x").find("predicate"), std::string::npos);
}

TEST(Export, AReceiptWithoutItsModelHasNoClaims) {
  Exchange x;
  x.file.execution.canon = 99;
  EXPECT_EQ(export_cose(x.file, kExported, x.provider).error().code, Errc::invalid);
  EXPECT_EQ(export_dsse(x.file, kExported, x.provider).error().code, Errc::invalid);
}

TEST(Dsse, PreAuthenticationEncoding) {  // the example of protocol.md
  EXPECT_EQ(
      text(dsse::pre_authentication_encoding("http://example.com/HelloWorld", view("hello world"))),
      "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

TEST(Dsse, WhatIsRefused) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "payloadType"},
      {R"({"payloadType":"a","payload":"YQ","signatures":[]})", "payload"},
      {R"({"payloadType":"a","payload":"YQ==","signatures":[]})", "0 signatures"},
      {R"({"payloadType":"a","payload":"YQ==","signatures":[1]})", "DSSE signature"},
      {R"({"payloadType":"a","payload":"YQ==","signatures":[{"keyid":"k"}]})", "sig"},
      {R"({"payloadType":"a","payload":"YQ==","signatures":[{"keyid":1,"sig":"YQ=="}]})", "keyid"},
  };
  for (const auto& [document, why] : cases) {
    const auto envelope = dsse::envelope_from_json(json::parse(document)->as_object());
    ASSERT_FALSE(envelope) << document;
    EXPECT_NE(envelope.error().message.find(why), std::string::npos) << envelope.error().message;
  }
  const auto statement = [](std::string_view payload, std::string_view type = dsse::kInTotoType) {
    const ByteView bytes = view(payload);
    return dsse::statement_from({std::string(type), Bytes(bytes.begin(), bytes.end()), {}})
        .error()
        .message;
  };
  EXPECT_NE(statement("{}", "text/plain").find("payload type"), std::string::npos);
  EXPECT_NE(statement("{").size(), 0u);
  EXPECT_NE(
      statement(R"({"_type":"https://in-toto.io/Statement/v1","subject":[]})").find("subject"),
      std::string::npos);
  EXPECT_NE(statement(R"({"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{}}]})")
                .find("one digest"),
            std::string::npos);
}

Bundle full_bundle(const Exchange& x) {
  Bundle b{.receipt = x.file, .opening = x.opening};
  b.chunks = open_chunks(x.opening, TokenList::prompt);
  for (auto& chunk : open_chunks(x.opening, TokenList::tape)) b.chunks.push_back(chunk);
  b.log = LogEvidence{"c2sp.org/tlog-proof@v1\nindex 0\n", Hash{6}, "log+1+k", {"witness+2+k"}};
  b.anchor = Anchor{.chain_id = 1,
                    .block = 2,
                    .contract = address_named("anchor"),
                    .transaction = Hash{3},
                    .size = 4,
                    .root = Hash{5}};
  b.aliases.push_back({"-----BEGIN PUBLIC KEY-----\n", {{"mediaType", "x"}}});
  return b;
}

TEST(Bundle, RoundTrip) {
  const Exchange x;
  for (const Bundle& b : {full_bundle(x), Bundle{.receipt = x.file}}) {
    const auto back = bundle_from_text(to_text(b));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(to_text(*back), to_text(b));
  }
}

TEST(Bundle, ChunksDiscloseTheirTokensAlone) {
  const Exchange x;
  const auto prompt = open_chunks(x.opening, TokenList::prompt);
  ASSERT_EQ(prompt.size(), 2u);
  EXPECT_EQ(check_chunk(x.file, prompt[0])->size(), 256u);
  const auto rest = *check_chunk(x.file, prompt[1]);
  EXPECT_TRUE(std::ranges::equal(rest, std::span(x.opening.prompt).subspan(256)));
  const auto answer = open_chunks(x.opening, TokenList::tape);
  EXPECT_EQ(*check_chunk(x.file, answer.at(0)), x.opening.answer);
  EXPECT_EQ(
      to_text(Bundle{.receipt = x.file, .chunks = answer}).find(to_hex(x.opening.salt_secret)),
      std::string::npos);

  const auto refused = [&](OpenedChunk chunk, auto change) {
    change(chunk);
    return !check_chunk(x.file, chunk);
  };
  EXPECT_TRUE(refused(prompt[0], [](auto& c) { c.chunk = 1; }));
  EXPECT_TRUE(refused(prompt[0], [](auto& c) { c.chunk = UINT32_MAX; }));
  EXPECT_TRUE(refused(prompt[0], [](auto& c) { c.leaf[40] ^= 1; }));
  EXPECT_TRUE(refused(prompt[0], [](auto& c) { c.leaf.resize(c.leaf.size() - 4); }));
  EXPECT_TRUE(refused(prompt[0], [](auto& c) { c.leaf.clear(); }));
  EXPECT_TRUE(refused(prompt[0], [](auto& c) { c.path.clear(); }));
  EXPECT_TRUE(refused(prompt[0], [](auto& c) { c.list = TokenList::tape; }));
}

TEST(Bundle, WhatIsRefused) {
  const Exchange x;
  const std::string whole = to_text(full_bundle(x));
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = whole;
    const std::size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    return bundle_from_text(changed);
  };
  EXPECT_TRUE(with("bundle/0", "bundle/0"));
  EXPECT_FALSE(with("bundle/0", "bundle/1"));
  EXPECT_FALSE(with("\"chunks\"", "\"chunk\""));
  EXPECT_FALSE(with("\"log_key\"", "\"key\""));
  EXPECT_FALSE(with("\"list\": \"prompt\"", "\"list\": \"p\""));
  EXPECT_FALSE(with("\"block\": \"2\"", "\"block\": 2"));
  EXPECT_FALSE(with("\"aliases\": [", "\"more\": 1, \"aliases\": ["));
  EXPECT_FALSE(bundle_from_text(to_text(x.file)));
}

// Everything another implementation must reproduce; tests/peers/export.mjs reads it with libraries
// we did not write.
TEST(Export, Vectors) {
  const Exchange x;
  const auto key = crypto::public_key_of(x.provider);
  const Bytes cose = *export_cose(x.file, kExported, x.provider);
  const auto envelope = json::parse(*export_dsse(x.file, kExported, x.provider));
  const auto message = *cose::decode(cose);
  expect_vectors(
      "export/receipt.json",
      json::dump_pretty(json::object{{"receipt", to_json(x.file)},
                                     {"issued_at", std::to_string(kExported)},
                                     {"secret_key", to_hex(x.provider.bytes)},
                                     {"signer", crypto::address_of(key).to_string()},
                                     {"public_key", to_hex(key.bytes)},
                                     {"public_key_pem", crypto::to_pem(key)},
                                     {"cose", to_hex(cose)},
                                     {"cose_payload", to_hex(message.payload)},
                                     {"cose_to_be_signed", to_hex(cose::to_be_signed(message))},
                                     {"dsse", *envelope}}) +
          "\n");
  expect_vectors("export/bundle.json", to_text(full_bundle(x)));
}

}  // namespace
}  // namespace assay::protocol
