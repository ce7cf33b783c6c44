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
      attempt(handed_, auditor, "tokens", [&] { return hand_over(view.id, auditor, about); });
    // Not sooner: a block could still take the commitment of somebody who was told.
    if (committed(auditor) && (all_in || now >= view.commit_due + lag_s_))
      attempt(told_, auditor, "secret", [&] {
        return client_.tell(auditor.endpoint,
                            {.audit = view.id, .salt_secret = about.opening.salt_secret});
      });
  }
  return now >= view.reveal_due + lag_s_ || std::ranges::all_of(view.drawn, said);
}

Status AuditEscort::hand_over(const Hash& audit, const DrawnAuditor& to,
                              const AuditedReceipt& about) {
  const protocol::Opening& opening = about.opening;
  const protocol::Handover handover{
      .audit = audit,
      .auditor = to.account,
      .content = protocol::handover_content(opening.prompt, opening.answer, opening.stop_ids,
                                            opening.logprobs, opening.automaton)};
  return client_.hand_over(to.endpoint, {.handover = protocol::sign(domain_, handover, key_),
                                         .request = about.request,
                                         .receipt = about.receipt,
                                         .execution = about.execution,
                                         .prompt = opening.prompt,
                                         .answer = opening.answer,
                                         .stop_ids = opening.stop_ids,
                                         .logprobs = opening.logprobs,
                                         .automaton = opening.automaton});
}

}  // namespace assay::settle
