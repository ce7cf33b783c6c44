#include "verify/receipt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "verify/verify_testutil.hpp"

namespace assay::verify {
namespace {

using protocol::ReceiptFile;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

const ToyModel& receipt_toy() {
  static const ToyModel model;
  return model;
}

std::vector<std::string> finding_codes(const VerifyReport& report, Standing standing) {
  std::vector<std::string> out;
  for (const auto& f : report.findings)
    if (f.standing == standing) out.push_back(f.code);
  return out;
}
auto failed(const VerifyReport& report) { return finding_codes(report, Standing::failed); }

TEST(Receipt, HonestOne) {
  const auto t = make_trade(receipt_toy(), receipt_toy());
  const auto alone = verify_receipt(t.file, nullptr, nullptr);
  EXPECT_TRUE(alone.ok());
  EXPECT_THAT(
      finding_codes(alone, Standing::unchecked),
      ElementsAre("prompt", "answer", "model", "execution.audit", "ledger", "disclosure", "time"));
  EXPECT_THAT(finding_codes(alone, Standing::caveat),
              ElementsAre("meaning", "meaning.prompt", "meaning.seed"));
  EXPECT_THAT(finding_codes(alone, Standing::claimed),
              ElementsAre("file", "hardware", "region", "latency"));
  const auto all = verify_receipt(t.file, &t.opening, &receipt_toy().identity);
  EXPECT_TRUE(all.ok());
  EXPECT_THAT(finding_codes(all, Standing::proven),
              ElementsAre("offer.signature", "lease.signature", "request.signature",
                          "receipt.signature", "chain", "execution", "terms", "expiry",
                          "request.form", "amount", "count", "prompt", "answer", "model", "file"));
  for (const auto& f : all.findings) {
    EXPECT_FALSE(f.text.empty());
    EXPECT_EQ(f.text.find('\n'), std::string::npos);
  }
}

// What a finding must catch, each signed again by whoever would lie.
TEST(Receipt, EveryLieHasItsFinding) {
  const auto honest = make_trade(receipt_toy(), receipt_toy());
  const auto expect = [&](std::string_view code, auto change) {
    Trade t = honest;
    change(t);
    const auto report = verify_receipt(t.file, &t.opening, &receipt_toy().identity);
    EXPECT_FALSE(report.ok()) << code;
    EXPECT_THAT(failed(report), Contains(std::string(code)));
  };
  const auto resign = [](Trade& t) {
    auto& f = t.file;
    f.lease = protocol::sign(f.domain, f.lease.message, t.buyer);
    f.request.message.lease = digest(f.domain, f.lease.message);
    f.request = protocol::sign(f.domain, f.request.message, t.buyer);
    f.receipt.message.request = digest(f.domain, f.request.message);
    f.receipt = protocol::sign(f.domain, f.receipt.message, t.provider);
    t.opening.request = f.receipt.message.request;
  };
  {
    Trade same = honest;
    resign(same);
    EXPECT_TRUE(verify_receipt(same.file, &same.opening, &receipt_toy().identity).ok());
  }
  expect("offer.signature", [](Trade& t) { t.file.offer.signature.bytes[3] ^= 1; });
  expect("lease.signature", [](Trade& t) { t.file.lease.signature.bytes[3] ^= 1; });
  expect("request.signature", [](Trade& t) { t.file.request.signature.bytes[3] ^= 1; });
  expect("receipt.signature", [](Trade& t) { t.file.receipt.signature.bytes[3] ^= 1; });
  expect("receipt.signature", [](Trade& t) { t.file.domain.ledger[0] ^= 1; });
  expect("receipt.signature", [&](Trade& t) {
    t.file.receipt = protocol::sign(t.file.domain, t.file.receipt.message, t.buyer);
  });
  expect("chain", [&](Trade& t) { t.file.lease.message.offer[0] ^= 1, resign(t); });
  expect("chain", [&](Trade& t) { t.file.lease.message.payout.bytes[0] ^= 1, resign(t); });
  expect("chain", [&](Trade& t) { t.file.lease.message.nonce ^= 1; });
  expect("chain", [&](Trade& t) { t.file.receipt.message.request[0] ^= 1, t.sign_receipt(); });
  expect("execution", [](Trade& t) { t.file.execution.canon ^= 1; });
  expect("execution", [&](Trade& t) { t.file.request.message.execution[0] ^= 1, resign(t); });
  expect("terms", [&](Trade& t) { t.file.lease.message.price_out += 1, resign(t); });
  expect("terms", [&](Trade& t) { t.file.lease.message.escrow = 1, resign(t); });
  expect("expiry", [&](Trade& t) { t.file.request.message.expires = 1001, resign(t); });
  expect("request.form", [&](Trade& t) { t.file.request.message.top_p_bits = 0, resign(t); });
  expect("amount", [](Trade& t) { t.file.receipt.message.amount += 1, t.sign_receipt(); });
  expect("amount", [&](Trade& t) { t.file.request.message.cap = 1, resign(t); });
  expect("count", [&](Trade& t) { t.file.request.message.max_tokens = 11, resign(t); });
  expect("count", [](Trade& t) { t.file.receipt.message.finish = 9, t.sign_receipt(); });
  expect("count", [](Trade& t) { t.file.receipt.message.key_sequence = 0, t.sign_receipt(); });
  expect("prompt", [](Trade& t) { t.opening.prompt[0] ^= 1; });
  expect("prompt", [](Trade& t) { t.opening.request[0] ^= 1; });
  expect("prompt", [](Trade& t) { t.opening.salt_secret[0] ^= 1; });
  expect("prompt", [](Trade& t) { t.opening.stop_ids = {1}; });
  expect("answer", [](Trade& t) { t.opening.answer[0] ^= 1; });
  expect("answer", [](Trade& t) { t.opening.answer.pop_back(); });
  expect("answer", [](Trade& t) { t.opening.logprobs = {1}; });
  expect("answer",
         [](Trade& t) { t.file.receipt.message.logprobs_root.fill(1), t.sign_receipt(); });
  expect("answer", [](Trade& t) { t.file.receipt.message.finish = 0, t.sign_receipt(); });
}

TEST(Receipt, AnotherModelFile) {
  const auto t = make_trade(receipt_toy(), receipt_toy());
  auto identity = receipt_toy().identity;
  identity.file_sha256[0] ^= 1;  // same weights and program, other unused bytes
  const auto renamed = verify_receipt(t.file, nullptr, &identity);
  EXPECT_TRUE(renamed.ok());
  EXPECT_THAT(finding_codes(renamed, Standing::claimed), Contains("file"));
  identity.weights_root[0] ^= 1;
  EXPECT_THAT(failed(verify_receipt(t.file, nullptr, &identity)), ElementsAre("model"));
}

TEST(Receipt, SurvivesItsFile) {
  const auto t = make_trade(receipt_toy(), receipt_toy());
  const auto read = protocol::receipt_file_from_text(to_text(t.file));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(verify_receipt(*read, &t.opening, &receipt_toy().identity).ok());
}

}  // namespace
}  // namespace assay::verify
