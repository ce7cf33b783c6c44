// A board of offers beside a ledger on a chain, and the ledger's own HTTP in front of the chain for
// whoever has no node: see settle/remote.hpp for the endpoints, without the log of operations,
// which is the chain itself. Data directory: offers.db, lock.
//
// Trust: nobody's money depends on it. What it passes on is signed by those it concerns; what it
// says of the chain can be read from the chain, and whoever has money at stake reads it there.
#pragma once
#include "io/files.hpp"
#include "io/http_server.hpp"
#include "io/metrics.hpp"
#include "settle/offer_board.hpp"

namespace assay::services {

struct ChainMarketOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: any free one
  std::string data_dir;    // made when missing; one process at a time
};

class ChainMarketService {
 public:
  // Listens when it returns. `ledger` and `clock` outlive it.
  static Result<std::unique_ptr<ChainMarketService>> start(const ChainMarketOptions& options,
                                                           market::Settlement& ledger,
                                                           const Clock& clock);
  ~ChainMarketService() { stop(); }
  std::string url() const { return server_->url(); }
  void stop();

 private:
  explicit ChainMarketService(io::FileLock lock) : lock_(std::move(lock)) {}
  io::FileLock lock_;
  io::Metrics metrics_;
  std::unique_ptr<settle::OfferBoard> board_;
  std::unique_ptr<io::HttpServer> server_;
};

}  // namespace assay::services
