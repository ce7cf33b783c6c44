// One exchange from offer to receipt: what both sides check, the files, and the wire.
#include <bit>
#include <gtest/gtest.h>
#include <limits>

#include "protocol/inference.hpp"
#include "protocol/samples_testutil.hpp"
#include "protocol/tokens.hpp"

namespace assay::protocol {
namespace {

constexpr std::uint64_t kNow = 1'700'000'000;

std::string refusal(const Status& s) { return s ? std::string() : s.error().message; }

TEST(CheckCall, AcceptsTheHonestCall) {
  const Exchange x;
  EXPECT_EQ(refusal(check_call(x.domain, x.call(), kNow)), "");
}

TEST(CheckCall, RefusesEachBrokenRuleByName) {
  const Exchange x;
  // Changes the request, signs it again, and returns the refusal.
  const auto with_request = [&](auto&& change) {
    InferenceCall call = x.call();
    change(call.request.message);
    call.request = sign(x.domain, call.request.message, x.buyer);
    return refusal(check_call(x.domain, call, kNow));
  };
  const auto with_call = [&](auto&& change) {
    InferenceCall call = x.call();
    change(call);
    return refusal(check_call(x.domain, call, kNow));
  };
  const auto expect = [](const std::string& got, std::string_view part) {
    EXPECT_NE(got.find(part), std::string::npos) << "got: " << got;
  };
  expect(with_request([](Request& r) { r.lease[0] ^= 1; }), "another lease");
  expect(with_request([](Request& r) { r.execution[0] ^= 1; }), "another execution id");
  expect(with_request([](Request& r) { r.sequence = 0; }), "sequences start at 1");
  expect(with_request([](Request& r) { r.expires = 1'700'086'401; }), "expires after its lease");
  expect(with_request([](Request& r) { r.max_tokens = 0; }), "max_tokens");
  expect(with_request([](Request& r) { r.prompt_count = 0; }), "prompt is empty");
  expect(with_request([](Request& r) { r.continuation = 301; }), "continuation");
  for (const float t : {-1.0f, -0.0f, std::numeric_limits<float>::infinity(),
                        std::numeric_limits<float>::quiet_NaN()})
    expect(with_request([&](Request& r) { r.temperature_bits = std::bit_cast<std::uint32_t>(t); }),
           "temperature");
  for (const float p : {0.0f, -0.5f, 1.5f, std::numeric_limits<float>::quiet_NaN()})
    expect(with_request([&](Request& r) { r.top_p_bits = std::bit_cast<std::uint32_t>(p); }),
           "top_p");
  expect(with_request([](Request& r) { r.min_p_bits = 0x80000000; }), "min_p");
  expect(with_request([](Request& r) { r.logit_bias[0].token = 7; }), "ascending");
  expect(with_request([](Request& r) { r.logprobs = 22; }), "logprobs is 22");
  expect(with_request([](Request& r) { r.cap -= 1; }), "below the");
  expect(with_request([](Request& r) { r.cap = 1'000'001; }), "exceeds the escrow");
  expect(with_request([](Request& r) { r.expires = kNow; }), "expired 0 s ago");
  expect(with_request([](Request& r) { r.salt_commitment[0] ^= 1; }), "salt secret");
  expect(with_request([](Request& r) { r.prompt_root[0] ^= 1; }), "prompt tokens");
  expect(with_request([](Request& r) { r.stop_root[0] ^= 1; }), "stop ids are not");
  expect(with_call([](InferenceCall& c) { c.request.message.seed += 1; }), "Request: signature");
  expect(with_call([](InferenceCall& c) { c.lease.message.escrow += 1; }), "Lease: signature");
  expect(with_call([](InferenceCall& c) { c.salt_secret[0] ^= 1; }), "salt secret");
  expect(with_call([](InferenceCall& c) { c.prompt[299] += 1; }), "prompt tokens");
  expect(with_call([](InferenceCall& c) { c.prompt.push_back(1); }), "prompt tokens");
  expect(with_call([](InferenceCall& c) { c.stop_ids = {5, 2}; }), "ascending");
  expect(with_call([](InferenceCall& c) { c.stop_ids = {2, 2, 5}; }), "ascending");
  expect(with_call([](InferenceCall& c) { c.stop_ids = {2}; }), "stop ids are not");
}

TEST(CheckReceipt, AcceptsTheHonestReceiptAndProgress) {
  const Exchange x;
  const Lease& lease = x.file.lease.message;
  const Request& request = x.file.request.message;
  EXPECT_EQ(refusal(check_receipt(x.domain, lease, request, x.opening.salt_secret, x.opening.answer,
                                  x.logprobs(request, 5), x.file.receipt)),
            "");
  ASSERT_EQ(x.progress.size(), 2u);
  for (const auto& p : x.progress)
    EXPECT_EQ(refusal(check_progress(x.domain, lease, request, x.opening.salt_secret,
                                     std::span(x.opening.answer).first(p.message.count),
                                     x.logprobs(request, p.message.count), p)),
              "");
}

TEST(CheckReceipt, RefusesEachBrokenRuleByName) {
  const Exchange x;
  const auto with = [&](auto&& change) {
    Receipt r = x.file.receipt.message;
    std::vector<std::uint32_t> answer = x.opening.answer;
    Hash secret = x.opening.salt_secret;
    change(r, answer, secret);
    return refusal(check_receipt(x.domain, x.file.lease.message, x.file.request.message, secret,
                                 answer, x.logprobs(x.file.request.message, 5),
                                 sign(x.domain, r, x.provider)));
  };
  const auto expect = [](const std::string& got, std::string_view part) {
    EXPECT_NE(got.find(part), std::string::npos) << "got: " << got;
  };
  expect(with([](auto& r, auto&, auto&) { r.request[0] ^= 1; }), "another request");
  expect(with([](auto& r, auto&, auto&) { r.amount += 1; }), "it charges 33");
  expect(with([](auto& r, auto&, auto&) { r.amount -= 1; }), "it charges 31");
  expect(with([](auto& r, auto&, auto&) { r.tape_root[0] ^= 1; }), "tape root");
  expect(with([](auto&, auto& answer, auto&) { answer[0] += 1; }), "tape root");
  expect(with([](auto&, auto& answer, auto&) { answer.pop_back(); }), "5 tokens are signed for, 4");
  expect(with([](auto&, auto&, auto& secret) { secret[0] ^= 1; }), "salt secret");
  expect(with([](auto& r, auto&, auto&) { r.logprobs_root[0] ^= 1; }), "log-probability root");
  expect(with([](auto& r, auto&, auto&) { r.logprobs_root = {}; }), "log-probability root");
  expect(with([](auto& r, auto&, auto&) { r.finish = 4; }), "finish 4");
  expect(with([](auto& r, auto&, auto&) { r.finish = 1; }), "for length after 5 of 16");
  // More than was asked for, priced right: over the cap.
  expect(with([&](auto& r, auto& answer, auto& secret) {
           answer.resize(17);
           r.count = 17;
           r.tape_root = tape_root(secret, answer);
           r.amount = *amount_of(x.file.lease.message, x.file.request.message, 17);
         }),
         "the request allows 16");

  const auto by_buyer = sign(x.domain, x.file.receipt.message, x.buyer);
  expect(refusal(check_receipt(x.domain, x.file.lease.message, x.file.request.message,
                               x.opening.salt_secret, x.opening.answer,
                               x.logprobs(x.file.request.message, 5), by_buyer)),
         "Receipt: signature recovers to");
}

TEST(Files, RoundTripAndVectors) {
  const Exchange x;
  const std::string receipt = to_text(x.file), opening = to_text(x.opening);
  const auto file_back = receipt_file_from_text(receipt);
  ASSERT_TRUE(file_back) << file_back.error().message;
  EXPECT_EQ(to_text(*file_back), receipt);
  EXPECT_EQ(digest(file_back->domain, file_back->request.message), x.opening.request);
  const auto opening_back = opening_from_text(opening);
  ASSERT_TRUE(opening_back) << opening_back.error().message;
  EXPECT_EQ(to_text(*opening_back), opening);
  expect_vectors("messages/receipt_file.json", receipt);
  expect_vectors("messages/opening.json", opening);
  json::array progress;
  for (const auto& p : x.progress) progress.push_back(to_json(p));
  const json::object wire{{"call", to_json(x.call())}, {"progress", progress}};
  expect_vectors("messages/wire.json", json::dump_pretty(wire) + "\n");
}

TEST(Files, OpeningCarriesTraceLeaves) {
  Exchange x;
  x.opening.position_roots = {Hash{1}, Hash{2}};
  x.opening.positions = {{.position = 1, .leaves = {Hash{3}, Hash{4}}}};
  const auto back = opening_from_text(to_text(x.opening));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->position_roots, x.opening.position_roots);
  ASSERT_EQ(back->positions.size(), 1u);
  EXPECT_EQ(back->positions[0].position, 1u);
  EXPECT_EQ(back->positions[0].leaves, x.opening.positions[0].leaves);
}

TEST(Files, TheWrongFileIsNamed) {
  const Exchange x;
  const auto swapped = receipt_file_from_text(to_text(x.opening));
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().message,
            "not a receipt file: expected a JSON object with \"assay\": \"receipt/0\"");
  EXPECT_FALSE(opening_from_text("[]"));
  EXPECT_FALSE(opening_from_text(""));
  std::string extra = to_text(x.file);
  extra.insert(1, "\"x\":1,");
  EXPECT_EQ(receipt_file_from_text(extra).error().message,
            "receipt file: 'x' is not a known member");
}

TEST(Wire, EventsRoundTrip) {
  const Exchange x;
  const std::vector<InferenceEvent> events = {TokenEvent{{1, 4'294'967'295}, {5, 6}}, x.progress[0],
                                              x.file.receipt, ErrorEvent{"busy", "try later"}};
  for (const auto& event : events) {
    const std::string line = to_line(event);
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    const auto back = event_from_line(line);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->index(), event.index());
    EXPECT_EQ(to_line(*back), line);
  }
  EXPECT_EQ(to_line(TokenEvent{{12}}),
            "{\"type\":\"token\",\"tokens\":[\"12\"],\"logprobs\":[]}\n");
  EXPECT_EQ(event_from_line(R"({"type":"other"})").error().code, Errc::unsupported);
  EXPECT_FALSE(event_from_line(R"({"type":"token","tokens":[12],"logprobs":[]})"));
  EXPECT_FALSE(event_from_line(R"({"type":"token","tokens":["12"],"logprobs":[],"x":1})"));
}

TEST(Wire, CallsAndRepliesRoundTrip) {
  const Exchange x;
  const auto call = inference_call_from_json(to_json(x.call()));
  ASSERT_TRUE(call);
  EXPECT_EQ(refusal(check_call(x.domain, *call, kNow)), "");
  const Recall recall{x.opening.request, x.opening.salt_secret, {0, 7}};
  EXPECT_EQ(recall_from_json(to_json(recall))->positions, recall.positions);
  Recall greedy = recall;
  greedy.positions.resize(kTracePositionsMax + 1);
  EXPECT_EQ(recall_from_json(to_json(greedy)).error().code, Errc::refused);
  const ReceiptReply reply{x.opening.answer, x.opening.logprobs, x.file.receipt};
  EXPECT_EQ(receipt_reply_from_json(to_json(reply))->answer, reply.answer);
  EXPECT_EQ(receipt_reply_from_json(to_json(reply))->logprobs, reply.logprobs);
  const TraceReply trace{{Hash{1}}, {{.position = 3, .leaves = {Hash{2}}}}};
  EXPECT_EQ(trace_reply_from_json(to_json(trace))->positions[0].leaves[0], Hash{2});
}

}  // namespace
}  // namespace assay::protocol
