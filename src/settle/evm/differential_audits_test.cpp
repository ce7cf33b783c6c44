#include "market/ledger_audits_history_testutil.hpp"
#include "settle/evm/differential_testutil.hpp"

namespace assay::settle::evm {
namespace {

using market::test::AuditCounts;

class DifferentialAudits : public DifferentialTest {};

// What happens, and what is refused and why: all but reports of latency, which are not on a chain.
std::vector<std::string> on_a_chain(AuditCounts& counts) {
  std::vector<std::string> out = market::test::kAuditTransitions;
  std::erase_if(out, [](const std::string& name) { return name.starts_with("speed/"); });
  for (const auto& [kind, part] : market::test::kAuditRefusals) {
    if (kind == "report_latency") continue;
    std::string name = kind + "/refused:" + part;
    std::ranges::replace(name, ' ', '-');
    for (const auto& [message, times] : counts.refused[kind])
      if (message.find(part) != std::string::npos) counts.reached[name] += times;
    out.push_back(std::move(name));
  }
  return out;
}

TEST_F(DifferentialAudits, TheStateMachineAndTheContractsAgree) {
  const Asked what = asked(60, 40, 100);
  AuditCounts counts;
  play<market::test::AuditHistory>(what, counts);
  expect_reached(what, on_a_chain(counts), counts);
}

}  // namespace
}  // namespace assay::settle::evm
