#include "services/auditor/audit_lookout.hpp"

#include <algorithm>

namespace assay::services {
namespace {

constexpr std::int64_t kLookoutTicks = 4;  // deadlines are minutes at least

// Until when the next word about an audit has to be on the ledger; nullopt: none is owed.
std::optional<std::uint64_t> word_due(const AuditRecord& record, const market::AuditView& view,
                                      const market::DrawnAuditor& mine) {
  if (view.state == market::AuditState::waiting || mine.convicted) return std::nullopt;
  switch (record.stage) {
    case AuditStage::handed:
      return view.commit_due;
    case AuditStage::committed:
      return mine.nonce_hash == Hash{} ? view.commit_due : view.reveal_due;
    case AuditStage::judged:
      if (mine.verdict == 0) return view.reveal_due;
      break;
    case AuditStage::revealed:
    case AuditStage::done:
      break;
  }
  return std::nullopt;
}

}  // namespace

void AuditLookout::start() {
  const std::int64_t every_ms = kLookoutTicks * core_.options.tick_ms;
  rounds_.start(
      [this, every_ms] {
        look();
        return every_ms;
      },
      core_.options.tick_ms);
}

void AuditLookout::look() {
  const auto now = [this] { return core_.now(); };
  audits_.round("audits", [this] { return look_at_audits(); }, now);
  checks_.round("checks", [this] { return look_at_checks(); }, now);
  disputes_.round("disputes", [this] { return look_at_disputes(); }, now);
}

void AuditLookout::show(io::Metrics& metrics) {
  audits_.show(metrics, core_.now());
  checks_.show(metrics, core_.now());
  disputes_.show(metrics, core_.now());
}

Status AuditLookout::look_at_audits() {
  TRY(const auto records, core_.store->live());
  for (const AuditRecord& record : records) {
    if (record.stage == AuditStage::revealed) continue;
    TRY(const market::AuditView view, core_.settlement.audit(record.id));
    const auto mine = std::ranges::find(view.drawn, core_.address, &market::DrawnAuditor::account);
    if (mine == view.drawn.end()) continue;
    const auto due = word_due(record, view, *mine);
    if (due && core_.now() < *due) audits_.look(record.id, *due, core_.now());
  }
  return {};
}

Status AuditLookout::look_at_checks() {
  TRY(const auto records, core_.store->live());
  for (const AuditRecord& record : records) {
    if (record.stage != AuditStage::revealed || record.verdict != protocol::AuditVerdict::pass)
      continue;
    TRY(const market::AuditView view, core_.settlement.audit(record.id));
    for (const market::OpenCheck& check : view.checks)
      if (check.auditor == core_.address) checks_.look(check.id, check.due, core_.now());
  }
  return {};
}

Status AuditLookout::look_at_disputes() {
  TRY(const market::AccountView self, core_.settlement.account(core_.address));
  for (const Hash& id : self.open_disputes) {
    TRY(const market::DisputeView view, core_.settlement.dispute(id));
    if (view.state == market::DisputeState::open && view.turn == market::Turn::provider)
      disputes_.look(id, view.due, core_.now());
  }
  TRY(const auto filed, core_.store->disputes());
  for (const AuditorsDispute& dispute : filed) {
    if (dispute.stage != DisputeStage::filed) continue;
    TRY(const market::DisputeView view, core_.settlement.dispute(dispute.id));
    if (view.state == market::DisputeState::open && view.turn == market::Turn::challenger)
      disputes_.look(dispute.id, view.due, core_.now());
  }
  return {};
}

}  // namespace assay::services
