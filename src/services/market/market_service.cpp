#include "services/market/market_service.hpp"

#include <atomic>

#include "io/http_router.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "io/service_frame.hpp"
#include "services/market/ledger_routes.hpp"

namespace assay::services {

using io::HttpRequest;
using io::HttpResponse;

namespace {

void show_totals(settle::EmbeddedLedger& ledger, io::Metrics& metrics) {
  constexpr io::Metric kMoney{"assay_ledger_money_micros", "Money on the ledger, by where it is."};
  constexpr io::Metric kOperations{"assay_ledger_operations", "Operations in the log."};
  const auto totals = ledger.totals();
  if (!totals) return;
  const auto money = [&](const char* where, market::Micros amount) {
    metrics.set(kMoney, {{"where", where}}, static_cast<double>(amount));
  };
  money("available", totals->available);
  money("stake", totals->stake);
  money("unbonding", totals->unbonding);
  money("escrow", totals->escrow);
  money("bonds", totals->bonds);
  money("audit_fees", totals->audit_fees);
  money("burned", totals->burned);
  metrics.set(kOperations, {}, static_cast<double>(totals->operations));
}

void send_log(settle::EmbeddedLedger& ledger, const HttpRequest& request, HttpResponse& response) {
  const auto text = request.query_value("from");
  const auto from = text.empty() ? Result<std::uint64_t>(1) : json::parse_u64(text);
  if (!from) {
    response.send_error(400, "'from' must be a row number", "invalid");
    return;
  }
  // Each reader holds a handler and a read transaction for as long as it reads.
  constexpr int kReadersMax = 8;
  static std::atomic<int> readers{0};
  struct Turn {
    Turn() : number(++readers) {}
    ~Turn() { --readers; }
    int number;
  } const turn;
  if (turn.number > kReadersMax) {
    response.send_error(503, "too many readers of the log: try again in a moment", "busy");
    return;
  }
  response.begin_stream(200, "application/x-ndjson");
  const auto status = ledger.read_log(*from, [&](const settle::LogRow& row) -> Status {
    if (response.write(settle::to_line(row))) return {};
    return fail(Errc::cancelled, "the reader left");
  });
  // A cut connection is how a stream says that it is not whole.
  if (status)
    response.end();
  else
    response.abort();
}

}  // namespace

Result<std::unique_ptr<MarketService>> MarketService::start(const MarketOptions& options,
                                                            const crypto::SecretKey& host_key,
                                                            const Clock& clock) {
  CHECK_OK(io::make_directories(options.data_dir, 0700));
  TRY(auto lock, io::FileLock::acquire(options.data_dir));
  std::unique_ptr<MarketService> service(new MarketService(std::move(lock)));
  service->clock_ = &clock;

  market::LedgerInfo fresh;
  fresh.domain.ledger = io::random_hash();
  fresh.host = crypto::address_of(host_key);
  fresh.parameters = options.parameters;
  fresh.audit_burned_bps = options.audit_burned_bps;
  TRY(auto chain, settle::BeaconChain::open(options.data_dir + "/beacon.seed"));
  fresh.beacon = chain.value(0);
  TRY(service->ledger_,
      settle::EmbeddedLedger::open(options.data_dir + "/ledger.db", fresh, clock));
  service->beacon_ = std::make_unique<BeaconPublisher>(*service->ledger_, std::move(chain),
                                                       host_key, options.beacon_ms);
  if (!options.log_url.empty())
    service->log_ =
        std::make_unique<LogDesk>(*service->ledger_, host_key, options.log_url, options.log_ms);
  io::HttpServerOptions http;
  http.address = options.address;
  http.port = options.port;
  http.max_body_bytes = kLedgerBodyBytesMax;
  TRY(service->server_, io::HttpServer::start(http, service->routes()));
  return service;
}

MarketService::~MarketService() { stop(); }

void MarketService::stop() {
  beacon_.reset();
  if (server_) server_->stop();
  server_.reset();
  log_.reset();
}

std::string MarketService::url() const { return server_->url(); }

// At most once a minute, by whoever reads or publishes offers.
void MarketService::prune() {
  constexpr std::int64_t kEveryMs = 60'000;
  const auto now = clock_->now_ms();
  auto last = pruned_at_.load();
  if (now - last < kEveryMs || !pruned_at_.compare_exchange_strong(last, now)) return;
  if (auto status = ledger_->prune_offers(); !status)
    io::log_warn("expired offers stay on disk: {}", status.error().message);
}

io::HttpHandler MarketService::routes() {
  auto& ledger = *ledger_;
  io::Router router;
  add_ledger_routes(router, ledger);
  router.get("/ledger/log", [&ledger](HttpRequest& request, HttpResponse& response) {
    send_log(ledger, request, response);
  });
  add_board_routes(router, ledger, [this] { prune(); });
  if (log_) log_->add_routes(router);
  metrics_.on_scrape([this](io::Metrics& m) { show_totals(*ledger_, m); });
  return io::in_frame("market", metrics_, router.handler(), [this]() -> Status {
    TRY(const auto totals, ledger_->totals());
    if (totals.conserved()) return {};
    return fail(Errc::mismatch, "the accounts do not add up: stop and run `assay ledger verify`");
  });
}

}  // namespace assay::services
