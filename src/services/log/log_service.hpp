// A transparency log over HTTP: a reading side for everybody (files, c2sp.org/tlog-tiles) and an
// appending side for the market beside it (settle/log_client.hpp), on another port. Data directory:
// see log_disk.hpp; lock.
#pragma once
#include "io/http_server.hpp"
#include "io/metrics.hpp"
#include "services/log/checkpoint_publisher.hpp"

namespace assay::services {

struct LogOptions {
  std::string data_dir;  // made when missing; one process at a time
  std::string address = "127.0.0.1", append_address = "127.0.0.1";
  std::uint16_t port = 0, append_port = 0;  // 0: any free one
  LogStoreOptions store{};
  PublisherOptions publisher{};
};

class LogService {
 public:
  // Listens when it returns. The key's name is the log's origin.
  static Result<std::unique_ptr<LogService>> start(const LogOptions& options,
                                                   const tlog::SignerKey& key);
  ~LogService();
  LogService(const LogService&) = delete;
  LogService& operator=(const LogService&) = delete;

  std::string url() const { return reading_->url(); }
  std::string append_url() const { return appending_->url(); }
  LogStore& store() { return *store_; }
  void stop();  // no more appends, the last checkpoint, no more readers

 private:
  explicit LogService(io::FileLock lock) : lock_(std::move(lock)) {}
  io::HttpHandler reading_routes();
  io::HttpHandler appending_routes();

  io::FileLock lock_;
  io::Metrics metrics_;
  std::unique_ptr<FileDisk> disk_;
  std::unique_ptr<LogStore> store_;
  std::unique_ptr<CheckpointPublisher> publisher_;
  std::unique_ptr<io::HttpServer> reading_, appending_;
};

}  // namespace assay::services
