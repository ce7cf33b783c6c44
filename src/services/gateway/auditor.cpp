#include "services/gateway/auditor.hpp"

#include "io/log.hpp"

namespace assay::services {
namespace {

// Of one position: a leaf for each layer and the head.
constexpr std::size_t kLeavesMax = 1025;

const Hash& trace_root_of(const market::Statement& statement) {
  return std::visit([](const auto& s) -> const Hash& { return s.message.trace_root; }, statement);
}

}  // namespace

Auditor::Auditor(Buyer& buyer, MarketView& market)
    : buyer_(buyer), market_(market), pool_(std::max(1u, buyer.options.audit_threads)) {}

Result<verify::AuditReport> Auditor::replay(const RequestRecord& record, const LocalModel& model,
                                            const protocol::Opening& opening) {
  verify::AuditOptions options;
  options.identity = model.execution;
  options.kv_bytes_max = buyer_.options.audit_kv_bytes;
  return std::visit(
      [&](const auto& statement) {
        return verify::replay_audit(record.request.message, statement.message, opening, model.model,
                                    pool_, options, buyer_.clock);
      },
      *record.statement);
}

Result<RequestRecord> Auditor::audit(const Hash& request) {
  const std::lock_guard lock(mutex_);
  TRY(RequestRecord record, buyer_.store->request(request));
  if (record.stage != RequestStage::receipted || record.audit != AuditState::pending) return record;
  TRY(const LeaseRecord lease, buyer_.store->lease(record.lease));
  const auto model = buyer_.models.find(record.request.message.execution);
  if (!model)
    return fail(Errc::not_found, "the model '{}' is no longer in {}: put it back to audit",
                record.model, buyer_.options.models_directory);
  TRY(protocol::Opening opening, buyer_.vault.opening(record.statement_id));
  TRY(verify::AuditReport report, replay(record, *model, opening));
  if (!report.match) ask_for_trace(record, lease, *model, opening, report);

  record.reason = report.reason;
  record.audit = report.match ? AuditState::match : AuditState::mismatch;
  record.stage = report.match ? RequestStage::audited : RequestStage::mismatch;
  if (report.divergence) {
    record.position = report.divergence->position;
    record.layer = report.divergence->layer;
  }
  CHECK_OK(buyer_.store->update_request(record, RequestStage::receipted));
  const Address& provider = lease.lease.message.provider;
  if (report.match) {
    market_.audited(provider);
  } else {
    market_.convicted(provider, report.reason);
    CHECK_OK(buyer_.store->set_lease_stage(lease.id, LeaseStage::ended));
    io::log_warn("provider {}: audit mismatch: {}", provider.to_string(), report.reason);
  }
  return record;
}

// What the provider serves is kept only where it is what it signed; a refusal proves nothing and
// changes nothing.
void Auditor::ask_for_trace(const RequestRecord& record, const LeaseRecord& lease,
                            const LocalModel& model, protocol::Opening& opening,
                            verify::AuditReport& report) {
  const std::string endpoint = market_.endpoint_of(lease);
  protocol::Recall recall{
      .request = record.id, .salt_secret = opening.salt_secret, .positions = {}};
  auto reply = buyer_.providers.trace(endpoint, recall);
  // More roots than the execution has positions could only be meant to bloat the opening.
  const std::size_t positions_max = opening.prompt.size() + opening.answer.size();
  if (!reply || reply->position_roots.size() > positions_max ||
      !verify::layers_behind(reply->position_roots, trace_root_of(*record.statement))) {
    io::log_info("the provider serves no trace for its receipt: {}",
                 reply ? "its roots are not the ones it signed" : reply.error().message);
    return;
  }
  opening.position_roots = std::move(reply->position_roots);
  if (auto again = replay(record, model, opening)) report = std::move(*again);

  if (report.divergence && report.divergence->position < opening.position_roots.size()) {
    const std::uint32_t position = report.divergence->position;
    recall.positions = {position};
    auto opened = buyer_.providers.trace(endpoint, recall);
    if (opened)
      for (protocol::TracePosition& p : opened->positions)
        if (p.position == position && p.leaves.size() <= kLeavesMax &&
            verify::position_root(p.leaves) == opening.position_roots[position])
          opening.positions = {std::move(p)};
    if (!opening.positions.empty())
      if (auto again = replay(record, model, opening)) report = std::move(*again);
  }
  if (const Status kept = buyer_.vault.write_opening(record.statement_id, opening); !kept)
    io::log_error("cannot keep the provider's trace: {}", kept.error().message);
}

}  // namespace assay::services
