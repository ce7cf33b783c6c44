#include "services/market/chain_beacon.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "io/files.hpp"

namespace assay::services {
namespace {

// Of one audit's draw: each goes through as many registrations as a transaction holds.
constexpr int kDrawsMax = 1'000;

}  // namespace

ChainBeacon::ChainBeacon(settle::evm::EvmLedger& ledger, settle::BeaconChain chain,
                         const crypto::SecretKey& key, market::LedgerInfo info, const Clock& clock)
    : ledger_(ledger),
      chain_(std::move(chain)),
      key_(key),
      info_(std::move(info)),
      clock_(clock),
      alarm_(std::make_unique<settle::DeadlineAlarm>("draw", info_.parameters.move_s)) {}

Result<ChainBeacon> ChainBeacon::open(settle::evm::EvmLedger& ledger, const std::string& seed_file,
                                      const crypto::SecretKey& key, const Clock& clock) {
  TRY(market::LedgerInfo info, ledger.info());
  if (info.beacon == Hash{})
    return fail(
        Errc::unsupported,
        "this market was made without a beacon (`assay chain deploy --no-beacon`): it draws "
        "no auditors, and there is nothing to publish");
  if (!io::path_exists(seed_file))
    return fail(Errc::not_found,
                "there is no {}: rounds can be published only from the folder in which the "
                "market's chain of values was made (--data)",
                seed_file);
  TRY(settle::BeaconChain chain, settle::BeaconChain::open(seed_file));
  if (chain.value(0) != info.beacon)
    return fail(Errc::mismatch,
                "{} is the chain of another market: its value 0 is {}, this market's is {}",
                seed_file, to_hex(chain.value(0)), to_hex(info.beacon));
  if (crypto::address_of(key) != info.host)
    return fail(Errc::mismatch, "--key is {}, and this market takes rounds that {} has signed",
                crypto::address_of(key).to_string(), info.host.to_string());
  return ChainBeacon(ledger, std::move(chain), key, std::move(info), clock);
}

Result<ChainBeacon::Done> ChainBeacon::step() {
  Done done;
  TRY(const auto need, ledger_.beacon_need());
  CHECK_OK(watch(need));
  const Status rest = draw_rest(need.undrawn, done);
  if (!need.waiting.empty()) {
    CHECK_OK(publish(need, done));
    // What came between the publication's sending and its block waits for nothing any more, and
    // nobody named it.
    TRY(const auto after, ledger_.beacon_need());
    CHECK_OK(draw_rest(after.undrawn, done));
  }
  CHECK_OK(rest);
  return done;
}

// An audit that is not drawn in time gives everything back: said before.
Status ChainBeacon::watch(const settle::evm::BeaconNeed& need) {
  const auto now = static_cast<std::uint64_t>(clock_.now_s());
  for (const auto* list : {&need.waiting, &need.undrawn})
    for (const Hash& id : *list) {
      TRY(const market::AuditView view, ledger_.audit(id));
      if (view.state == market::AuditState::waiting) alarm_->look(id, view.check_due, now);
    }
  alarm_->end_round();
  return {};
}

Status ChainBeacon::draw_rest(const std::vector<Hash>& undrawn, Done& done) {
  Status first;
  for (const Hash& audit : undrawn) {
    Result<bool> drawn = false;
    for (int i = 0; i < kDrawsMax && drawn && !*drawn; ++i) drawn = ledger_.draw(audit);
    if (drawn && *drawn) done.drawn.push_back(audit);
    if (!drawn && first) first = fail_in("draw of audit " + to_hex(audit), drawn.error());
  }
  return first;
}

Status ChainBeacon::publish(const settle::evm::BeaconNeed& need, Done& done) {
  if (need.round >= chain_.rounds())
    return fail(Errc::unavailable, "all {} rounds of this market's beacon were published",
                chain_.rounds());
  const protocol::Beacon next{.round = need.round + 1, .value = chain_.value(need.round + 1)};
  const auto sent = ledger_.submit(protocol::sign(info_.domain, next, key_));
  if (!sent) return fail_in(fmt::format("round {}", next.round), sent.error());
  done.round = next.round;
  done.block_num = sent->sequence;
  for (const Hash& audit : need.waiting) {
    TRY(const market::AuditView view, ledger_.audit(audit));
    if (view.state != market::AuditState::waiting) done.drawn.push_back(audit);
  }
  return {};
}

}  // namespace assay::services
