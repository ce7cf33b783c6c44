#include "services/gateway/intake.hpp"

#include <algorithm>
#include <ranges>

#include "market/audit_policy.hpp"
#include "market/statements.hpp"
#include "protocol/audit_draw.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"

namespace assay::services {
namespace {

Hash link_of(const LeaseRecord& lease, const protocol::Request& request) {
  return protocol::audit_link(lease.audit_seed, lease.chain_length, request.sequence);
}

}  // namespace

Result<RequestRecord> Intake::accept(RequestRecord record, const LeaseRecord& lease,
                                     protocol::Opening opening,
                                     const Signed<protocol::Receipt>& receipt) {
  const protocol::Request& request = record.request.message;
  if (const auto fault = market::arithmetic_fault(lease.lease.message, request, receipt);
      fault && market::check_evidence(buyer_.ledger.domain, lease.lease.message, lease.id,
                                      record.request, receipt))
    return convicting(std::move(record), opening, receipt, *fault);
  TRY(const Hash logprobs, protocol::logprobs_root(opening.salt_secret, request,
                                                   receipt.message.count, opening.logprobs));
  CHECK_OK(protocol::check_receipt(buyer_.ledger.domain, lease.lease.message, request,
                                   opening.salt_secret, opening.answer, logprobs, receipt));
  // Signed, and wrong about how the answer ends: no execution is needed to prove it.
  if (const auto fits =
          protocol::check_finish(request, opening.stop_ids, opening.answer, receipt.message.finish);
      !fits)
    return convicting(std::move(record), opening, receipt, fits.error().message);
  const Hash id = buyer_.id(receipt.message);
  opening.audit_link = link_of(lease, request);
  // A crash between the files and the database: the receipt is picked up again, the files are
  // written again with the same content.
  CHECK_OK(buyer_.vault.write_receipt(id,
                                      {.domain = buyer_.ledger.domain,
                                       .execution = lease.execution,
                                       .offer = lease.offer,
                                       .lease = lease.lease,
                                       .request = record.request,
                                       .receipt = receipt},
                                      opening));
  record.statement = receipt;
  TRY(RequestRecord filed, file(std::move(record), lease, id, receipt.message.amount));
  buyer_.vault.forget_pending(filed.id);
  return filed;
}

Result<RequestRecord> Intake::convicting(RequestRecord record, const protocol::Opening& opening,
                                         const Signed<protocol::Receipt>& receipt,
                                         const std::string& fault) {
  const RequestStage from = record.stage;
  record.statement = receipt;
  record.statement_id = buyer_.id(receipt.message);
  CHECK_OK(buyer_.vault.write_opening(record.statement_id, opening));
  // Until it is convicted it can be claimed: then it is owed, and nothing more than the cap ever
  // is.
  if (from != RequestStage::demanded)
    record.amount = std::min(receipt.message.amount, record.request.message.cap);
  record.reason = fault;
  record.audit = AuditState::mismatch;
  record.stage = RequestStage::mismatch;
  CHECK_OK(buyer_.store->update_request(record, from));
  return fail(Errc::mismatch, "{}", fault);
}

Result<RequestRecord> Intake::accept_progress(RequestRecord record, const LeaseRecord& lease,
                                              protocol::Opening opening,
                                              const Signed<protocol::Progress>& progress) {
  opening.answer.resize(std::min<std::size_t>(opening.answer.size(), progress.message.count));
  const protocol::Request& request = record.request.message;
  const std::size_t numbers = opening.answer.size() * protocol::logprob_width(request);
  opening.logprobs.resize(std::min(opening.logprobs.size(), numbers));
  TRY(const Hash logprobs, protocol::logprobs_root(opening.salt_secret, request,
                                                   progress.message.count, opening.logprobs));
  CHECK_OK(protocol::check_progress(buyer_.ledger.domain, lease.lease.message, request,
                                    opening.salt_secret, opening.answer, logprobs, progress));
  const Hash id = buyer_.id(progress.message);
  opening.audit_link = link_of(lease, request);
  CHECK_OK(buyer_.vault.write_opening(id, opening));
  record.statement = progress;
  TRY(RequestRecord filed, file(std::move(record), lease, id, progress.message.amount));
  buyer_.vault.forget_pending(filed.id);
  return filed;
}

Result<RequestRecord> Intake::file(RequestRecord record, const LeaseRecord& lease, const Hash& id,
                                   Micros amount) {
  const protocol::Request& request = record.request.message;
  const Address& provider = lease.lease.message.provider;
  const Hash link = link_of(lease, request);
  const bool drawn = record.always_audit ||
                     protocol::audit_drawn(link, id, market_.audit_rate_q32(provider, request.cap));
  const RequestStage from = record.stage;
  record.stage = RequestStage::receipted;
  record.statement_id = id;
  if (from != RequestStage::demanded) record.amount = amount;  // else part of it may be paid
  record.audit = drawn ? AuditState::pending : AuditState::not_drawn;
  CHECK_OK(buyer_.store->update_request(record, from));
  market_.served(provider);
  return record;
}

Result<Intake::PickedUp> Intake::pick_up(const RequestRecord& record) {
  TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
  TRY(protocol::Opening opening, buyer_.vault.pending(record.id));
  TRY(protocol::ReceiptReply reply,
      buyer_.providers.receipt(
          market_.endpoint_of(lease),
          {.request = record.id, .salt_secret = opening.salt_secret, .positions = {}}));
  // What was shown must be what is paid for.
  const auto begins = [](const auto& whole, const auto& shown) {
    return whole.size() >= shown.size() &&
           std::ranges::equal(shown, whole | std::views::take(shown.size()));
  };
  if (!begins(reply.answer, opening.answer) || !begins(reply.logprobs, opening.logprobs))
    return fail(Errc::mismatch,
                "the provider's receipt is for another answer than the one it sent");
  opening.answer = reply.answer;
  opening.logprobs = std::move(reply.logprobs);
  TRY(RequestRecord accepted, accept(record, lease, std::move(opening), reply.receipt));
  return PickedUp{std::move(accepted), std::move(reply.answer)};
}

}  // namespace assay::services
