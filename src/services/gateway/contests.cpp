#include "services/gateway/contests.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "io/log.hpp"
#include "market/money.hpp"

namespace assay::services {

std::optional<std::uint32_t> next_block(std::uint32_t blocks, std::span<const ShownBlock> shown,
                                        const std::function<Micros(std::uint64_t)>& known) {
  // The blocks before `low` come to no more than is known, those before `high` to more.
  std::uint32_t low = 0, high = blocks;
  for (const ShownBlock& b : shown) {
    if (b.number < low || b.number >= high) continue;  // asked for when less was known
    if (b.before > known(b.first_sequence - 1))
      high = b.number;
    else if (b.before + b.sum <= known(b.last_sequence))
      low = b.number + 1;
    else
      return std::nullopt;
  }
  return low < high ? std::optional(low + (high - low - 1) / 2) : std::nullopt;
}

Status Contests::watch(const LeaseRecord& lease, const market::PendingClaim& claim) {
  if (claim.opened) {
    CHECK_OK(demands_.look_into(lease, claim));
    if (claim.block == 0) return {};
    TRY(const Store::Known held, buyer_.store->known(lease.id));
    return claim.total <= held.receipted ? Status()
                                         : search(lease, claim, claim.total - held.receipted);
  }
  if (claim.contest != Hash{}) {
    // Not opened in time: the claim is void and the bond comes back.
    if (buyer_.now() < claim.due) return {};
    CHECK_OK(buyer_.settlement.submit(
        buyer_.sign(protocol::Finalize{.account = buyer_.address, .claim = claim.id})));
    return {};
  }
  // An honest provider shows the receipts it claims with.
  TRY(const auto expired, buyer_.store->requests_in(RequestStage::expired));
  for (const RequestRecord& record : expired)
    if (record.lease == lease.id) (void)intake_.pick_up(record);
  // A claim that its receipts cover is not contested, also where it breaks a promise: the contest
  // would be lost, and its bond with it.
  TRY(const Store::Known held, buyer_.store->known(lease.id));
  if (claim.total <= held.receipted) return {};
  io::log_warn("provider {} claims {} on a lease with receipts for {}: contested",
               lease.lease.message.provider.to_string(), claim.total, held.receipted);
  if (claim.block == 0) return contest(lease, claim, 0);
  return search(lease, claim, claim.total - held.receipted);
}

Status Contests::search(const LeaseRecord& lease, const market::PendingClaim& claim,
                        Micros excess) {
  // A block that is shown costs its bond. The first is asked for whatever is at stake.
  if (!claim.contests.empty() && excess <= buyer_.ledger.parameters.dispute_bond) {
    if (left_.insert(claim.id).second)
      io::log_warn(
          "claim {}: what it asks for above this buyer's receipts, {}, is not worth a bond",
          to_hex(claim.id), market::format_money(excess));
    return {};
  }
  TRY(const auto own, buyer_.store->statements_of(lease.id));
  const auto known = [&](std::uint64_t sequence) {
    Micros sum = 0;
    for (const auto& [at, amount] : own)
      if (at <= sequence) sum += amount;
    return sum;
  };
  std::vector<ShownBlock> shown;
  for (const Hash& contest : claim.contests) {
    TRY(const ShownBlock block, shown_by(contest, claim.block));
    shown.push_back(block);
  }
  const std::uint32_t blocks = (claim.count + claim.block - 1) / claim.block;
  const auto next = next_block(blocks, shown, known);
  return next ? contest(lease, claim, *next) : Status();
}

Result<ShownBlock> Contests::shown_by(const Hash& contest, std::uint32_t block) {
  if (const auto seen = shown_.find(contest); seen != shown_.end()) return seen->second;
  TRY(const auto opened, demands_.opened(contest));
  if (opened.leaves.empty()) return fail(Errc::mismatch, "a contest was answered with no receipts");
  ShownBlock out{.number = opened.first / block,
                 .before = opened.before,
                 .first_sequence = opened.leaves.front().request.message.sequence,
                 .last_sequence = opened.leaves.back().request.message.sequence};
  for (const auto& leaf : opened.leaves) out.sum += leaf.receipt.message.amount;
  shown_.emplace(contest, out);
  return out;
}

Status Contests::contest(const LeaseRecord& lease, const market::PendingClaim& claim,
                         std::uint32_t block) {
  // A chain takes the nonce for the block's number. The same one every time: the same operation,
  // however often it is sent.
  CHECK_OK(buyer_.settlement.submit(market::ContestClaim{
      buyer_.sign(protocol::Dispute{.challenger = buyer_.address,
                                    .lease = lease.id,
                                    .subject = claim.id,
                                    .bond = buyer_.ledger.parameters.dispute_bond,
                                    .nonce = block})}));
  return {};
}

}  // namespace assay::services
