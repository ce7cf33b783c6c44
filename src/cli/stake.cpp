#include "cli/stake.hpp"

#include "io/log.hpp"
#include "io/random.hpp"
#include "market/money.hpp"

namespace assay::cli {

Status raise_stake(market::Settlement& ledger, const crypto::SecretKey& key,
                   const std::string& wanted_text) {
  TRY(const auto info, ledger.info());
  const auto address = crypto::address_of(key);
  TRY(const auto account, ledger.account(address));
  protocol::Micros wanted = account.stake;
  if (!wanted_text.empty()) {
    TRY(wanted, market::parse_money(wanted_text));
  }
  if (wanted > account.stake) {
    const protocol::Micros missing = wanted - account.stake;
    if (account.available < missing)
      return fail(Errc::refused,
                  "staking {} needs {} more, account {} has {}: deposit to it first (`assay ledger "
                  "deposit --to {} …`)",
                  market::format_money(wanted), market::format_money(missing), address.to_string(),
                  market::format_money(account.available), address.to_string());
    const protocol::Stake stake{address, missing, io::random_u64()};
    CHECK_OK(ledger.submit(protocol::sign(info.domain, stake, key)));
  }
  if (std::max(wanted, account.stake) < info.parameters.stake_min)
    return fail(Errc::refused, "a stake of {} is under the ledger's least of {}: give --stake",
                market::format_money(std::max(wanted, account.stake)),
                market::format_money(info.parameters.stake_min));
  return {};
}

Status raise_stake(OpenSettlement& open, const crypto::SecretKey& key,
                   const std::string& wanted_text, const std::function<bool()>& stopping) {
  constexpr std::int64_t kCatchUpMs = 60'000;
  TRY(const bool known, open.catch_up(stopping, kCatchUpMs));
  if (!known) {
    TRY(const auto account, open.settlement().account(crypto::address_of(key)));
    if (account.stake > 0) {
      io::log_warn(
          "transactions of an earlier start are not final: it goes on, and --stake is looked at "
          "when it is started again");
      return {};
    }
    CHECK_OK(open.catch_up(stopping));
  }
  return raise_stake(open.settlement(), key, wanted_text);
}

}  // namespace assay::cli
