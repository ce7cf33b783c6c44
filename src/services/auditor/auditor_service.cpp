#include "services/auditor/auditor_service.hpp"

#include <sys/stat.h>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "engine/kernels/self_check.hpp"
#include "io/http_router.hpp"
#include "io/log.hpp"
#include "io/pinned_url.hpp"
#include "io/random.hpp"
#include "io/service_frame.hpp"

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
    : lock_(std::move(lock)), core_(std::move(core)), intake_(core_) {}

Status AuditorService::check_draws(const market::LedgerInfo& ledger) {
  if (ledger.beacon != Hash{}) return {};
  return fail(
      Errc::unsupported,
      "this market was made without a beacon: it draws no auditors. Work for another one; "
      "who makes a market on a chain gives it a beacon unless `assay chain deploy` was told "
      "--no-beacon");
}

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
  CHECK_OK(check_draws(info));
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
  TRY(const Hash tls_key,
      io::set_tls(options.tls, crypto::hmac_sha256(key.bytes, view("assay auditor tls")), http));
  TRY(service->server_, io::HttpServer::start(http, service->routes()));
  TRY(const std::string reached,
      io::endpoint_for_others(options.public_endpoint, *service->server_));
  service->endpoint_ = io::pinned(reached, tls_key);
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

void AuditorService::show_audits(io::Metrics& metrics) {
  constexpr io::Metric kAudits{"assay_auditor_audits", "Audits taken, by how they ended."};
  const auto totals = core_.store->totals();
  if (!totals) return;
  const auto audits = [&](const char* verdict, std::uint64_t n) {
    metrics.set(kAudits, {{"verdict", verdict}}, static_cast<double>(n));
  };
  audits("pass", totals->passed);
  audits("fail", totals->failed);
  audits("unauditable", totals->unauditable);
  audits("open", totals->open);
}

io::HttpHandler AuditorService::routes() {
  io::Router router;
  router.post("/v1/audit", [this](io::HttpRequest& request, io::HttpResponse& response) {
    const auto taken = [&]() -> Result<AuditRecord> {
      TRY(const json::value body, body_of(request));
      TRY(const protocol::AuditCall call, protocol::audit_call_from_json(body.get_object()));
      return intake_.take(call);
    };
    reply(response, taken());
    desk_->wake();
  });
  router.post("/v1/secret", [this](io::HttpRequest& request, io::HttpResponse& response) {
    const auto taken = [&]() -> Result<AuditRecord> {
      TRY(const json::value body, body_of(request));
      TRY(const auto secret, protocol::audit_secret_from_json(body.get_object()));
      return intake_.take_secret(secret);
    };
    reply(response, taken());
    desk_->wake();
  });
  router.get("/v1/audit/{audit}", [this](io::HttpRequest& request, io::HttpResponse& response) {
    const auto id = array_from_hex<32>(request.param("audit"));
    if (!id) {
      response.send_error(id.error());
      return;
    }
    reply(response, intake_.known(*id));
  });
  metrics_.on_scrape([this](io::Metrics& m) {
    show_audits(m);
    desk_->show(m);
  });
  return io::in_frame("auditor", metrics_, router.handler(), [this]() -> Status {
    TRY(const auto account, core_.settlement.account(core_.address));
    if (account.stake > 0) return {};
    return fail(Errc::refused, "no stake: this auditor is not drawn");
  });
}

}  // namespace assay::services
