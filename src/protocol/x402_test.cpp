// The headers of x402 v2, against the example of its own specification and hostile ones.
#include "protocol/x402.hpp"

#include <gtest/gtest.h>

#include "base/base64.hpp"
#include "base/hex.hpp"

namespace assay::protocol::x402 {
namespace {

// specs/transports-v2/http.md of github.com/coinbase/x402, word for word.
constexpr std::string_view kRequiredExample =
    "eyJ4NDAyVmVyc2lvbiI6MiwiZXJyb3IiOiJQQVlNRU5ULVNJR05BVFVSRSBoZWFkZXIgaXMgcmVxdWlyZWQiLCJyZXNvdX"
    "JjZSI6eyJ1cmwiOiJodHRwczovL2FwaS5leGFtcGxlLmNvbS9wcmVtaXVtLWRhdGEiLCJkZXNjcmlwdGlvbiI6IkFjY2Vz"
    "cyB0byBwcmVtaXVtIG1hcmtldCBkYXRhIiwibWltZVR5cGUiOiJhcHBsaWNhdGlvbi9qc29uIn0sImFjY2VwdHMiOlt7In"
    "NjaGVtZSI6ImV4YWN0IiwibmV0d29yayI6ImVpcDE1NTo4NDUzMiIsImFtb3VudCI6IjEwMDAwIiwiYXNzZXQiOiIweDAz"
    "NkNiRDUzODQyYzU0MjY2MzRlNzkyOTU0MWVDMjMxOGYzZENGN2UiLCJwYXlUbyI6IjB4MjA5NjkzQmM2YWZjMEM1MzI4Yk"
    "EzNkZhRjAzQzUxNEVGMzEyMjg3QyIsIm1heFRpbWVvdXRTZWNvbmRzIjo2MCwiZXh0cmEiOnsibmFtZSI6IlVTREMiLCJ2"
    "ZXJzaW9uIjoiMiJ9fV19";
constexpr std::string_view kResponseExample =
    "eyJzdWNjZXNzIjp0cnVlLCJ0cmFuc2FjdGlvbiI6IjB4MTIzNDU2Nzg5MGFiY2RlZjEyMzQ1Njc4OTBhYmNkZWYxMjM0NT"
    "Y3ODkwYWJjZGVmMTIzNDU2Nzg5MGFiY2RlZiIsIm5ldHdvcmsiOiJlaXAxNTU6ODQ1MzIiLCJwYXllciI6IjB4ODU3YjA2"
    "NTE5RTkxZTNBNTQ1Mzg3OTFiRGJiMEUyMjM3M2UzNmI2NiJ9";

crypto::SecretKey key() { return *crypto::secret_key(Bytes(32, 7)); }

Payment sample_payment() {
  Payment p;
  p.accepted = {.chain_id = 84532,
                .asset = *Address::parse("0x036CbD53842c5426634e7929541eC2318f3dCF7e"),
                .pay_to = *Address::parse("0x209693Bc6afc0C5328bA36FaF03C514EF312287C"),
                .amount = 10'000,
                .timeout_s = 60,
                .name = "USDC",
                .version = "2"};
  p.authorization = {.from = crypto::address_of(key()),
                     .to = p.accepted.pay_to,
                     .value = 10'000,
                     .valid_after = 1'740'672'089,
                     .valid_before = 1'740'672'154,
                     .nonce = Hash{1, 2, 3}};
  p.signature = crypto::sign(digest(p.accepted, p.authorization), key());
  return p;
}

std::string with(std::string_view header, std::string_view from, std::string_view to) {
  const auto bytes = from_base64(header);
  std::string text(bytes->begin(), bytes->end());
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return to_base64(view(text.replace(at, from.size(), to)));
}

TEST(X402, TheSpecificationsExampleIsRead) {
  const auto required = required_from_header(kRequiredExample);
  ASSERT_TRUE(required) << required.error().message;
  EXPECT_EQ(required->error, "PAYMENT-SIGNATURE header is required");
  ASSERT_EQ(required->accepts.size(), 1u);
  const auto terms = requirements_from_json(required->accepts[0].get_object());
  ASSERT_TRUE(terms) << terms.error().message;
  EXPECT_EQ(*terms, sample_payment().accepted);
  // Written again and read again.
  const auto again = required_from_header(to_header(*required));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->accepts, required->accepts);
  EXPECT_EQ(again->resource, required->resource);

