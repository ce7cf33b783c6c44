#include "services/provider/collector.hpp"

#include "base/hex.hpp"
#include "crypto/merkle_sum.hpp"
#include "io/log.hpp"
#include "market/money.hpp"

namespace assay::services {
namespace {

using market::format_money;

}  // namespace

void Collector::start() {
  const std::int64_t every_ms = core_.options.tick_ms;
  rounds_.start(
      [this, every_ms] {
        if (const auto done = offers_.renew(); !done)
          io::log_warn("the offer is not renewed: {} (tried again later)", done.error().message);
        if (const auto done = collect(); !done)
          io::log_warn("collecting: {} (tried again later)", done.error().message);
        return every_ms;
      },
      every_ms);
}

Status Collector::collect() {
  TRY(const auto leases, core_.store->open_leases());
  Status first;
  for (const StoredLease& lease : leases) {
    const auto& terms = lease.lease.message;
    const bool expired = core_.now() > terms.expires;
    const bool resting = core_.now() >= lease.used + core_.options.rest_s;
    if ((!expired && !resting) || admission_.lease_busy(lease.id)) continue;
    if (auto done = collect(lease); !done && first) first = std::move(done);
  }
  return first;
}

Status Collector::collect(const StoredLease& lease) {
  auto view = core_.settlement.lease(lease.id);
  if (!view && view.error().code == Errc::not_found) return core_.store->end_lease(lease.id);
  if (!view) return std::unexpected(view.error());
  if (view->state != market::LeaseState::open) return core_.store->end_lease(lease.id);

  if (view->claim) {
    const market::PendingClaim& pending = *view->claim;
    if (pending.contest != Hash{} && !pending.opened) return answer_contest(pending, lease.id);
    if (core_.now() < pending.due || !view->open_disputes.empty()) return {};
    protocol::Finalize finalize{core_.address, pending.id};
    CHECK_OK(core_.settlement.submit(core_.sign(finalize)));
    io::log_info("claim of {} paid", format_money(pending.total));
    return {};
  }
  const bool claimable = lease.receipted > view->paid && view->may_claim &&
                         core_.now() <= view->terms.expires + view->terms.window;
  if (claimable) return claim(lease, *view);
  // Only a settlement can pay the rest; the buyer has until expiry to sign it.
  const bool hoping = lease.receipted > view->paid && core_.now() <= view->terms.expires;
  if (hoping || !view->open_disputes.empty()) return {};
  protocol::Close close{core_.address, lease.id};
  CHECK_OK(core_.settlement.submit(core_.sign(close)));
  io::log_info("lease closed, {} earned", format_money(view->paid));
  return core_.store->end_lease(lease.id);
}

Status Collector::claim(const StoredLease& lease, const market::LeaseView& view) {
  TRY(const auto receipts, core_.store->receipts(lease.id));
  StoredClaim stored;
  std::vector<crypto::SumNode> nodes;
  protocol::Micros given_up = 0;
  for (const StoredRequest& r : receipts) {
    const auto& receipt = r.outcome->receipt.message;
    TRY(auto node, crypto::sum_leaf(core_.id(receipt), receipt.amount));
    nodes.push_back(node);
    stored.leaves.push_back(r.id);
    if (r.rebate) given_up += r.rebate->rebate.message.amount;  // of this receipt: no overflow
  }
  TRY(const crypto::SumNode root, crypto::merkle_sum_root(nodes));
  const protocol::Micros total = root.sum - given_up;
  if (total <= view.paid) return {};
  stored.claim = core_.sign(
      protocol::Claim{lease.id, root.hash, total, static_cast<std::uint32_t>(receipts.size())});
  stored.id = core_.id(stored.claim.message);
  // Its leaves are on disk before it is on the ledger: a contest can always be answered.
  CHECK_OK(core_.store->add_claim(stored));
  CHECK_OK(core_.settlement.submit(stored.claim));
  io::log_info("claimed {} for {} receipts", format_money(total), receipts.size());
  return {};
}

Status Collector::answer_contest(const market::PendingClaim& claim, const Hash& lease) {
  TRY(const auto stored, core_.store->claim(claim.id));
  if (!stored)
    return fail(Errc::not_found, "claim {} is not in this data directory: its leaves are unknown",
                to_hex(claim.id));
  TRY(const auto receipts, core_.store->receipts(lease));
  market::OpenClaim open;
  open.answer = core_.sign(protocol::Answer{core_.address, claim.contest});
  for (const StoredRequest& r : receipts)
    if (std::ranges::find(stored->leaves, r.id) != stored->leaves.end())
      open.leaves.push_back({r.request, r.outcome->receipt});
  CHECK_OK(core_.settlement.submit(open));
  io::log_info("contested claim opened: {} receipts shown", open.leaves.size());
  return {};
}

}  // namespace assay::services
