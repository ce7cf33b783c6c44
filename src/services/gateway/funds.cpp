#include "services/gateway/funds.hpp"

#include "market/money.hpp"

namespace assay::services {

Status check_funds(Buyer& buyer) {
  TRY(const auto account, buyer.settlement.account(buyer.address));
  const Micros bond = buyer.ledger.parameters.dispute_bond;
  if (account.available > bond) return {};
  TRY(const auto leases, buyer.store->unreturned_leases());
  for (const LeaseRecord& lease : leases) {
    if (lease.stage == LeaseStage::ended || lease.lease.message.expires <= buyer.now()) continue;
    TRY(const Micros free, buyer.store->free_escrow(lease.id));
    if (free > 0) return {};
  }
  return fail(
      Errc::refused,
      "the account {} has {} available, and no open lease has any left: deposit {} to it (a "
      "lease holds {}, a dispute's bond is {})",
      buyer.address.to_string(), market::format_money(account.available),
      market::format_money(buyer.options.escrow + bond - account.available),
      market::format_money(buyer.options.escrow), market::format_money(bond));
}

}  // namespace assay::services
