// Grinding the audit draw, from both sides (docs/decisions/0009-audit-economics.md).
#include "protocol/audit_draw.hpp"

#include <cmath>
#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "crypto/sha256.hpp"

namespace assay::protocol {
namespace {

constexpr std::uint64_t kRate = (std::uint64_t{1} << 32) / 8;
constexpr int kRequests = 4'000, kTries = 32;

Hash numbered(std::string_view what, std::uint64_t a, std::uint64_t b = 0) {
  Bytes bytes(what.begin(), what.end());
  append_le(bytes, a);
  append_le(bytes, b);
  return crypto::sha256(bytes);
}

// Of n draws at kRate, what lies within five standard deviations.
void expect_fair(int drawn, int n, std::string_view strategy) {
  const double p = static_cast<double>(kRate) / 0x1p32;
  const double sigma = std::sqrt(n * p * (1 - p));
  EXPECT_NEAR(drawn, n * p, 5 * sigma) << strategy;
}

// The provider can make as many receipts for a request as it likes before it signs one: evidence
// and key sequence are its own. It knows the tip, every link that was revealed, and the digests.
TEST(AuditDraw, AProviderThatGrindsReceiptsGainsNothing) {
  const Hash seed = numbered("seed", 1);
  const Hash tip = audit_link(seed, kRequests, 0);
  int first = 0, smallest = 0, by_revealed = 0, by_tip = 0;
  for (std::uint64_t i = 1; i <= kRequests; ++i) {
    const Hash link = audit_link(seed, kRequests, i);
    const Hash revealed = audit_link(seed, kRequests, i - 1);
    Hash least{}, by_last{}, by_root{};
    for (std::uint64_t k = 0; k < kTries; ++k) {
      const Hash receipt = numbered("receipt", i, k);
      if (k == 0 || receipt < least) least = receipt;
      // As if the last known link, or the tip, told something about the next.
      if (k == 0 || audit_draw(revealed, receipt) > audit_draw(revealed, by_last))
        by_last = receipt;
      if (k == 0 || audit_draw(tip, receipt) > audit_draw(tip, by_root)) by_root = receipt;
    }
    first += audit_drawn(link, numbered("receipt", i, 0), kRate);
    smallest += audit_drawn(link, least, kRate);
    by_revealed += audit_drawn(link, by_last, kRate);
    by_tip += audit_drawn(link, by_root, kRate);
  }
  expect_fair(first, kRequests, "honest");
  expect_fair(smallest, kRequests, "smallest digest");
  expect_fair(by_revealed, kRequests, "judged by the link before");
  expect_fair(by_tip, kRequests, "judged by the tip");
}

// Were the link known, grinding would work: the test above can fail.
TEST(AuditDraw, AProviderThatKnewTheLinkWouldEscape) {
  const Hash seed = numbered("seed", 1);
  int drawn = 0;
  for (std::uint64_t i = 1; i <= 200; ++i) {
    const Hash link = audit_link(seed, 200, i);
    bool escaped = false;
    for (std::uint64_t k = 0; k < kTries && !escaped; ++k)
      escaped = !audit_drawn(link, numbered("receipt", i, k), kRate);
    drawn += !escaped;
  }
  EXPECT_EQ(drawn, 0);
}

// The buyer knows its whole chain, but no other chain fits the tip in the lease, and a link fits
// one sequence only. What it may choose, the request, reaches the draw through the receipt's
// digest, which holds the trace of an execution it has not seen.
TEST(AuditDraw, ABuyerCannotChooseAnotherLink) {
  const Hash seed = numbered("seed", 2);
  const Hash tip = audit_link(seed, 64, 0);
  for (std::uint64_t i = 1; i <= 64; ++i) {
    const Hash link = audit_link(seed, 64, i);
    for (std::uint64_t j = 1; j <= 64; ++j) EXPECT_EQ(audit_link_matches(tip, link, j), i == j);
    EXPECT_FALSE(audit_link_matches(tip, audit_link(numbered("seed", 3), 64, i), i));
  }
  int drawn = 0;
  for (std::uint64_t request = 0; request < kRequests; ++request) {
    // Of many requests it picks the one whose own digest would draw best; the receipt's decides.
    const Hash link = audit_link(seed, 64, 7);
    Hash chosen = numbered("request", request, 0);
    for (std::uint64_t k = 1; k < kTries; ++k)
      if (const Hash other = numbered("request", request, k);
          audit_draw(link, other) < audit_draw(link, chosen))
        chosen = other;
    Bytes receipt(chosen.begin(), chosen.end());
    append(receipt, numbered("trace", request));
    drawn += audit_drawn(link, crypto::sha256(receipt), kRate);
  }
  expect_fair(drawn, kRequests, "ground requests");
}

}  // namespace
}  // namespace assay::protocol
