#include "protocol/tokens.hpp"

#include <gtest/gtest.h>
#include <numeric>
#include <set>

#include "base/hex.hpp"
#include "crypto/merkle.hpp"
#include "crypto/merkle_sum.hpp"
#include "crypto/sha256.hpp"
#include "protocol/audit_draw.hpp"
#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

std::vector<std::uint32_t> ids(std::size_t n) {
  std::vector<std::uint32_t> out(n);
  std::iota(out.begin(), out.end(), 1u);
  return out;
}

TEST(Tokens, PriceRoundsEachPartUpAndRefusesOverflow) {
  EXPECT_EQ(*price(0, 0, 1000, 1000), 0);
  EXPECT_EQ(*price(1, 0, 0, 0), 0);
  EXPECT_EQ(*price(1, 0, 1, 0), 1);
  EXPECT_EQ(*price(1, 1, 1, 1), 2);
  EXPECT_EQ(*price(1'000'000, 0, 7, 0), 7);
  EXPECT_EQ(*price(1'000'001, 0, 1, 0), 2);
  EXPECT_EQ(*price(999'999, 0, 1'000'000, 0), 999'999);
  EXPECT_EQ(*price(INT64_MAX, 0, 1'000'000, 0), INT64_MAX);
  EXPECT_EQ(*price(INT64_MAX - 1, 1, 1'000'000, 1), INT64_MAX);
  EXPECT_FALSE(price(INT64_MAX, 1, 1'000'000, 1));
  EXPECT_FALSE(price(INT64_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX));
  EXPECT_FALSE(price(-1, 0, 1, 1));
  EXPECT_FALSE(price(0, -1, 1, 1));
}

// Small worlds, every case: never under the exact cost, under one micro-unit above per part.
TEST(Tokens, PriceIsTheCeiling) {
  for (Micros p = 0; p < 40; ++p)
    for (std::uint64_t n = 0; n < 40; ++n) {
      const auto scaled = static_cast<std::uint64_t>(p) * 50'000;
      const std::uint64_t exact = scaled * n;
      const auto got = static_cast<std::uint64_t>(*price(p * 50'000, 0, n, 0)) * 1'000'000;
      EXPECT_GE(got, exact);
      EXPECT_LT(got, exact + 1'000'000);
    }
}

TEST(Tokens, RootsAreSaltedLabelledAndBoundToLength) {
  const SaltSecret one{1}, two{2};
  std::set<Hash> seen;
  for (const std::size_t n : {1u, 2u, 255u, 256u, 257u, 512u, 513u}) {
    EXPECT_TRUE(seen.insert(prompt_root(one, ids(n))).second);
    EXPECT_TRUE(seen.insert(prompt_root(two, ids(n))).second);
    EXPECT_TRUE(seen.insert(tape_root(one, ids(n))).second);
    EXPECT_TRUE(seen.insert(stop_root(ids(n))).second);
  }
  EXPECT_EQ(prompt_root(one, {}), crypto::sha256({}));
}

// The definition of spec/messages.md, spelled out for two chunks.
TEST(Tokens, TapeRootByDefinition) {
  const SaltSecret secret{9};
  const auto tokens = ids(300);
  std::vector<Hash> leaves;
  for (std::uint64_t chunk = 0; chunk < 2; ++chunk) {
    Bytes label(view("assay/tape/v0").begin(), view("assay/tape/v0").end());
    append_le(label, chunk);
    Bytes leaf;
    append(leaf, crypto::hmac_sha256(secret, label));
    for (std::size_t i = chunk * 256; i < std::min<std::size_t>(300, chunk * 256 + 256); ++i)
      append_le(leaf, tokens[i]);
    leaves.push_back(crypto::leaf_hash(leaf));
  }
  EXPECT_EQ(tape_root(secret, tokens), crypto::merkle_root(leaves));
}

// The definition of spec/messages.md, spelled out for three tokens with two alternatives each.
TEST(Tokens, LogprobsRootByDefinition) {
  const SaltSecret secret{9};
  Request request;
  request.logprobs = 3;
  ASSERT_EQ(logprob_width(request), 5u);
  const auto numbers = ids(15);
  std::vector<Hash> leaves;
  for (std::uint64_t token = 0; token < 3; ++token) {
    Bytes label(view("assay/logprobs/v0").begin(), view("assay/logprobs/v0").end());
    append_le(label, token);
    Bytes leaf;
    append(leaf, crypto::hmac_sha256(secret, label));
    for (std::size_t i = token * 5; i < token * 5 + 5; ++i) append_le(leaf, numbers[i]);
    leaves.push_back(crypto::leaf_hash(leaf));
    EXPECT_EQ(*logprobs_root(secret, request, static_cast<std::uint32_t>(token) + 1,
                             std::span(numbers).first(token * 5 + 5)),
              crypto::merkle_root(leaves));
  }
  EXPECT_EQ(*logprobs_root(secret, request, 0, {}), crypto::sha256({}));
  EXPECT_EQ(logprobs_root(secret, request, 2, numbers).error().code, Errc::mismatch);
  request.logprobs = 0;
  EXPECT_EQ(*logprobs_root(secret, request, 3, {}), Hash{});
  EXPECT_EQ(logprobs_root(secret, request, 3, numbers).error().code, Errc::mismatch);
}

TEST(AuditDraw, LinksLeadToTheTipAndNowhereElse) {
  const Hash seed{7};
  const Hash tip = audit_link(seed, 20, 0);
  EXPECT_EQ(audit_link(seed, 20, 20), seed);
  for (std::uint64_t i = 0; i <= 20; ++i)
    for (std::uint64_t j = 0; j <= 20; ++j)
      EXPECT_EQ(audit_link_matches(tip, audit_link(seed, 20, i), j), i == j);
  EXPECT_FALSE(audit_link_matches(tip, seed, UINT64_MAX));
}

TEST(AuditDraw, RatesAreMet) {
  int drawn = 0;
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) {
    Hash link{};
    std::memcpy(link.data(), &i, sizeof i);
    const Hash receipt{3};
    EXPECT_TRUE(audit_drawn(link, receipt, std::uint64_t{1} << 32));
    EXPECT_FALSE(audit_drawn(link, receipt, 0));
    drawn += audit_drawn(link, receipt, (std::uint64_t{1} << 32) / 10);
  }
  // Six standard deviations around a tenth; the inputs are fixed, so this cannot flake.
  EXPECT_NEAR(drawn, kDraws / 10, 6 * 42);
}

TEST(Tokens, Vectors) {
  json::array token_roots, logprobs_roots, prices, links, sums;
  for (const std::size_t n : {0u, 1u, 256u, 257u, 1000u}) {
    const auto tokens = ids(n);
    const SaltSecret secret = crypto::sha256(view(fmt::format("secret {}", n)));
    token_roots.push_back(json::object{{"salt_secret", to_hex(secret)},
                                       {"salt_commitment", to_hex(salt_commitment(secret))},
                                       {"first_token", "1"},
                                       {"count", std::to_string(n)},
                                       {"prompt_root", to_hex(prompt_root(secret, tokens))},
                                       {"tape_root", to_hex(tape_root(secret, tokens))},
                                       {"stop_root", to_hex(stop_root(tokens))}});
  }
  for (const auto& [asked, count] : {std::pair{0u, 3u}, {1u, 0u}, {1u, 1u}, {2u, 5u}, {21u, 7u}}) {
    const SaltSecret secret = crypto::sha256(view(fmt::format("logprobs {}", asked)));
    Request request;
    request.logprobs = asked;
    const auto numbers = ids(std::size_t{count} * logprob_width(request));
    logprobs_roots.push_back(
        json::object{{"salt_secret", to_hex(secret)},
                     {"logprobs", std::to_string(asked)},
                     {"first_number", "1"},
                     {"count", std::to_string(count)},
                     {"logprobs_root", to_hex(*logprobs_root(secret, request, count, numbers))}});
  }
  const auto add_price = [&](Micros in, Micros out, std::uint64_t prompt, std::uint64_t answer) {
    const auto amount = price(in, out, prompt, answer);
    prices.push_back(json::object{
        {"price_in", std::to_string(in)},
        {"price_out", std::to_string(out)},
        {"prompt", std::to_string(prompt)},
        {"answer", std::to_string(answer)},
        {"amount", amount ? json::value(std::to_string(*amount)) : json::value(nullptr)}});
  };
  add_price(100'000, 400'000, 300, 5);
  add_price(1, 1, 1, 1);
  add_price(1'000'001, 0, 1, 0);
  add_price(INT64_MAX, 0, 1'000'000, 0);
  add_price(INT64_MAX, 1, 1'000'000, 1);
  const Hash seed = crypto::sha256(view("seed")), receipt = crypto::sha256(view("receipt"));
  for (const std::uint64_t i : {0u, 1u, 2u, 10u}) {
    const Hash link = audit_link(seed, 10, i);
    links.push_back(json::object{{"seed", to_hex(seed)},
                                 {"length", "10"},
                                 {"index", std::to_string(i)},
                                 {"link", to_hex(link)},
                                 {"receipt", to_hex(receipt)},
                                 {"draw", std::to_string(audit_draw(link, receipt))}});
  }
  std::vector<crypto::SumNode> leaves;
  for (std::uint8_t i = 0; i < 7; ++i) {
    leaves.push_back(*crypto::sum_leaf(crypto::sha256({&i, 1}), 1000 + i));
    const auto root = *crypto::merkle_sum_root(leaves);
    sums.push_back(json::object{{"items", "sha256 of the byte i, amount 1000 + i"},
                                {"count", std::to_string(leaves.size())},
                                {"root", to_hex(root.hash)},
                                {"sum", std::to_string(root.sum)}});
  }
  const json::object all{{"token_roots", token_roots},
                         {"logprobs_roots", logprobs_roots},
                         {"prices", prices},
                         {"audit_links", links},
                         {"merkle_sums", sums}};
  expect_vectors("messages/commitments.json", json::dump_pretty(all) + "\n");
}

}  // namespace
}  // namespace assay::protocol
