#include "settle/audit_escort.hpp"

#include <algorithm>

#include "io/log.hpp"

namespace assay::settle {

using market::DrawnAuditor;

bool AuditEscort::accompany(const market::AuditView& view, const AuditedReceipt& about) {
  const auto now = static_cast<std::uint64_t>(clock_.now_s());
  const auto committed = [](const DrawnAuditor& a) { return a.nonce_hash != Hash{}; };
  const auto said = [](const DrawnAuditor& a) { return a.verdict != 0 || a.convicted; };
  const bool all_in = std::ranges::all_of(view.drawn, committed);
  const auto attempt = [&](std::set<AuditAndAuditor>& done, const DrawnAuditor& to,
                           std::string_view what, const auto& give) {
    if (done.contains({view.id, to.account})) return;
    if (const Status given = give())
      done.insert({view.id, to.account});
    else
      io::log_info("auditor {} does not take the {} yet: {}", to.account.to_string(), what,
                   given.error().message);
  };
  for (const DrawnAuditor& auditor : view.drawn) {
    if (said(auditor) || now >= view.reveal_due) continue;
    if (!committed(auditor) && now < view.commit_due)
      attempt(handed_, auditor, "tokens",
              [&] { return hand_over(view.id, auditor.account, about); });
    if (committed(auditor) && (all_in || now >= view.commit_due))
      attempt(told_, auditor, "secret", [&] { return tell(view.id, auditor.account, about); });
  }
  return now >= view.reveal_due || std::ranges::all_of(view.drawn, said);
}

Status AuditEscort::hand_over(const Hash& audit, const protocol::Address& to,
                              const AuditedReceipt& about) {
  const protocol::Opening& opening = about.opening;
  const protocol::Handover handover{
      .audit = audit,
      .auditor = to,
      .content = protocol::handover_content(opening.prompt, opening.answer, opening.stop_ids,
                                            opening.logprobs)};
  TRY(const std::string endpoint, endpoint_of(about, to));
  return client_.hand_over(endpoint, {.handover = protocol::sign(domain_, handover, key_),
                                      .request = about.request,
                                      .receipt = about.receipt,
                                      .execution = about.execution,
                                      .prompt = opening.prompt,
                                      .answer = opening.answer,
                                      .stop_ids = opening.stop_ids,
                                      .logprobs = opening.logprobs});
}

Status AuditEscort::tell(const Hash& audit, const protocol::Address& to,
                         const AuditedReceipt& about) {
  TRY(const std::string endpoint, endpoint_of(about, to));
  return client_.tell(endpoint, {.audit = audit, .salt_secret = about.opening.salt_secret});
}

// An auditor that takes no new audits is listed no more, and goes on with those it was drawn for.
Result<std::string> AuditEscort::endpoint_of(const AuditedReceipt& about,
                                             const protocol::Address& auditor) {
  const Hash& execution = about.request.message.execution;
  TRY(const auto listed, settlement_.auditors(execution));
  for (const market::AuditorView& one : listed) endpoints_[{execution, one.account}] = one.endpoint;
  const auto found = endpoints_.find({execution, auditor});
  if (found == endpoints_.end())
    return fail(Errc::not_found, "its address is not known: it has left");
  return found->second;
}

}  // namespace assay::settle
