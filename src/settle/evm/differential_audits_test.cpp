#include "market/ledger_audits_history_testutil.hpp"
#include "settle/evm/differential_testutil.hpp"

namespace assay::settle::evm {
namespace {

class DifferentialAudits : public DifferentialTest {};

// All but reports of latency, which are not on a chain.
std::vector<std::string> on_a_chain() {
  std::vector<std::string> out = market::test::kAuditTransitions;
  std::erase_if(out, [](const std::string& name) { return name.starts_with("speed/"); });
  return out;
}

TEST_F(DifferentialAudits, TheStateMachineAndTheContractsAgree) {
  const Asked what = asked(60, 40, 100);
  market::test::AuditCounts counts;
  play<market::test::AuditHistory>(what, counts);
  expect_reached(what, on_a_chain(), counts);
}

}  // namespace
}  // namespace assay::settle::evm
