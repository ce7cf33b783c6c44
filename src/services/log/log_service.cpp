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

Result<std::uint64_t> append_auction(LogStore& store, const HttpRequest& request) {
  TRY(auto sent, settle::auction_entry_from_text(request.body));
  TRY(const auto checked, settle::check(sent));
  return store.append_auction(sent.entry, {.call = checked.call,
                                           .awarded = checked.awarded,
                                           .domain = json::dump(sent.domain.to_json()),
                                           .record = std::move(sent.record)});
}

void send_auction(LogStore& store, const HttpRequest& request, HttpResponse& response) {
  const auto call = array_from_hex<32>(request.param("call"));
  if (!call) return void(response.send_error(call.error()));
  const auto found = store.disk().auction(*call);
  if (!found) return void(response.send_error(found.error()));
  if (!*found) return void(response.send_error(404, "no such auction in this log", "not_found"));
  const auto domain = json::parse((*found)->domain);
  if (!domain) return void(response.send_error(domain.error()));
  response.send_json(200, json::object{{"index", std::to_string((*found)->index)},
                                       {"domain", *domain},
                                       {"record", (*found)->record}});
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
  router.get("/auctions/{call}", [this](HttpRequest& request, HttpResponse& response) {
    send_auction(*store_, request, response);
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
  router.post("/auctions", [this](HttpRequest& request, HttpResponse& response) {
    const auto index = append_auction(*store_, request);
    if (!index) return void(response.send_error(index.error()));
    response.send_json(200, json::object{{"index", std::to_string(*index)}});
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
