#include "services/provider/admission.hpp"

#include "market/money.hpp"
#include "protocol/rules.hpp"
#include "services/provider/provider_run.hpp"

namespace assay::services {

using market::format_money;

Status Admission::check_lease(const protocol::InferenceCall& call, const Hash& lease_id,
                              market::LeaseView& view) {
  const auto& terms = call.lease.message;
  if (terms.provider != core_.address)
    return fail(Errc::refused, "the lease is with provider {}, this is {}",
                terms.provider.to_string(), core_.address.to_string());
  auto read = core_.settlement.lease(lease_id);
  if (!read && read.error().code == Errc::not_found)
    return fail(Errc::refused, "the lease is not on the ledger: open it first");
  if (!read) return fail_in("the ledger cannot be asked about the lease", read.error());
  view = std::move(*read);
  if (view.state != market::LeaseState::open)
    return fail(Errc::refused, "the lease is {}: open a new one", to_string(view.state));
  if (!view.may_claim)
    return fail(Errc::refused, "this lease cannot be claimed any more: open a new one");
  // What is earned beside a pending claim might find no time left for a claim of its own.
  if (view.claim)
    return fail(Errc::refused, "a claim of this lease is pending: settle it or open a new lease");
  return {};
}

Status Admission::check(const protocol::InferenceCall& call) {
  const auto& request = call.request.message;
  CHECK_OK(protocol::check_runnable(request));
  const ServedModel* served = core_.serving(request.execution);
  if (served == nullptr)
    return fail(Errc::not_found, "this provider does not serve the lease's execution id");
  CHECK_OK(fits(call, *served->model));
  {
    const std::lock_guard lock(mutex_);
    CHECK_OK(check_unpaid(request, *served));
  }
  market::LeaseView view;
  return check_lease(call, request.lease, view);
}

// With the lock held.
Status Admission::check_unpaid(const protocol::Request& request, const ServedModel& served) const {
  const auto it = unpaid_.find(request.lease);
  if (request.continuation == 0 || it == unpaid_.end() || it->second < served.advertised.context)
    return {};
  return fail(Errc::refused,
              "continuations of this lease that were not the model's have cost {} prompt tokens "
              "nobody paid for: send the prompt without a continuation",
              it->second);
}

void Admission::evaluated_unpaid(const Hash& lease, std::uint64_t tokens) {
  const std::lock_guard lock(mutex_);
  unpaid_[lease] += tokens;
}

void Admission::billed(const Hash& lease, std::uint64_t tokens) {
  const std::lock_guard lock(mutex_);
  const auto it = unpaid_.find(lease);
  if (it == unpaid_.end()) return;
  it->second -= std::min(it->second, tokens);
  if (it->second == 0) unpaid_.erase(it);
}

Result<Admission::Ticket> Admission::admit(const protocol::InferenceCall& call,
                                           const Hash& request_id) {
  const auto& request = call.request.message;
  CHECK_OK(protocol::check_call(core_.ledger.domain, call, core_.now()));
  CHECK_OK(protocol::check_runnable(request));
  const ServedModel* served = core_.serving(request.execution);
  if (served == nullptr)
    return fail(Errc::not_found, "this provider does not serve the lease's execution id");
  CHECK_OK(fits(call, *served->model));
  market::LeaseView view;
  CHECK_OK(check_lease(call, request.lease, view));

  const std::lock_guard lock(mutex_);
  CHECK_OK(check_unpaid(request, *served));
  Open& open = open_[request.lease];
  if (open.caps.contains(request_id)) return fail(Errc::conflict, "this request is being computed");
  TRY(const protocol::Micros receipted, core_.store->receipted(request.lease));
  // What the lease ever held, less what is owed or may become owed; no term is negative.
  const auto owed = market::add(receipted, open.total);
  const auto held = market::add(view.escrow, view.paid);
  if (!owed || !held || *owed > *held || request.cap > *held - *owed)
    return fail(Errc::refused,
                "escrow too small: {} held, {} owed or reserved, this request needs {}: top the "
                "lease up or settle",
                format_money(held.value_or(0)), format_money(owed.value_or(0)),
                format_money(request.cap));
  CHECK_OK(core_.store->add_request(request_id, call, core_.now()));
  open.caps.emplace(request_id, request.cap);
  open.total += request.cap;  // within held: cannot overflow
  return Ticket(*this, request_id, request.lease);
}

void Admission::leave(const Hash& request, const Hash& lease) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = open_.find(lease);
    const auto cap = it->second.caps.find(request);
    it->second.total -= cap->second;
    it->second.caps.erase(cap);
    if (it->second.caps.empty()) open_.erase(it);
  }
  ended_.notify_all();
}

bool Admission::busy() const {
  const std::lock_guard lock(mutex_);
  return !open_.empty();
}

bool Admission::running(const Hash& request) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(open_, [&](const auto& o) { return o.second.caps.contains(request); });
}

bool Admission::lease_busy(const Hash& lease) const {
  const std::lock_guard lock(mutex_);
  const auto it = open_.find(lease);
  return it != open_.end() && !it->second.caps.empty();
}

Status Admission::wait_for_end(const Hash& request, const std::function<bool()>& gone) {
  std::unique_lock lock(mutex_);
  const auto computing = [&] {
    return std::ranges::any_of(open_,
                               [&](const auto& o) { return o.second.caps.contains(request); });
  };
  if (!computing()) return {};
  if (!awaited_.insert(request).second)
    return fail(Errc::conflict,
                "this request is being computed and somebody waits for it already: ask for its "
                "receipt later");
  while (computing()) {
    ended_.wait_for(lock, std::chrono::milliseconds(50));
    if (!computing() || !gone()) continue;
    awaited_.erase(request);
    return fail(Errc::cancelled, "cancelled");
  }
  awaited_.erase(request);
  return {};
}

}  // namespace assay::services
