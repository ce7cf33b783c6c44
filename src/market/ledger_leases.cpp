#include "base/hex.hpp"
#include "market/board.hpp"
#include "market/ledger_step.hpp"
#include "market/money.hpp"

namespace assay::market {

using protocol::check_signature;
using protocol::digest;
using protocol::struct_hash;

namespace {

Status check_terms(const Step& step, const protocol::Lease& terms) {
  const auto& p = step.parameters();
  CHECK_OK(positive(terms.escrow, "a lease's escrow"));
  if (terms.price_in < 0 || terms.price_out < 0)
    return fail(Errc::invalid, "a lease has a negative price");
  if (terms.payout.is_zero()) return fail(Errc::invalid, "a lease pays to the zero address");
  if (terms.disclosure > static_cast<std::uint32_t>(protocol::Disclosure::everyone))
    return fail(Errc::invalid, "unknown disclosure {}", terms.disclosure);
  if (terms.window < p.window_min_s || terms.window > p.window_max_s)
    return fail(Errc::refused, "challenge window {} s is not in [{}, {}] s", terms.window,
                p.window_min_s, p.window_max_s);
  if (terms.expires <= step.time())
    return fail(Errc::refused, "the lease expired at {}, it is {}", terms.expires, step.time());
  if (terms.expires > step.time() + p.lease_max_s)
    return fail(Errc::refused, "the lease runs {} s, at most {} s are allowed",
                terms.expires - step.time(), p.lease_max_s);
  return {};
}

Status check_agreement(const protocol::Lease& terms, const protocol::Offer& offer) {
  if (terms.provider != offer.provider || terms.payout != offer.payout)
    return fail(Errc::refused, "the lease names another provider or payout than its offer");
  for (const auto& model : offer.models) {
    const protocol::ExecutionId execution{model.weights_root, model.program_hash, model.canon};
    if (struct_hash(execution) != terms.execution) continue;
    if (model.price_in == terms.price_in && model.price_out == terms.price_out) return {};
  }
  return fail(Errc::refused, "the offer has no model of this execution at these prices");
}

Result<const LeaseRecord*> open_lease(const Step& step, const Hash& id) {
  TRY(const LeaseRecord* lease, step.read_lease(id));
  if (lease->view.state != LeaseState::open)
    return fail(Errc::refused, "the lease is {}", to_string(lease->view.state));
  return lease;
}

}  // namespace

Status on(Step& step, const OpenLease& op) {
  const auto& terms = op.lease.message;
  CHECK_OK(check_terms(step, terms));
  CHECK_OK(check_signature(step.domain(), op.lease, terms.buyer));
  if (terms.offer != digest(step.domain(), op.offer.message))
    return fail(Errc::mismatch, "the lease refers to another offer than the one beside it");
  CHECK_OK(check_offer(step.domain(), op.offer, step.time()));
  CHECK_OK(check_agreement(terms, op.offer.message));
  CHECK_OK(check_available(step, terms.buyer, terms.escrow));
  CHECK_OK(check_exposure(step, terms.provider, terms.escrow));

  const Hash& id = step.id();
  auto& v = step.lease(id).view;
  v.id = id;
  v.terms = terms;
  v.opened = step.time();
  step.add_live({terms.provider, step.time(), id});
  step.lock_escrow(id, terms.escrow);
  return {};
}

Status on(Step& step, const Signed<protocol::TopUp>& op) {
  const auto& m = op.message;
  CHECK_OK(positive(m.amount, "a top-up"));
  CHECK_OK(check_signature(step.domain(), op, m.buyer));
  TRY(const LeaseRecord* lease, open_lease(step, m.lease));
  const auto& terms = lease->view.terms;
  if (m.buyer != terms.buyer) return fail(Errc::refused, "only the lease's buyer tops it up");
  if (terms.expires <= step.time())
    return fail(Errc::refused, "the lease expired at {}, it is {}", terms.expires, step.time());
  CHECK_OK(check_available(step, m.buyer, m.amount));
  CHECK_OK(check_exposure(step, terms.provider, m.amount));
  step.lock_escrow(m.lease, m.amount);
  return {};
}

Status on(Step& step, const Signed<protocol::Settlement>& op) {
  const auto& m = op.message;
  TRY(const LeaseRecord* lease, open_lease(step, m.lease));
  const auto& v = lease->view;
  CHECK_OK(check_signature(step.domain(), op, v.terms.buyer));
  if (m.cumulative <= v.paid)
    return fail(Errc::conflict, "settlement {} is not above the {} already paid",
                format_money(m.cumulative), format_money(v.paid));
  if (m.cumulative - v.paid > v.escrow)
    return fail(Errc::refused, "escrow too small: {} held, {} to pay: top the lease up",
                format_money(v.escrow), format_money(m.cumulative - v.paid));
  step.pay_escrow(m.lease, m.cumulative - v.paid);
  // A claim that asks for no more is answered by this; one under contest has its bond to decide.
  if (v.claim && v.claim->total <= v.paid && (v.claim->contest == Hash{} || v.claim->opened))
    drop_claim(step, m.lease, protocol::Outcome::provider_right, "");
  return {};
}

Status on(Step& step, const Signed<protocol::Close>& op) {
  const auto& m = op.message;
  CHECK_OK(check_signature(step.domain(), op, m.account));
  TRY(const LeaseRecord* lease, open_lease(step, m.lease));
  const auto& v = lease->view;
  // Whoever is still bound by the lease, an auditor too, may end it once nothing can be claimed.
  if (m.account != v.terms.provider && step.time() <= v.terms.expires + v.terms.window)
    return fail(Errc::refused,
                "others than the provider may close after {} (expiry + window), it is {}",
                v.terms.expires + v.terms.window, step.time());
  if (v.claim)
    return fail(Errc::refused, "a claim is pending: finalize it after {} first", v.claim->due);
  if (!v.open_disputes.empty())
    return fail(Errc::refused, "dispute {} is open: refunds wait for it",
                to_hex(v.open_disputes.front()));
  end_lease(step, m.lease, LeaseState::closed, "the lease was closed");
  return {};
}

}  // namespace assay::market
