#include "protocol/handover.hpp"

#include <gtest/gtest.h>

#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

struct HandoverTest : ::testing::Test {
  Exchange exchange;
  Address buyer = crypto::address_of(exchange.buyer);
  Address auditor = address_named("auditor");

  AuditCall call() const {
    const Opening& o = exchange.opening;
    AuditCall out{.handover = {},
                  .request = exchange.file.request,
                  .receipt = exchange.file.receipt,
                  .execution = exchange.file.execution,
                  .prompt = o.prompt,
                  .answer = o.answer,
                  .stop_ids = o.stop_ids,
                  .logprobs = o.logprobs};
    sign_for(out);
    return out;
  }
  void sign_for(AuditCall& call) const {
    call.handover =
        sign(exchange.domain,
             Handover{.audit = Hash{1},
                      .auditor = auditor,
                      .content = handover_content(call.prompt, call.answer, call.stop_ids,
                                                  call.logprobs, call.automaton)},
             exchange.buyer);
  }
  Status check(const AuditCall& call) const {
    return check_audit_call(exchange.domain, call, buyer, auditor);
  }
};

TEST_F(HandoverTest, GoesThroughJsonUnchanged) {
  const AuditCall before = call();
  const json::object text = to_json(before);
  const auto after = audit_call_from_json(text);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(json::dump(to_json(*after)), json::dump(text));
  EXPECT_TRUE(check(*after));
  json::object more = text;
  more["salt_secret"] = "0x00";
  EXPECT_FALSE(audit_call_from_json(more)) << "a secret has no place in it";
}

TEST_F(HandoverTest, NobodyElseCanHandOver) {
  AuditCall forged = call();
  forged.handover = sign(exchange.domain, forged.handover.message, exchange.provider);
  EXPECT_EQ(check(forged).error().code, Errc::mismatch);
  EXPECT_EQ(check_audit_call(evm_domain(), call(), buyer, auditor).error().code, Errc::mismatch);
  EXPECT_EQ(check_audit_call(exchange.domain, call(), buyer, buyer).error().code, Errc::refused);
}

TEST_F(HandoverTest, EveryTokenIsSignedFor) {
  for (auto list : {&AuditCall::prompt, &AuditCall::answer}) {
    AuditCall other = call();
    (other.*list).back() ^= 1;
    EXPECT_EQ(check(other).error().code, Errc::mismatch);
    other = call();
    (other.*list).push_back(1);
    sign_for(other);
    EXPECT_EQ(check(other).error().code, Errc::mismatch) << "longer than request and receipt say";
  }
  // A number moved from one list to the next is another content.
  const std::vector<std::uint32_t> a{1, 2}, b{3}, c{1}, d{2, 3};
  EXPECT_NE(handover_content(a, b, {}, {}, {}), handover_content(c, d, {}, {}, {}));
}

}  // namespace
}  // namespace assay::protocol
