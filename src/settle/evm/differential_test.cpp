#include "market/ledger_history_testutil.hpp"
#include "settle/evm/differential_testutil.hpp"

namespace assay::settle::evm {
namespace {

class Differential : public DifferentialTest {};

TEST_F(Differential, TheStateMachineAndTheContractsAgree) {
  const Asked what = asked(100, 15, 50);
  market::test::Counts counts;
  play<market::test::History>(what, counts);
  EXPECT_GE(accepted_, refused_);
  expect_reached(what, market::test::kTransitions, counts);
}

}  // namespace
}  // namespace assay::settle::evm
