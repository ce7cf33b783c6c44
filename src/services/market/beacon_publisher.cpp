#include "services/market/beacon_publisher.hpp"

#include "io/log.hpp"

namespace assay::services {

BeaconPublisher::BeaconPublisher(settle::EmbeddedLedger& ledger, settle::BeaconChain chain,
                                 const crypto::SecretKey& host_key, std::uint64_t every_ms)
    : ledger_(ledger), chain_(std::move(chain)), key_(host_key) {
  rounds_.start([this, every_ms] {
    if (const auto status = publish(); !status)
      io::log_warn("the beacon stands still: {}", status.error().message);
    return static_cast<std::int64_t>(every_ms);
  });
}

Status BeaconPublisher::publish() {
  const auto need = ledger_.beacon_need();
  if (!need.wanted) return {};
  if (need.round >= chain_.rounds())
    return fail(Errc::unavailable, "all {} rounds of this ledger's beacon were published",
                chain_.rounds());
  TRY(const auto info, ledger_.info());
  const protocol::Beacon next{.round = need.round + 1, .value = chain_.value(need.round + 1)};
  const auto done = ledger_.submit(protocol::sign(info.domain, next, key_));
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace assay::services
