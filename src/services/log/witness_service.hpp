// A witness over HTTP (c2sp.org/tlog-witness): POST /add-checkpoint, GET /<origin hash>/checkpoint.
// What was cosigned last is on disk before a cosignature leaves: kill -9 makes it forget nothing.
// Data directory: witness.db, lock.
#pragma once
#include "io/files.hpp"
#include "io/http_server.hpp"
#include "io/metrics.hpp"
#include "io/sqlite.hpp"
#include "tlog/witness.hpp"

namespace assay::services {

class FileWitnessStore : public tlog::WitnessStore {
 public:
  static Result<std::unique_ptr<FileWitnessStore>> open(const std::string& path);
  Result<std::optional<tlog::WitnessedLog>> latest(const std::string& origin) override;
  Status replace(const std::string& origin, const tlog::WitnessedLog& log) override;

 private:
  explicit FileWitnessStore(std::unique_ptr<io::Database> db) : db_(std::move(db)) {}
  std::unique_ptr<io::Database> db_;
};

struct WitnessOptions {
  std::string data_dir;  // made when missing; one process at a time
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  std::vector<tlog::LogPolicy> logs{};
};

class WitnessService {
 public:
  // Listens when it returns. `clock` outlives it.
  static Result<std::unique_ptr<WitnessService>> start(const WitnessOptions& options,
                                                       const tlog::SignerKey& key,
                                                       const Clock& clock);
  ~WitnessService();
  WitnessService(const WitnessService&) = delete;
  WitnessService& operator=(const WitnessService&) = delete;

  std::string url() const { return server_->url(); }
  void stop();

 private:
  explicit WitnessService(io::FileLock lock) : lock_(std::move(lock)) {}

  io::FileLock lock_;
  io::Metrics metrics_;
  std::unique_ptr<FileWitnessStore> store_;
  std::mutex mutex_;  // a comparison and what it stores are one step
  std::unique_ptr<tlog::Witness> witness_;
  std::unique_ptr<io::HttpServer> server_;
};

}  // namespace assay::services
