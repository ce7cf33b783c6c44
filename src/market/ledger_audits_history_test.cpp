// Random histories of audits: every transition and every refusal of spec/audits.md comes up, money
// is conserved, nothing refused leaves a mark, and undoing works. World::run checks that after
// every operation.
//
// ASSAY_SEED=N replays one history (the seed of a failing one is printed).
#include <cstdlib>

#include "market/ledger_audits_history_testutil.hpp"

namespace assay::market::test {
namespace {

TEST(LedgerAuditsHistory, RandomHistoriesReachEverything) {
  const char* one = std::getenv("ASSAY_SEED");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t last = one != nullptr ? first : 300;
  AuditCounts counts;
  for (auto seed = first; seed <= last; ++seed) {
    AuditHistory history(seed, counts);
    for (int i = 0; i < 200; ++i) history.step();
    EXPECT_TRUE(history.world().state.totals.conserved());
    ASSERT_FALSE(testing::Test::HasFailure()) << "replay with ASSAY_SEED=" << seed;
  }
  if (one != nullptr) return;
  for (const auto& name : kAuditTransitions) {
    fmt::print("  {:<26}{}\n", name, counts.reached[name]);
    EXPECT_GT(counts.reached[name], 0) << name;
  }
  for (const auto& [kind, part] : kAuditRefusals) {
    int n = 0;
    for (const auto& [message, times] : counts.refused[kind])
      if (message.find(part) != std::string::npos) n += times;
    fmt::print("  {:<18} {:<34}{}\n", kind, part, n);
    EXPECT_GT(n, 0) << kind << ": " << part;
  }
}

}  // namespace
}  // namespace assay::market::test
