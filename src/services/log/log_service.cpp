#include "services/log/log_service.hpp"

#include "base/hex.hpp"
#include "io/http_router.hpp"
#include "io/service_frame.hpp"
#include "settle/log_client.hpp"

namespace assay::services {

using io::HttpRequest;
using io::HttpResponse;

namespace {

void send_tile(LogStore& store, const HttpRequest& request, HttpResponse& response) {
  const auto id = tlog::parse_tile_path("tile/" + std::string(request.param("path")));
  if (!id) return void(response.send_error(404, id.error().message, "not_found"));
  // Beyond the committed tree there may be files of a batch that never was.
  if (id->width > tlog::tile_width(store.committed().size, id->level, id->index))
    return void(response.send_error(404, "the log is not that long", "not_found"));
  const auto bytes = store.disk().read(*id);
  if (!bytes) return void(response.send_error(bytes.error()));
  response.set_header("Cache-Control", "public, max-age=31536000, immutable");
  response.send(200, "application/octet-stream", text(*bytes));
}

Result<std::vector<std::uint64_t>> append(LogStore& store, const HttpRequest& request) {
  TRY(auto entries, settle::entries_from_body(request.body));
  for (const auto& entry : entries) CHECK_OK(entry.check_signature());
  return store.append(std::move(entries));
}

Result<std::uint64_t> next_number(LogStore& store, const HttpRequest& request) {
  TRY(const Hash ledger, array_from_hex<32>(request.param("ledger")));
  TRY(const auto address, crypto::Address::parse(request.param("address")));
  return store.disk().next_number({ledger, address});
}

}  // namespace

Result<std::unique_ptr<LogService>> LogService::start(const LogOptions& options,
                                                      const tlog::SignerKey& key) {
  CHECK_OK(io::make_directories(options.data_dir));
  TRY(auto lock, io::FileLock::acquire(options.data_dir));
  std::unique_ptr<LogService> service(new LogService(std::move(lock)));
  TRY(service->disk_, FileDisk::open(options.data_dir));
  TRY(service->store_,
      LogStore::open(*service->disk_, tlog::LogPolicy::of(key.verifier()), options.store));
  service->publisher_ =
      std::make_unique<CheckpointPublisher>(*service->store_, key, options.publisher);
  io::HttpServerOptions http;
  http.address = options.address;
  http.port = options.port;
  TRY(service->reading_, io::HttpServer::start(http, service->reading_routes()));
  http.address = options.append_address;
  http.port = options.append_port;
  TRY(service->appending_, io::HttpServer::start(http, service->appending_routes()));
  return service;
}

LogService::~LogService() { stop(); }

void LogService::stop() {
  if (appending_) appending_->stop();
  publisher_.reset();
  if (reading_) reading_->stop();
  store_.reset();
}

io::HttpHandler LogService::reading_routes() {
  io::Router router;
  router.get("/checkpoint", [this](HttpRequest&, HttpResponse& response) {
    const auto note = disk_->published();
    if (!note) return void(response.send_error(note.error()));
    if (!*note) return void(response.send_error(404, "no checkpoint yet", "not_found"));
    response.set_header("Cache-Control", "max-age=1");
    response.send(200, "text/plain; charset=utf-8", **note);
  });
  router.get("/tile/{path*}", [this](HttpRequest& request, HttpResponse& response) {
    send_tile(*store_, request, response);
  });
  return io::in_frame("log", metrics_, router.handler());
}

io::HttpHandler LogService::appending_routes() {
  io::Router router;
  router.post("/append", [this](HttpRequest& request, HttpResponse& response) {
    const auto indexes = append(*store_, request);
    if (!indexes) return void(response.send_error(indexes.error()));
    json::array list;
    for (const auto index : *indexes) list.emplace_back(std::to_string(index));
    response.send_json(200, json::object{{"indexes", std::move(list)}});
  });
  router.get("/issuers/{ledger}/{address}", [this](HttpRequest& request, HttpResponse& response) {
    const auto next = next_number(*store_, request);
    if (!next) return void(response.send_error(next.error()));
    response.send_json(200, json::object{{"next", std::to_string(*next)}});
  });
  metrics_.on_scrape([this](io::Metrics& m) {
    m.set({"assay_log_entries", "Entries of the committed tree."}, {},
          static_cast<double>(store_->committed().size));
  });
  return io::in_frame("log-append", metrics_, router.handler());
}

}  // namespace assay::services
