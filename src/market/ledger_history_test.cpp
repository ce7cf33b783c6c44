// Random histories: whatever is asked in whatever order, money is conserved and nothing that was
// refused leaves a mark. World::run checks that after every operation; here we only stir.
//
// ASSAY_SEED=N replays one history (the seed of a failing one is printed).
#include <cstdlib>

#include "market/ledger_history_testutil.hpp"

namespace assay::market::test {
namespace {

TEST(LedgerHistory, AThousandRandomHistoriesConserveMoney) {
  const char* one = std::getenv("ASSAY_SEED");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t last = one != nullptr ? first : 1'000;
  Counts counts;
  for (auto seed = first; seed <= last; ++seed) {
    History history(seed, counts);
    for (int i = 0; i < 50; ++i) history.step();
    EXPECT_TRUE(history.world().state.totals.conserved());
    ASSERT_FALSE(HasFailure()) << "replay with ASSAY_SEED=" << seed;
  }
  fmt::print("operations: {} accepted, {} refused\n", counts.accepted, counts.refused);
  for (const auto& name : kTransitions) {
    fmt::print("  {:<26}{}\n", name, counts.reached[name]);
    if (one == nullptr) {
      EXPECT_GT(counts.reached[name], 0) << name;
    }
  }
  EXPECT_GE(counts.accepted, counts.refused);
}

}  // namespace
}  // namespace assay::market::test
