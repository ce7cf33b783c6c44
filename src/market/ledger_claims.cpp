#include <algorithm>

#include "crypto/merkle_sum.hpp"
#include "market/ledger_step.hpp"
#include "market/money.hpp"
#include "market/statements.hpp"

namespace assay::market {

using protocol::check_signature;
using protocol::digest;

namespace {

Result<const LeaseRecord*> lease_of_claim(const Step& step, const Hash& claim) {
  const auto it = step.state().claims.find(claim);
  if (it == step.state().claims.end()) return fail(Errc::not_found, "no such claim is pending");
  return step.read_lease(it->second);
}

// Every receipt is the lease's, its price is right, no request is counted twice, and together they
// are what the claim's root committed to. A claim may ask for less than they add up to: for what is
// left where its provider gave a rebate (decision 33).
Status check_leaves(const Step& step, const LeaseView& lease, std::span<const ClaimLeaf> leaves) {
  const auto& claim = *lease.claim;
  if (leaves.size() != claim.count)
    return fail(Errc::refused, "the claim has {} receipts, {} were shown", claim.count,
                leaves.size());
  std::vector<crypto::SumNode> nodes;
  std::uint64_t last = 0;
  for (const auto& leaf : leaves) {
    const auto& request = leaf.request.message;
    if (request.sequence <= last)
      return fail(Errc::refused, "request {} comes after {}: each once, in order", request.sequence,
                  last);
    last = request.sequence;
    const Statement receipt = leaf.receipt;
    const auto where = fmt::format("receipt of request {}", request.sequence);
    if (auto ok = check_evidence(step.domain(), lease.terms, lease.id, leaf.request, receipt); !ok)
      return fail_in(where, ok.error());
    if (auto fault = arithmetic_fault(lease.terms, request, receipt))
      return fail(Errc::refused, "{}: {}", where, *fault);
    TRY(auto node,
        crypto::sum_leaf(digest(step.domain(), leaf.receipt.message), leaf.receipt.message.amount));
    nodes.push_back(node);
  }
  TRY(const auto root, crypto::merkle_sum_root(nodes));
  if (root.sum < claim.total)
    return fail(Errc::refused, "the receipts add up to {}, the claim asks for {}",
                format_money(root.sum), format_money(claim.total));
  if (root.hash != claim.root)
    return fail(Errc::mismatch, "the receipts are not those the claim's root commits to");
  return {};
}

}  // namespace

Status on(Step& step, const Signed<protocol::Claim>& op) {
  const auto& m = op.message;
  TRY(const LeaseRecord* lease, step.read_lease(m.lease));
  const auto& v = lease->view;
  CHECK_OK(check_signature(step.domain(), op, v.terms.provider));
  if (v.state != LeaseState::open)
    return fail(Errc::refused, "the lease is {}", to_string(v.state));
  if (!v.may_claim)
    return fail(Errc::refused,
                "an earlier claim was contested and not opened in time: only settlements pay now");
  if (v.claim)
    return fail(Errc::refused, "a claim of {} is pending until {}", format_money(v.claim->total),
                v.claim->due);
  if (step.time() > v.terms.expires + v.terms.window)
    return fail(Errc::refused, "claims ended at {} (expiry + window)",
                v.terms.expires + v.terms.window);
  if (m.count == 0) return fail(Errc::invalid, "a claim without receipts");
  if (m.count > protocol::kLeaseRequestsMax)
    return fail(Errc::refused, "a claim of {} receipts, at most {} can be opened", m.count,
                protocol::kLeaseRequestsMax);
  if (m.total <= v.paid)
    return fail(Errc::conflict, "claim {} is not above the {} already paid", format_money(m.total),
                format_money(v.paid));
  if (m.total - v.paid > v.escrow)
    return fail(Errc::refused, "escrow too small: {} held, {} claimed", format_money(v.escrow),
                format_money(m.total - v.paid));
  auto& claim = step.lease(m.lease).view.claim.emplace();
  claim.id = step.id();
  claim.total = m.total;
  claim.count = m.count;
  claim.root = m.root;
  claim.due = step.time() + v.terms.window;
  step.add_claim(step.id(), m.lease);
  return {};
}

Status on(Step& step, const ContestClaim& op) {
  const auto& m = op.dispute.message;
  TRY(const LeaseRecord* lease, step.read_lease(m.lease));
  const auto& v = lease->view;
  if (m.challenger != v.terms.buyer)
    return fail(Errc::refused, "only the lease's buyer contests a claim");
  CHECK_OK(check_signature(step.domain(), op.dispute, m.challenger));
  if (!v.claim || v.claim->id != m.subject)
    return fail(Errc::not_found, "no such claim is pending on this lease");
  if (v.claim->contest != Hash{}) return fail(Errc::conflict, "the claim is contested already");
  if (step.time() >= v.claim->due)
    return fail(Errc::refused, "the challenge window ended at {}, it is {}", v.claim->due,
                step.time());
  CHECK_OK(check_bond(step, m.challenger, m.bond));

  auto& view = step.lease(m.lease).view;
  view.claim->contest = step.id();
  // The provider gets a whole window to answer, whenever the question came.
  view.claim->due = step.time() + view.terms.window;
  auto& d = add_dispute(step, DisputeAbout::claim, m.lease, m.subject, m.challenger,
                        v.terms.provider, Hash{}, m.bond, view.claim->total);
  d.turn = Turn::provider;
  d.due = view.claim->due;
  return {};
}

Status on(Step& step, const OpenClaim& op) {
  const auto& m = op.answer.message;
  CHECK_OK(check_signature(step.domain(), op.answer, m.account));
  const auto it = step.state().disputes.find(m.contest);
  if (it == step.state().disputes.end() || it->second.about != DisputeAbout::claim)
    return fail(Errc::not_found, "no such contest of a claim");
  if (it->second.state != DisputeState::open)
    return fail(Errc::conflict, "the contest is decided already");
  TRY(const LeaseRecord* lease, step.read_lease(it->second.lease));
  CHECK_OK(check_leaves(step, lease->view, op.leaves));

  auto& v = step.lease(it->second.lease).view;
  v.claim->opened = true;
  // What the buyer sees here for the first time it has a whole window to look into.
  v.claim->due = step.time() + v.terms.window;
  std::erase(v.open_disputes, m.contest);
  auto& d = step.dispute(m.contest);
  d.state = DisputeState::decided;
  d.turn = Turn::over;
  d.due = 0;
  d.outcome = protocol::Outcome::provider_right;
  d.reason = "every receipt of the claim was shown";
  d.moves = 1;
  d.game = step.id();
  step.return_bond(v.terms.payout, d.bond);
  return {};
}

Status on(Step& step, const Signed<protocol::Finalize>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.account));
  TRY(const LeaseRecord* lease, lease_of_claim(step, m.claim));
  const auto& v = lease->view;
  const auto claim = *v.claim;
  if (step.time() < claim.due)
    return fail(Errc::refused, "the challenge window ends at {}, it is {}", claim.due, step.time());
  if (claim.contest != Hash{} && !claim.opened) {
    step.lease(v.id).view.may_claim = false;
    drop_claim(step, v.id, protocol::Outcome::provider_wrong,
               "the claim's receipts were not shown in time");
    return {};
  }
  if (!v.open_disputes.empty())
    return fail(Errc::refused, "a dispute about this lease is open: the claim waits for it");
  if (claim.total > v.paid) step.pay_escrow(v.id, claim.total - v.paid);
  drop_claim(step, v.id, protocol::Outcome::provider_right, "");
  return {};
}

}  // namespace assay::market
