#include "services/market/chain_market.hpp"

#include "io/service_frame.hpp"
#include "services/market/ledger_routes.hpp"

namespace assay::services {

Result<std::unique_ptr<ChainMarketService>> ChainMarketService::start(
    const ChainMarketOptions& options, market::Settlement& ledger, const Clock& clock) {
  CHECK_OK(io::make_directories(options.data_dir, 0700));
  TRY(auto lock, io::FileLock::acquire(options.data_dir));
  std::unique_ptr<ChainMarketService> service(new ChainMarketService(std::move(lock)));
  TRY(service->board_, settle::OfferBoard::open(options.data_dir + "/offers.db", ledger, clock));
  io::Router router;
  add_ledger_routes(router, ledger);
  add_board_routes(router, *service->board_);
  io::HttpServerOptions http;
  http.address = options.address;
  http.port = options.port;
  http.max_body_bytes = kLedgerBodyBytesMax;
  TRY(service->server_,
      io::HttpServer::start(
          http, io::in_frame("market", service->metrics_, router.handler(), [&ledger]() -> Status {
            CHECK_OK(ledger.totals());
            return {};
          })));
  return service;
}

void ChainMarketService::stop() {
  if (server_) server_->stop();
  server_.reset();
}

}  // namespace assay::services
