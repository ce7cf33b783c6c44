#include "services/gateway/latency_reports.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "io/log.hpp"

namespace assay::services {

namespace {
constexpr std::int64_t kLookEveryMs = 60'000;
}

void LatencyReports::start() {
  const auto every_s = buyer_.options.latency_report_s;
  if (every_s == 0 || buyer_.ledger.domain.chain_id != 0) return;
  rounds_.start([this, every_s] {
    round();
    return std::min(kLookEveryMs, static_cast<std::int64_t>(every_s) * 1000);
  });
}

void LatencyReports::round() {
  for (const auto& [lease, figures] : buyer_.latencies.all()) {
    const auto over = report(lease, figures);
    if (!over) {
      io::log_debug("latency of lease {} is not reported: {}", to_hex(lease), over.error().message);
    } else if (*over) {
      buyer_.latencies.forget(lease);
      sent_.erase(lease);
    }
  }
}

Result<bool> LatencyReports::report(const Hash& lease, const LatencyBook::Figures& figures) {
  const std::uint64_t now = buyer_.now();
  Sent& sent = sent_.try_emplace(lease, Sent{since_, 0}).first->second;
  TRY(const market::LeaseView view, buyer_.settlement.lease(lease));
  const bool is_open = view.state == market::LeaseState::open;
  // Of a few answers the figure would be about each.
  if (figures.answers < market::kMeasuredMin || view.state == market::LeaseState::convicted)
    return !is_open;
  if (is_open && now < sent.at + buyer_.options.latency_report_s) return false;
  if (view.paid <= sent.paid) return !is_open;
  // Two times that everybody knows: no request's can be told from them.
  const std::uint64_t since = std::max(view.opened, since_);
  const auto answers =
      std::min<std::uint64_t>({figures.answers, static_cast<std::uint64_t>(view.paid), UINT32_MAX});
  CHECK_OK(buyer_.settlement.submit(buyer_.sign(protocol::LatencyReport{
      .buyer = buyer_.address,
      .lease = lease,
      .answers = static_cast<std::uint32_t>(answers),
      .first_token_ms = figures.first_token_ms,
      .per_token_ms = figures.per_token_ms,
      .since = since,
      .until = std::max(now, since + 1),
  })));
  sent = {now, view.paid};
  return !is_open;
}

}  // namespace assay::services
