#include "services/gateway/gateway.hpp"

#include <sys/stat.h>
#include <thread>

#include "base/loopback.hpp"
#include "io/http_router.hpp"
#include "io/log.hpp"
#include "io/service_frame.hpp"
#include "services/gateway/assay_api.hpp"
#include "services/gateway/auction_log.hpp"
#include "services/gateway/batch_api.hpp"
#include "services/gateway/funds.hpp"
#include "services/gateway/latency_reports.hpp"
#include "services/gateway/log_watch.hpp"
#include "services/gateway/reputation_feed.hpp"
#include "services/gateway/x402_door.hpp"
#include "services/gateway/x402_sellers.hpp"
#include "settle/log_client.hpp"

namespace assay::services {
namespace {

constexpr std::size_t kSpareConnections = 16;

// A page on another site can send simple requests to loopback; browsers name their origin.
bool foreign_origin(const io::HttpRequest& request) {
  std::string_view origin = request.header("origin");
  if (origin.empty()) return false;
  const std::size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return true;
  origin.remove_prefix(scheme + 3);
  const std::string_view host =
      origin.substr(0, origin.starts_with('[') ? origin.find(']') + 1 : origin.find(':'));
  return host != "localhost" && host != "127.0.0.1" && host != "[::1]";
}

Status watch_log(Buyer& buyer, std::unique_ptr<LogWatch>& watch) {
  if (buyer.options.log_url.empty()) return {};
  const auto key = tlog::VerifierKey::parse(buyer.options.log_key);
  if (!key) return fail_in("--log-key", key.error());
  auto reader = std::make_unique<settle::LogReader>(buyer.options.log_url);
  auto* log = reader.get();
  watch =
      std::make_unique<LogWatch>(buyer, tlog::LogPolicy::of(*key),
                                 LogView{std::move(reader), [log] { return log->checkpoint(); }});
  watch->start();
  return {};
}

// Who can connect spends the buyer's money, unless keys say who may.
Status check_door(const GatewayOptions& options, Store& store) {
  if (is_loopback_host(options.address) || options.address == "::1") return {};
  if (options.tls_cert_file.empty())
    io::log_warn(
        "{} is not this machine alone and there is no TLS: whoever sits between reads "
        "prompts, answers and API keys; give --tls-cert and --tls-key, or put a proxy "
        "with TLS in front",
        options.address);
  TRY(const bool keys, store.uses_api_keys());
  // A till asks for keys or payments in any case.
  if (keys || options.allow_anyone || options.till != nullptr) return {};
  return fail(Errc::refused,
              "on {} whoever connects would spend this account's money: make an API key first "
              "(`assay gateway keys add --data {} --name NAME`), or say --allow-anyone",
              options.address, options.data_directory);
}

void show_books(Store& store, io::Metrics& metrics) {
  constexpr io::Metric kRequests{"assay_gateway_requests", "Requests signed, by stage."};
  constexpr io::Metric kMoney{"assay_gateway_micros", "What they amount to, by stage."};
  const auto totals = store.stage_totals();
  if (!totals) return;
  for (const Store::StageTotal& total : *totals) {
    metrics.set(kRequests, {{"stage", total.stage}}, static_cast<double>(total.requests));
    metrics.set(kMoney, {{"stage", total.stage}}, static_cast<double>(total.amount));
  }
}

}  // namespace

struct GatewayService::Parts {
  Parts(io::FileLock data_lock, const GatewayOptions& options, const crypto::SecretKey& key,
        const market::LedgerInfo& ledger, market::Settlement& settlement, market::Board& board,
        const Clock& clock, ModelCatalog models, std::unique_ptr<Store> store, Vault vault,
        FileStore uploads)
      : lock(std::move(data_lock)),
        buyer{.options = options,
              .key = key,
              .address = crypto::address_of(key),
              .ledger = ledger,
              .settlement = settlement,
              .board = board,
              .clock = clock,
              .models = std::move(models),
              .store = std::move(store),
              .vault = std::move(vault),
              .providers = ProviderClient(options.limits)},
        market(buyer),
        leases(buyer),
        intake(buyer, market),
        rebates(buyer, market),
        attempts(buyer, leases, intake, market, rebates),
        worker(buyer, market, leases, intake, rebates),
        answers(buyer, market, attempts, worker),
        auctions(buyer, market),
        gatekeeper(*buyer.store, buyer.clock, options.till != nullptr),
        jobs(*buyer.store, buyer.vault, buyer.clock),
        completions(buyer, market, auctions, answers, gatekeeper, jobs),
        files(std::move(uploads)),
        batches(buyer, completions, gatekeeper, files, options.batch_parallel) {
    if (options.till != nullptr) door.emplace(*options.till, completions);
    if (options.purse != nullptr) sellers.emplace(*options.purse, options.x402_sellers, gatekeeper);
  }

