#include "services/provider/lookout.hpp"

namespace assay::services {
namespace {

constexpr std::int64_t kTicks = 5;  // deadlines are minutes at least

}  // namespace

void Lookout::start() {
  const std::int64_t every_ms = kTicks * core_.options.tick_ms;
  rounds_.start(
      [this, every_ms] {
        const auto now = [this] { return core_.now(); };
        disputes_.round("disputes", [this] { return look_at_disputes(); }, now);
        contests_.round("claims", [this] { return look_at_claims(); }, now);
        return every_ms;
      },
      core_.options.tick_ms);
}

void Lookout::show(io::Metrics& metrics) {
  disputes_.show(metrics, core_.now());
  contests_.show(metrics, core_.now());
}

Status Lookout::look_at_disputes() {
  TRY(const market::AccountView self, core_.settlement.account(core_.address));
  for (const Hash& dispute : self.open_disputes) {
    TRY(const market::DisputeView view, core_.settlement.dispute(dispute));
    if (view.state == market::DisputeState::open && view.turn == market::Turn::provider)
      disputes_.look(dispute, view.due, core_.now());
  }
  return {};
}

Status Lookout::look_at_claims() {
  TRY(const auto leases, core_.store->open_leases());
  for (const StoredLease& lease : leases) {
    const bool claims = core_.now() > lease.lease.message.expires ||
                        core_.now() >= lease.used + core_.options.rest_s;
    if (!claims) continue;
    const auto view = core_.settlement.lease(lease.id);
    if (!view && view.error().code == Errc::not_found) continue;
    if (!view) return std::unexpected(view.error());
    if (view->claim && view->claim->contest != Hash{} && !view->claim->opened)
      contests_.look(view->claim->contest, view->claim->due, core_.now());
  }
  return {};
}

}  // namespace assay::services