  const auto settled = settled_from_header(kResponseExample);
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_TRUE(settled->success);
  EXPECT_EQ(settled->chain_id, 84532u);
  EXPECT_EQ(settled->payer.to_string(), "0x857b06519E91e3A54538791bDbb0E22373e36b66");
}

// Against viem's hashTypedData of the same message (tests/peers/x402.mjs signs with it end to end).
TEST(X402, ThePayersSignatureIsOverTheTokensTypedData) {
  EXPECT_EQ(to_hex(digest(sample_payment().accepted, sample_payment().authorization)),
            "0xa0191ad629e77be6a1ce47d5f90668ddc813dae3f3fc473908693a7103dc39a8");
}

TEST(X402, APaymentSurvivesItsHeader) {
  Payment p = sample_payment();
  p.resource = {{"url", "https://api.example.com/v1/completions"}};
  p.extensions =
      with_identifier({{kPaymentIdentifier, identifier_extension()}}, "pay_0123456789abcdef");
  const auto read = payment_from_header(to_header(p));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->accepted, p.accepted);
  EXPECT_EQ(read->authorization, p.authorization);
  EXPECT_EQ(read->signature, p.signature);
  EXPECT_EQ(read->id, "pay_0123456789abcdef");
  EXPECT_EQ(to_header(*read), to_header(p));
  EXPECT_EQ(*crypto::recover(digest(read->accepted, read->authorization), read->signature),
            crypto::address_of(key()));
  // Wallets that count v from 0 say the same.
  const auto v = p.signature.bytes.back();
  p.signature.bytes.back() = static_cast<std::uint8_t>(v - 27);
  EXPECT_EQ(payment_from_header(to_header(p))->signature.bytes.back(), v);

  const Settled failed{.error = "insufficient_funds",
                       .payer = p.authorization.from,
                       .transaction = {},
                       .chain_id = 8453};
  const auto back = settled_from_header(to_header(failed));
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->success);
  EXPECT_EQ(back->error, failed.error);
  EXPECT_FALSE(back->transaction);
}

TEST(X402, HostileHeadersAreErrors) {
  const std::string good = to_header(sample_payment());
  ASSERT_TRUE(payment_from_header(good));
  const auto code = [&](std::string_view from, std::string_view to) {
    const auto read = payment_from_header(with(good, from, to));
    return read ? "read" : std::string(to_string(read.error().code));
  };
  EXPECT_EQ(code("\"x402Version\":2", "\"x402Version\":1"), "unsupported");
  EXPECT_EQ(code("\"exact\"", "\"upto\""), "unsupported");
  EXPECT_EQ(code("eip155:84532", "solana:5eykt4"), "unsupported");
  EXPECT_EQ(code("eip155:84532", "eip155:x"), "invalid");
  EXPECT_EQ(code("eip3009", "permit2"), "unsupported");
  EXPECT_EQ(code("\"amount\":\"10000\"", "\"amount\":\"0\""), "unsupported");
  for (const char* amount : {"\"-1\"", "\"1e4\"", "\"010000\"", "\"9223372036854775808\"", "\"\"",
                             "null", "10000.5", "[]"}) {
    EXPECT_EQ(code("\"amount\":\"10000\"", fmt::format("\"amount\":{}", amount)), "invalid")
        << amount;
    EXPECT_EQ(code("\"value\":\"10000\"", fmt::format("\"value\":{}", amount)), "invalid")
        << amount;
  }
  EXPECT_EQ(code("\"validBefore\":\"1740672154\"", "\"validBefore\":\"18446744073709551616\""),
            "invalid");
  EXPECT_EQ(code("\"nonce\":\"0x01", "\"nonce\":\"0x"), "invalid");
  EXPECT_EQ(code("\"signature\":\"0x", "\"signature\":\"0x00"), "unsupported");
  EXPECT_EQ(code("0x209693Bc6afc", "0x209693bC6afc"), "invalid");  // a checksum that is wrong
  for (const std::string_view text : {"", "e30=", "W10=", "not base64", "eyJ4NDAyVmVyc2lvbiI6Mn0="})
    EXPECT_FALSE(payment_from_header(text)) << text;
  // Every prefix of a good one is an error, not a crash.
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_FALSE(payment_from_header(std::string_view(good).substr(0, n)));
  EXPECT_FALSE(payment_from_header(std::string(kHeaderBytesMax + 4, 'A')));

  Payment named = sample_payment();
  for (const std::string& id :
       {std::string("short"), std::string(129, 'a'), std::string("pay_0123456789abcde!")}) {
    named.extensions = with_identifier({{kPaymentIdentifier, identifier_extension()}}, id);
    EXPECT_FALSE(payment_from_header(to_header(named))) << id;
  }
}

}  // namespace
}  // namespace assay::protocol::x402
