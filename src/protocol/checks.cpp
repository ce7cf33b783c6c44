// The rules of spec/messages.md ("What both sides check") in the order in which they are stated.
#include "protocol/inference.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"

namespace assay::protocol {
namespace {

Status check_terms(const Domain& domain, const Lease& lease, const Request& request) {
  if (request.lease != digest(domain, lease))
    return fail(Errc::mismatch, "request: it names another lease");
  if (request.execution != lease.execution)
    return fail(Errc::mismatch, "request: it names another execution id than its lease");
  if (request.sequence == 0) return fail(Errc::invalid, "request: sequences start at 1");
  if (request.sequence > kLeaseRequestsMax)
    return fail(Errc::refused, "request: sequence {}, a lease carries {} requests: open a new one",
                request.sequence, kLeaseRequestsMax);
  if (request.expires > lease.expires)
    return fail(Errc::refused, "request: it expires after its lease");
  CHECK_OK(check_runnable(request));
  TRY(const Micros needed, cap_for(lease, request.prompt_count, request.max_tokens));
  if (request.cap < needed)
    return fail(Errc::refused,
                "request: cap {} is below the {} micro-units that {} + {} tokens may cost",
                request.cap, needed, request.prompt_count, request.max_tokens);
  return {};
}

Status check_tape(const Request& request, const Hash& salt_secret,
                  std::span<const std::uint32_t> answer, std::uint32_t count, const Hash& root) {
  if (salt_commitment(salt_secret) != request.salt_commitment)
    return fail(Errc::mismatch, "the salt secret is not the one the request commits to");
  if (count != answer.size())
    return fail(Errc::mismatch, "{} tokens are signed for, {} were delivered", count,
                answer.size());
  if (count > request.max_tokens)
    return fail(Errc::mismatch, "{} tokens are signed for, the request allows {}", count,
                request.max_tokens);
  if (tape_root(salt_secret, answer) != root)
    return fail(Errc::mismatch, "the signed tape root is not that of the tokens delivered");
  return {};
}

// `signed_count` of a receipt or progress, against the terms of its request.
template <class M>
Status check_bill(const Domain& domain, const Lease& lease, const Request& request,
                  const Hash& logprobs, const Signed<M>& bill) {
  CHECK_OK(check_signature(domain, bill, lease.provider));
  if (request.lease != digest(domain, lease))
    return fail(Errc::mismatch, "the request names another lease");
  if (bill.message.request != digest(domain, request))
    return fail(Errc::mismatch, "it answers another request");
  TRY(const Micros expected, amount_of(lease, request, bill.message.count));
  if (bill.message.amount != expected)
    return fail(Errc::mismatch, "it charges {} micro-units, the price of {} + {} tokens is {}",
                bill.message.amount, request.prompt_count, bill.message.count, expected);
  if (expected > request.cap)
    return fail(Errc::mismatch, "it charges {} micro-units, more than the cap of {}", expected,
                request.cap);
  if (bill.message.logprobs_root != logprobs)
    return fail(Errc::mismatch,
                "the signed log-probability root is not that of the values delivered");
  return {};
}

Status in(std::string_view where, Status status) {
  if (!status) return fail_in(where, status.error());
  return status;
}

}  // namespace

Status check_call(const Domain& domain, const InferenceCall& call, std::uint64_t now) {
  const Lease& lease = call.lease.message;
  const Request& request = call.request.message;
  CHECK_OK(check_signature(domain, call.lease, lease.buyer));
  CHECK_OK(check_signature(domain, call.request, lease.buyer));
  if (lease.disclosure > static_cast<std::uint32_t>(Disclosure::everyone))
    return fail(Errc::unsupported, "lease: disclosure {} is not known", lease.disclosure);
  CHECK_OK(check_terms(domain, lease, request));
  if (request.cap > lease.escrow)
    return fail(Errc::refused, "request: cap {} exceeds the escrow of {} micro-units", request.cap,
                lease.escrow);
  if (now >= request.expires)
    return fail(Errc::refused, "request: expired {} s ago; send a new one", now - request.expires);
  return in("call", check_secrets(request, call.salt_secret, call.prompt, call.stop_ids));
}

Status check_receipt(const Domain& domain, const Lease& lease, const Request& request,
                     const Hash& salt_secret, std::span<const std::uint32_t> answer,
                     const Hash& logprobs, const Signed<Receipt>& receipt) {
  const Receipt& r = receipt.message;
  CHECK_OK(in("receipt", check_bill(domain, lease, request, logprobs, receipt)));
  CHECK_OK(in("receipt", check_tape(request, salt_secret, answer, r.count, r.tape_root)));
  if (r.finish > static_cast<std::uint32_t>(Finish::cancelled))
    return fail(Errc::unsupported, "receipt: finish {} is not known", r.finish);
  if (r.finish == static_cast<std::uint32_t>(Finish::length) && r.count != request.max_tokens)
    return fail(Errc::mismatch, "receipt: it ends for length after {} of {} tokens", r.count,
                request.max_tokens);
  return {};
}

Status check_progress(const Domain& domain, const Lease& lease, const Request& request,
                      const Hash& salt_secret, std::span<const std::uint32_t> answer,
                      const Hash& logprobs, const Signed<Progress>& progress) {
  const Progress& p = progress.message;
  CHECK_OK(in("progress", check_bill(domain, lease, request, logprobs, progress)));
  return in("progress", check_tape(request, salt_secret, answer, p.count, p.tape_root));
}

}  // namespace assay::protocol