  io::HttpHandler routes();
  void answer(ApiRequest::Kind kind, const io::HttpRequest& request, io::HttpResponse& response);

  io::FileLock lock;
  Buyer buyer;
  MarketView market;
  Leases leases;
  Intake intake;
  Rebates rebates;
  Attempts attempts;
  Worker worker;
  Answers answers;
  Auctions auctions;
  Gatekeeper gatekeeper;
  Jobs jobs;
  Completions completions;
  std::optional<X402Door> door;        // none without a till
  std::optional<X402Sellers> sellers;  // none without a purse
  FileStore files;
  Batches batches;
  std::unique_ptr<ReputationFeed> reputation;  // null: not followed
  std::unique_ptr<LogWatch> log_watch;         // null without a log
  LatencyReports latency_reports{buyer};
  AuctionLog auction_log{buyer};
  std::unique_ptr<io::HttpServer> server;  // last: it ends before what its handlers use
};

void GatewayService::Parts::answer(ApiRequest::Kind kind, const io::HttpRequest& request,
                                   io::HttpResponse& response) {
  // A key's holder is not asked for a payment, unless it sends one.
  if (door) {
    const auto caller = gatekeeper.admit(request);
    if (!caller || !request.header(protocol::x402::kSignatureHeader).empty())
      return door->handle(kind, request, response);
  }
  if (sellers && X402Sellers::wanted(request.body)) return sellers->handle(request, response);
  completions.handle(kind, request, response);
}

io::HttpHandler GatewayService::Parts::routes() {
  io::Router router;
  router.post("/v1/chat/completions", [this](io::HttpRequest& request, io::HttpResponse& response) {
    answer(ApiRequest::Kind::chat, request, response);
  });
  router.post("/v1/completions", [this](io::HttpRequest& request, io::HttpResponse& response) {
    answer(ApiRequest::Kind::text, request, response);
  });
  router.post("/assay/quote", [this](io::HttpRequest& request, io::HttpResponse& response) {
    completions.quote(request, response);
  });
  router.post("/assay/jobs", [this](io::HttpRequest& request, io::HttpResponse& response) {
    completions.job(request, response);
  });
  if (door) {
    router.get("/assay/payments",
               [this](io::HttpRequest&, io::HttpResponse& response) { door->list(response); });
    router.get("/assay/channels", [this](io::HttpRequest&, io::HttpResponse& response) {
      door->list_channels(response);
    });
    for (const std::string_view sold : {"/v1/chat/completions", "/v1/completions"})
      router.get(sold, [this](io::HttpRequest& request, io::HttpResponse& response) {
        door->refund(request, response);
      });
  }
  add_model_routes(router, buyer);
  add_batch_routes(router, buyer, gatekeeper, files, batches);
  add_assay_routes(router, buyer, market, gatekeeper, log_watch.get());
  buyer.metrics.on_scrape([this](io::Metrics& metrics) {
    show_books(*buyer.store, metrics);
    worker.show(metrics);
    rebates.show(metrics);
  });
  const auto ready = [this]() -> Status {
    CHECK_OK(buyer.settlement.totals());
    if (buyer.models.models().empty())
      return fail(Errc::unavailable, "no model: put a GGUF file into the --models folder");
    // What sellers elsewhere answer is paid from a purse of its own.
    return sellers ? Status{} : check_funds(buyer);
  };
  const auto guarded = [this, inner = router.handler()](io::HttpRequest& request,
                                                        io::HttpResponse& response) {
    if (foreign_origin(request))
      return send_api_error(response, {.status = 403,
                                       .code = "foreign_origin",
                                       .message = "this gateway does not answer web pages of "
                                                  "other origins"});
    const bool open = door && X402Door::is_open(request);
    if (const auto caller = gatekeeper.admit(request); !open && !caller)
      return send_api_error(response, caller.error());
    inner(request, response);
  };
  return io::in_frame("gateway", buyer.metrics, guarded, ready);
}

Result<std::unique_ptr<GatewayService>> GatewayService::start(const GatewayOptions& options,
                                                              const crypto::SecretKey& key,
                                                              market::Settlement& settlement,
                                                              market::Board& board,
                                                              const Clock& clock) {
  CHECK_OK(io::make_directories(options.data_directory, 0700));
  TRY(io::FileLock lock, io::FileLock::acquire(options.data_directory));
  TRY(const market::LedgerInfo ledger, settlement.info());
  if (options.audit_by == AuditBy::hire && ledger.beacon == Hash{})
    return fail(Errc::unsupported,
                "this market was made without a beacon: it draws no auditors; replay with --audit "
                "local instead");
  ThreadPool pool(std::max(1u, std::thread::hardware_concurrency()));
  TRY(ModelCatalog models, ModelCatalog::load(options.models_directory, pool));
  const std::string database = options.data_directory + "/gateway.db";
  TRY(auto store, Store::open(database, ledger.domain, crypto::address_of(key)));
  // Audit seeds and spending habits: the owner's business only.
  ::chmod(database.c_str(), 0600);
  CHECK_OK(check_door(options, *store));
  TRY(Vault vault, Vault::open(options.data_directory));
  TRY(FileStore files, FileStore::open(options.data_directory, *store));

  auto parts = std::make_unique<Parts>(std::move(lock), options, key, ledger, settlement, board,
                                       clock, std::move(models), std::move(store), std::move(vault),
                                       std::move(files));
  CHECK_OK(parts->market.recall());
  for (const auto& skipped : parts->buyer.models.skipped())
    io::log_warn("{} is left out: {}", skipped.path, skipped.reason);
  if (options.ledger_log) {
    TRY(parts->reputation, ReputationFeed::start(parts->buyer, parts->market));
  }
  parts->worker.start();
  parts->latency_reports.start();
  parts->auction_log.start();
  CHECK_OK(watch_log(parts->buyer, parts->log_watch));
  io::HttpServerOptions server;
  server.address = options.address;
  server.port = options.port;
  server.threads = options.streams;
  io::keep_in_frame(server, "gateway", parts->buyer.metrics, "--streams");
  // Connections that wait between two requests, too, and some that ask how it is.
  server.max_connections = 2 * std::size_t{options.streams} + kSpareConnections;
  server.tls_cert_file = options.tls_cert_file;
  server.tls_key_file = options.tls_key_file;
  server.max_body_bytes = kFileBytesMax + (1u << 20);  // and the form around it
  TRY(parts->server, io::HttpServer::start(server, parts->routes()));
  parts->batches.start();
  if (const Status funds = check_funds(parts->buyer); !funds && !parts->sellers)
    io::log_warn("nothing can be bought yet: {}", funds.error().message);
  return std::unique_ptr<GatewayService>(new GatewayService(std::move(parts)));
}

GatewayService::GatewayService(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
GatewayService::~GatewayService() { stop(); }

std::uint16_t GatewayService::port() const { return parts_->server->port(); }
std::string GatewayService::url() const { return parts_->server->url(); }

std::vector<std::string> GatewayService::models() const {
  std::vector<std::string> out;
  for (const auto& model : parts_->buyer.models.models()) out.push_back(model->name);
  return out;
}

std::vector<std::string> GatewayService::skipped() const {
  std::vector<std::string> out;
  for (const auto& skipped : parts_->buyer.models.skipped())
    out.push_back(fmt::format("{}: {}", skipped.path, skipped.reason));
  return out;
}

void GatewayService::stop() {
  parts_->jobs.stop();
  parts_->batches.stop();
  parts_->server->stop();
  parts_->reputation.reset();
  parts_->latency_reports.stop();
  parts_->auction_log.stop();
  parts_->worker.stop();
  if (parts_->log_watch) parts_->log_watch->stop();
}

}  // namespace assay::services
