#include "services/auditor/auditor_service.hpp"

#include <sys/stat.h>

#include "base/hex.hpp"
#include "engine/kernels/self_check.hpp"
#include "io/http_router.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "market/statements.hpp"
#include "protocol/tokens.hpp"

namespace assay::services {
namespace {

Result<json::value> body_of(const io::HttpRequest& request) {
  auto body = json::parse(request.body);
  if (!body) return fail_in("the request body", body.error());
  if (!body->is_object()) return fail(Errc::invalid, "the request body must be a JSON object");
  return body;
}

void reply(io::HttpResponse& response, const Result<AuditRecord>& record) {
  if (!record) {
    response.send_error(record.error());
    return;
  }
  response.send_json(
      200, json::object{{"audit", to_hex(record->id)}, {"stage", to_string(record->stage)}});
}

}  // namespace

AuditorService::AuditorService(io::FileLock lock, AuditorCore core)
    : lock_(std::move(lock)), core_(std::move(core)) {}

Result<std::unique_ptr<AuditorService>> AuditorService::start(const AuditorOptions& options,
                                                              std::vector<AuditedModel> models,
                                                              const crypto::SecretKey& key,
                                                              market::Settlement& settlement,
                                                              const Clock& clock) {
  if (models.empty()) return fail(Errc::invalid, "an auditor has at least one model");
  if (std::string failures = engine::self_test_failures(); !failures.empty()) {
    failures.pop_back();  // the last line's end
    io::log_warn("slower than it could be: {}", failures);
  }
  CHECK_OK(io::make_directories(options.data_dir, 0700));
  TRY(auto lock, io::FileLock::acquire(options.data_dir));
  TRY(const auto info, settlement.info());
  if (info.beacon == Hash{})
    return fail(Errc::unsupported, "this ledger has no beacon: it draws no auditors");
  const auto address = crypto::address_of(key);
  const std::string database = options.data_dir + "/auditor.db";
  TRY(auto store, AuditStore::open(database, info.domain, address));
  ::chmod(database.c_str(), 0600);
  AuditorCore core{options, std::move(models), key,   address,
                   info,    settlement,        clock, std::move(store)};
  std::unique_ptr<AuditorService> service(new AuditorService(std::move(lock), std::move(core)));
  service->desk_ = std::make_unique<AuditDesk>(service->core_);
  io::HttpServerOptions http;
  http.address = options.address;
  http.port = options.port;
  http.max_body_bytes = std::size_t{16} << 20;
  TRY(service->server_, io::HttpServer::start(http, service->routes()));
  service->endpoint_ =
      options.public_endpoint.empty() ? service->server_->url() : options.public_endpoint;
  CHECK_OK(service->register_all(true));
  service->desk_->start();
  return service;
}

AuditorService::~AuditorService() { stop(); }

void AuditorService::stop() {
  if (server_) server_->stop();
  if (desk_) desk_->stop();
}

std::string AuditorService::url() const { return server_->url(); }
std::uint16_t AuditorService::port() const { return server_->port(); }

Status AuditorService::retire() { return register_all(false); }

// Nothing is sent where nothing changes: a registration's age decides what it can be drawn for.
Status AuditorService::register_all(bool active) {
  for (const AuditedModel& model : core_.models) {
    const Hash execution = protocol::struct_hash(model.execution);
    TRY(const auto registered, core_.settlement.auditors(execution));
    const auto mine = std::ranges::find(registered, core_.address, &market::AuditorView::account);
    const bool listed = mine != registered.end() && mine->active;
    const bool same = listed == active &&
                      (!listed || (mine->endpoint == endpoint_ && mine->fee == core_.options.fee));
    if (same) continue;
    CHECK_OK(
        core_.settlement.submit(core_.sign(protocol::RegisterAuditor{.account = core_.address,
                                                                     .execution = execution,
                                                                     .active = active,
                                                                     .endpoint = endpoint_,
                                                                     .fee = core_.options.fee,
                                                                     .nonce = io::random_u64()})));
  }
  return {};
}

io::HttpHandler AuditorService::routes() {
  io::Router router;
  router.post("/v1/audit", [this](io::HttpRequest& request, io::HttpResponse& response) {
    const auto taken = [&]() -> Result<AuditRecord> {
      TRY(const json::value body, body_of(request));
      TRY(const protocol::AuditCall call, protocol::audit_call_from_json(body.get_object()));
      return take(call);
    };
    reply(response, taken());
  });
  router.post("/v1/secret", [this](io::HttpRequest& request, io::HttpResponse& response) {
    const auto taken = [&]() -> Result<AuditRecord> {
      TRY(const json::value body, body_of(request));
      TRY(const auto secret, protocol::audit_secret_from_json(body.get_object()));
      return take_secret(secret);
    };
    reply(response, taken());
  });
  router.get("/v1/audit/{audit}", [this](io::HttpRequest& request, io::HttpResponse& response) {
    const auto id = array_from_hex<32>(request.param("audit"));
    if (!id) {
      response.send_error(id.error());
      return;
    }
    reply(response, known(*id));
  });
  router.get("/health", [](io::HttpRequest&, io::HttpResponse& response) {
    response.send_json(200, json::object{{"status", "ok"}});
  });
  return router.handler();
}

Result<AuditRecord> AuditorService::known(const Hash& audit) {
  TRY(auto record, core_.store->audit(audit));
  if (!record)
    return fail(Errc::not_found, "nothing was handed over here for audit {}", to_hex(audit));
  return std::move(*record);
}

Result<AuditRecord> AuditorService::take(const protocol::AuditCall& call) {
  const Hash& id = call.handover.message.audit;
  // From the ledger, not from the caller: who may hand over what.
  TRY(const market::AuditView view, core_.settlement.audit(id));
  CHECK_OK(protocol::check_audit_call(core_.ledger.domain, call, view.buyer, core_.address));
  if (const auto before = core_.store->audit(id); before && *before) {
    CHECK_OK(core_.store->add(id, call));  // a conflict where it is another handover
    return std::move(**before);
  }
  if (std::ranges::find(view.drawn, core_.address, &market::DrawnAuditor::account) ==
      view.drawn.end())
    return fail(Errc::refused, "this auditor was not drawn for the audit");
  if (core_.now() >= view.commit_due)
    return fail(Errc::refused, "commitments were due at {}, it is too late", view.commit_due);
  if (core_.id(call.receipt.message) != view.subject)
    return fail(Errc::mismatch, "the receipt is not the one to be audited");
  TRY(const market::LeaseView lease, core_.settlement.lease(view.lease));
  CHECK_OK(market::check_evidence(core_.ledger.domain, lease.terms, view.lease, call.request,
                                  call.receipt));
  const protocol::Request& request = call.request.message;
  TRY(const AuditedModel* model, core_.model_of(request.execution));
  const std::size_t positions = call.prompt.size() + call.answer.size();
  CHECK_OK(verify::check_kv_memory(positions, model->model->hyper(), core_.options.isa,
                                   core_.options.kv_bytes));
  CHECK_OK(core_.store->add(id, call));
  desk_->wake();
  return known(id);
}

Result<AuditRecord> AuditorService::take_secret(const protocol::AuditSecret& secret) {
  TRY(const AuditRecord record, known(secret.audit));
  if (record.stage == AuditStage::done) return record;
  if (record.stage == AuditStage::handed)
    return fail(Errc::conflict,
                "this auditor has not committed yet: it must not know the secret before");
  if (protocol::salt_commitment(secret.salt_secret) != record.request().salt_commitment)
    return fail(Errc::mismatch, "the salt secret is not the one the request commits to");
  CHECK_OK(core_.store->add_secret(secret.audit, secret.salt_secret));
  desk_->wake();
  return known(secret.audit);
}

}  // namespace assay::services
