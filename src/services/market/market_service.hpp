// The host of an embedded ledger and a board of offers, over HTTP: see settle/remote.hpp for the
// endpoints. Data directory: ledger.db (and its WAL), beacon.seed, lock.
#pragma once
#include <atomic>

#include "io/files.hpp"
#include "io/http_server.hpp"
#include "io/metrics.hpp"
#include "services/market/beacon_publisher.hpp"
#include "services/market/log_desk.hpp"
#include "settle/embedded/embedded_ledger.hpp"

namespace assay::services {

struct MarketOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;         // 0: any free one
  std::string data_dir;           // made when missing; one process at a time
  market::Parameters parameters;  // of a new ledger; an old one keeps its own
  std::uint32_t audit_burned_bps = market::LedgerInfo{}.audit_burned_bps;  // likewise
  // Between beacon rounds, of which one comes when audits wait.
  std::uint64_t beacon_ms = 10'000;
  // Append side of the transparency log; empty: none. Its rows follow within log_ms.
  std::string log_url;
  std::uint64_t log_ms = 10'000;
};

class MarketService {
 public:
  // Listens when it returns. `clock` outlives it.
  static Result<std::unique_ptr<MarketService>> start(const MarketOptions& options,
                                                      const crypto::SecretKey& host_key,
                                                      const Clock& clock);
  ~MarketService();
  MarketService(const MarketService&) = delete;
  MarketService& operator=(const MarketService&) = delete;

  std::string url() const;
  settle::EmbeddedLedger& ledger() { return *ledger_; }
  // Ends the beacon, the log and requests first, then the writer.
  void stop();

 private:
  explicit MarketService(io::FileLock lock) : lock_(std::move(lock)) {}
  io::HttpHandler routes();
  void prune();

  io::FileLock lock_;
  io::Metrics metrics_;
  std::unique_ptr<settle::EmbeddedLedger> ledger_;
  std::unique_ptr<BeaconPublisher> beacon_;
  std::unique_ptr<LogDesk> log_;  // null without a log
  std::unique_ptr<io::HttpServer> server_;
  std::atomic<std::int64_t> pruned_at_{0};
  const Clock* clock_ = nullptr;
};

}  // namespace assay::services
