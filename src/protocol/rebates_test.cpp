// What is promised, what it takes off, and who may ask for it.
#include "protocol/rebates.hpp"

#include <gtest/gtest.h>

#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

struct Rebates : testing::Test {
  Exchange x;
  Lease lease = x.file.lease.message;
  Request request = x.file.request.message;
  Receipt receipt = x.file.receipt.message;
  RebateCall call;

  void SetUp() override { offer(100, 10, 250'000); }
  // The exchange again, under an offer that promises this.
  void offer(std::uint32_t first_token_ms, std::uint32_t per_token_ms, std::uint32_t rebate_ppm) {
    Offer offer = x.file.offer.message;
    offer.first_token_ms = first_token_ms;
    offer.per_token_ms = per_token_ms;
    offer.rebate_ppm = rebate_ppm;
    lease.offer = digest(x.domain, offer);
    request.lease = digest(x.domain, lease);
    receipt.request = digest(x.domain, request);
    call.offer = sign(x.domain, offer, x.provider);
    const Micros amount = rebate_ppm > kRebateMax ? 0 : rebate_amount(offer, receipt.amount);
    ask({lease.buyer, request.lease, receipt.request, 1901, 0, amount});
  }
  void ask(const Rebate& rebate) { call.rebate = sign(x.domain, rebate, x.buyer); }
  template <class F>
  void expect(Errc code, F&& change) {
    Rebate rebate = call.rebate.message;
    const Rebate before = rebate;
    change(rebate);
    ask(rebate);
    const Status checked = check_rebate(x.domain, lease, request, receipt, call);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, code) << checked.error().message;
    ask(before);
    EXPECT_TRUE(check_rebate(x.domain, lease, request, receipt, call));
  }
};

TEST_F(Rebates, APromiseGrowsWithPromptAndAnswer) {
  Offer o = call.offer.message;
  Request r = request;  // 300 prompt tokens: 19 begun units
  EXPECT_EQ(promised(o, r, 5).first_token_ms, 1900u);
  EXPECT_EQ(promised(o, r, 5).stream_ms, 40u);
  EXPECT_EQ(promised(o, r, 1).stream_ms, 0u);
  r.prompt_count = kPromisedPrompt;
  EXPECT_EQ(promised(o, r, 5).first_token_ms, 100u);
  r.continuation = 1;
  EXPECT_EQ(promised(o, r, 5).first_token_ms, 0u);
  EXPECT_EQ(promised(o, r, 5).stream_ms, 40u);
  o.first_token_ms = o.per_token_ms = UINT32_MAX;
  r = request;
  r.prompt_count = UINT32_MAX;
  EXPECT_EQ(promised(o, r, UINT32_MAX).first_token_ms, std::uint64_t{UINT32_MAX} << 28);
  EXPECT_EQ(promised(o, r, UINT32_MAX).stream_ms, std::uint64_t{UINT32_MAX} * (UINT32_MAX - 1u));

  EXPECT_FALSE(lateness({100, 40}, {100, 40}));
  EXPECT_TRUE(lateness({100, 40}, {101, 40}).first_token);
  EXPECT_FALSE(lateness({100, 40}, {101, 40}).stream);
  EXPECT_TRUE(lateness({100, 40}, {100, 41}).stream);
  EXPECT_FALSE(lateness({0, 0}, {UINT64_MAX, UINT64_MAX}));
}

TEST_F(Rebates, AnAmountIsRoundedDown) {
  Offer o = call.offer.message;
  EXPECT_EQ(rebate_amount(o, 3), 0);
  EXPECT_EQ(rebate_amount(o, 7), 1);
  o.rebate_ppm = kRebateMax;
  EXPECT_EQ(rebate_amount(o, INT64_MAX), INT64_MAX / 2);
  o.rebate_ppm = 0;
  EXPECT_EQ(rebate_amount(o, INT64_MAX), 0);
}

TEST_F(Rebates, EverythingAboutOneIsChecked) {
  ASSERT_TRUE(check_rebate(x.domain, lease, request, receipt, call));
  expect(Errc::mismatch, [](Rebate& r) { r.amount += 1; });
  expect(Errc::mismatch, [](Rebate& r) { r.buyer = address_named("another"); });
  expect(Errc::mismatch, [](Rebate& r) { r.lease[0] ^= 1; });
  expect(Errc::mismatch, [](Rebate& r) { r.request[0] ^= 1; });
  expect(Errc::refused, [](Rebate& r) { r.first_token_ms = 1900; });
  expect(Errc::refused, [](Rebate& r) {
    r.first_token_ms = 0;
    r.stream_ms = 40;
  });
  ask({lease.buyer, request.lease, receipt.request, 0, 41, call.rebate.message.amount});
  EXPECT_TRUE(check_rebate(x.domain, lease, request, receipt, call));

  RebateCall forged = call;
  forged.rebate = sign(x.domain, call.rebate.message, x.provider);
  EXPECT_FALSE(check_rebate(x.domain, lease, request, receipt, forged));
  forged = call;
  forged.offer.message.rebate_ppm += 1;
  EXPECT_FALSE(check_rebate(x.domain, lease, request, receipt, forged));
  // Another promise of the same provider is not this lease's.
  forged.offer = sign(x.domain, forged.offer.message, x.provider);
  EXPECT_FALSE(check_rebate(x.domain, lease, request, receipt, forged));

  offer(100, 10, 0);
  EXPECT_FALSE(check_rebate(x.domain, lease, request, receipt, call));
  offer(100, 10, kRebateMax + 1);
  EXPECT_FALSE(check_rebate(x.domain, lease, request, receipt, call));
}

TEST_F(Rebates, AnAcceptanceIsOfOneRebate) {
  const Rebate& rebate = call.rebate.message;
  RebateAcceptance message{lease.provider, digest(x.domain, rebate)};
  EXPECT_TRUE(check_acceptance(x.domain, lease, rebate, sign(x.domain, message, x.provider)));
  EXPECT_FALSE(check_acceptance(x.domain, lease, rebate, sign(x.domain, message, x.buyer)));
  message.rebate[0] ^= 1;
  EXPECT_FALSE(check_acceptance(x.domain, lease, rebate, sign(x.domain, message, x.provider)));
}

TEST(AnswerClock, KeepsOnlyTheOthersTime) {
  AnswerClock clock(1000);
  EXPECT_FALSE(clock.has_token());
  EXPECT_EQ(clock.times().first_token_ms, 0u);
  clock.token(1040, 1100);  // the client kept the stream waiting for 60 ms
  EXPECT_EQ(clock.times().first_token_ms, 40u);
  EXPECT_EQ(clock.times().stream_ms, 0u);
  clock.token(1110, 1110);
  clock.token(1130, 5000);  // what happens after the last token came is nobody's delay
  EXPECT_EQ(clock.times().first_token_ms, 40u);
  EXPECT_EQ(clock.times().stream_ms, 30u);
}

TEST_F(Rebates, CallsSurviveTheWire) {
  const auto read = rebate_call_from_json(to_json(call));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(check_rebate(x.domain, lease, request, receipt, *read));
  json::object more = to_json(call);
  more["fee"] = "1";
  EXPECT_FALSE(rebate_call_from_json(more));
  EXPECT_FALSE(rebate_call_from_json({}));
}

}  // namespace
}  // namespace assay::protocol
