#include "services/market/market_service.hpp"

#include <atomic>

#include "base/hex.hpp"
#include "io/http_router.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "io/service_frame.hpp"

namespace assay::services {

using io::HttpRequest;
using io::HttpResponse;
using market::Operation;

namespace {

constexpr std::size_t kBodyBytesMax = 32u << 20;

template <class T>
void answer(HttpResponse& response, const Result<T>& result) {
  if (result)
    response.send_json(200, market::to_json(*result));
  else
    response.send_error(result.error());
}

Result<json::object> body_of(const HttpRequest& request) {
  TRY(json::value v, json::parse(request.body, kBodyBytesMax));
  if (auto* o = v.if_object()) return std::move(*o);
  return fail(Errc::invalid, "the body must be a JSON object");
}

Result<Hash> id_of(const HttpRequest& request) {
  auto id = array_from_hex<32>(request.param("id"));
  if (!id) return fail(Errc::invalid, "an id is 32 bytes of hex: {}", id.error().message);
  return id;
}

Result<market::Applied> post_operation(settle::EmbeddedLedger& ledger, const HttpRequest& request) {
  TRY(const auto body, body_of(request));
  TRY(const auto operation, market::operation_from_json(body));
  TRY(const auto applied, ledger.submit(operation));
  io::log_fields(
      io::LogLevel::info, "operation",
      {{"id", to_hex(applied.id)}, {"sequence", applied.sequence}, {"again", applied.already}});
  return applied;
}

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
  http.max_body_bytes = kBodyBytesMax;
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
  router.get("/ledger",
             [&ledger](HttpRequest&, HttpResponse& response) { answer(response, ledger.info()); });
  router.get("/ledger/totals", [&ledger](HttpRequest&, HttpResponse& response) {
    answer(response, ledger.totals());
  });
  router.get("/ledger/accounts/{address}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto address = market::Address::parse(request.param("address"));
    answer(response, address ? ledger.account(*address)
                             : Result<market::AccountView>(std::unexpected(address.error())));
  });
  router.get("/ledger/leases/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response,
           id ? ledger.lease(*id) : Result<market::LeaseView>(std::unexpected(id.error())));
  });
  router.get("/ledger/disputes/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response,
           id ? ledger.dispute(*id) : Result<market::DisputeView>(std::unexpected(id.error())));
  });
  router.get("/ledger/disputes/{id}/game", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    const auto filed =
        id ? ledger.game(*id) : Result<market::FileDispute>(std::unexpected(id.error()));
    answer(response,
           filed ? Result<Operation>(*filed) : Result<Operation>(std::unexpected(filed.error())));
  });
  router.get("/ledger/audits/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response,
           id ? ledger.audit(*id) : Result<market::AuditView>(std::unexpected(id.error())));
  });
  router.get("/ledger/auditors/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response, id ? ledger.auditors(*id)
                        : Result<std::vector<market::AuditorView>>(std::unexpected(id.error())));
  });
  router.get("/ledger/log", [&ledger](HttpRequest& request, HttpResponse& response) {
    send_log(ledger, request, response);
  });
  router.get("/ledger/operations/{id}", [&ledger](HttpRequest& request, HttpResponse& response) {
    const auto id = id_of(request);
    answer(response, id ? ledger.operation(*id) : Result<Operation>(std::unexpected(id.error())));
  });
  router.post("/ledger/operations", [&ledger](HttpRequest& request, HttpResponse& response) {
    answer(response, post_operation(ledger, request));
  });
  router.get("/board/offers", [this](HttpRequest&, HttpResponse& response) {
    prune();
    const auto offers = ledger_->offers();
    if (!offers) {
      response.send_error(offers.error());
      return;
    }
    json::array list;
    for (const auto& offer : *offers) list.push_back(protocol::to_json(offer));
    response.send_json(200, json::object{{"offers", std::move(list)}});
  });
  router.post("/board/offers", [this](HttpRequest& request, HttpResponse& response) {
    prune();
    const auto publish = [&]() -> Status {
      TRY(const auto body, body_of(request));
      TRY(const auto offer, protocol::signed_from_json<market::Offer>(body));
      return ledger_->publish(offer);
    };
    if (auto status = publish(); !status)
      response.send_error(status.error());
    else
      response.send_json(200, json::object{{"published", true}});
  });
  if (log_) log_->add_routes(router);
  metrics_.on_scrape([this](io::Metrics& m) { show_totals(*ledger_, m); });
  return io::in_frame("market", metrics_, router.handler(), [this]() -> Status {
    TRY(const auto totals, ledger_->totals());
    if (totals.conserved()) return {};
    return fail(Errc::mismatch, "the accounts do not add up: stop and run `assay ledger verify`");
  });
}

}  // namespace assay::services
