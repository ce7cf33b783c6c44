#include "verify/referee/finish.hpp"

#include <gtest/gtest.h>
#include <numeric>

#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"
#include "protocol/tokens.hpp"

namespace assay::verify {
namespace {

using protocol::Finish;

struct FinishTest : ::testing::Test {
  FinishTest() {
    s.program.vocab = 1000;
    s.program.context = 2048;
    s.request.prompt_count = 600;
    s.request.max_tokens = 700;
    s.request.stop_root = protocol::stop_root(stops);
    prompt.resize(600);
    std::iota(prompt.begin(), prompt.end(), 100u);
    s.request.prompt_root = protocol::prompt_root(secret, prompt);
    answer.assign(700, 7);
    finish(Finish::length);
  }
  void finish(Finish f) {
    s.finish = static_cast<std::uint32_t>(f);
    s.count = static_cast<std::uint32_t>(answer.size());
    s.tape_root = protocol::tape_root(secret, answer);
  }
  // Chunk and path of a token.
  std::pair<Bytes, std::vector<Hash>> open(std::string_view label,
                                           std::span<const std::uint32_t> ids,
                                           std::uint32_t token) const {
    std::vector<Hash> hashes;
    Bytes chunk;
    for (std::uint64_t c = 0; c * kChunkValues < ids.size(); ++c) {
      Bytes message(label.begin(), label.end());
      append_le(message, c);
      const Hash salt = crypto::hmac_sha256(secret, message);
      Bytes leaf(salt.begin(), salt.end());
      for (std::size_t i = c * kChunkValues;
           i < std::min<std::size_t>(ids.size(), (c + 1) * kChunkValues); ++i)
        append_le(leaf, ids[i]);
      hashes.push_back(crypto::leaf_hash(leaf));
      if (c == token / kChunkValues) chunk = leaf;
    }
    return {chunk, crypto::inclusion_proof(hashes, token / kChunkValues)};
  }
  Bytes about_answer(std::uint32_t token) const {
    const auto [chunk, path] = open("assay/tape/v0", answer, token);
    return finish_proof(stops, token, chunk, path);
  }
  Bytes about_prompt(std::uint32_t token) const {
    const auto [chunk, path] = open("assay/prompt/v0", prompt, token);
    return prompt_proof(token, chunk, path);
  }
  StepVerdict last() const {
    const Bytes proof = about_answer(s.count - 1);
    EXPECT_LE(proof.size(), kProofMax);
    const auto verdict = judge_finish(s, proof);
    EXPECT_TRUE(verdict) << verdict.error().message;
    return verdict.value_or(StepVerdict::invalid_model);
  }

  Hash secret{3};
  std::vector<std::uint32_t> stops{2, 5, 900}, prompt, answer;
  Subject s;
};

TEST_F(FinishTest, EveryEndAndEveryFinish) {
  for (const bool full : {false, true})
    for (const bool stop : {false, true})
      for (const auto f : {Finish::stop, Finish::length, Finish::fault, Finish::cancelled}) {
        answer.assign(full ? 700 : 300, 7);
        if (stop) answer.back() = 900;
        finish(f);
        const bool fits = stop   ? f == Finish::stop
                          : full ? f == Finish::length
                                 : f == Finish::fault || f == Finish::cancelled;
        EXPECT_EQ(last(), fits ? StepVerdict::follows : StepVerdict::differs)
            << full << stop << static_cast<int>(f);
        const auto before = judge_finish(s, about_answer(s.count - 2));
        EXPECT_EQ(before.value(), StepVerdict::follows);
      }
}

TEST_F(FinishTest, ATokenAfterAStopId) {
  answer[299] = 5;
  finish(Finish::length);
  EXPECT_EQ(last(), StepVerdict::follows);
  EXPECT_EQ(judge_finish(s, about_answer(299)).value(), StepVerdict::differs);
  EXPECT_EQ(judge_finish(s, about_answer(298)).value(), StepVerdict::follows);
  s.finish.reset();  // a progress too
  EXPECT_EQ(judge_finish(s, about_answer(299)).value(), StepVerdict::differs);
  answer[299] = 7;
  answer.back() = 5;  // which may end there
  finish(Finish::stop);
  s.finish.reset();
  EXPECT_EQ(last(), StepVerdict::follows);
}

TEST_F(FinishTest, APromptTokenOutsideTheVocabulary) {
  prompt[256] = 1000;
  s.request.prompt_root = protocol::prompt_root(secret, prompt);
  EXPECT_EQ(judge_finish(s, about_prompt(256)).value(), StepVerdict::differs);
  EXPECT_EQ(judge_finish(s, about_prompt(255)).value(), StepVerdict::follows);
}

TEST_F(FinishTest, WhatNeedsNoProof) {
  const auto convicted = [](const Subject& subject) {
    return judge_finish(subject, {}) == StepVerdict::differs;
  };
  EXPECT_FALSE(convicted(s));
  Subject t = s;
  t.count = 0;
  EXPECT_TRUE(convicted(t));  // neither token nor fault
  t.finish = static_cast<std::uint32_t>(Finish::fault);
  EXPECT_FALSE(convicted(t));
  t = s;
  t.count = 701;
  EXPECT_TRUE(convicted(t));
  t = s;
  t.finish = 4;
  EXPECT_TRUE(convicted(t));
  t = s;
  t.program.context = 1298;  // 1299 positions
  EXPECT_TRUE(convicted(t));
  t = s;
  t.request.continuation = 600;
  EXPECT_TRUE(convicted(t));
  t = s;
  t.request.top_p_bits = 0;
  EXPECT_TRUE(convicted(t));
  t = s;
  t.request.logit_bias = {{1000, 0x3f800000}};
  EXPECT_TRUE(convicted(t));
}

// Damaged in every byte, cut at every length: never a conviction.
TEST_F(FinishTest, HostileProofs) {
  for (const Bytes& good : {about_answer(299), about_prompt(5)}) {
    ASSERT_EQ(judge_finish(s, good).value(), StepVerdict::follows);
    for (std::size_t i = 0; i < good.size(); ++i) {
      Bytes bad = good;
      bad[i] ^= static_cast<std::uint8_t>(1u << i % 8);
      const auto verdict = judge_finish(s, bad);
      EXPECT_TRUE(!verdict || *verdict == StepVerdict::follows) << i;
      EXPECT_FALSE(judge_finish(s, std::span(good).first(i))) << i;
    }
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_FALSE(judge_finish(s, longer));
  }
  EXPECT_FALSE(judge_finish(s, Bytes(kProofMax + 1, 0)));
}

}  // namespace
}  // namespace assay::verify
