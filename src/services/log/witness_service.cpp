#include "services/log/witness_service.hpp"

#include "io/http_router.hpp"
#include "io/schema.hpp"
#include "io/service_frame.hpp"

namespace assay::services {
namespace {

const io::Schema kWitnessSchema{.owner = "witness", .steps = {R"(
CREATE TABLE IF NOT EXISTS logs(
  origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL)
  STRICT, WITHOUT ROWID;
)"}};

}  // namespace

Result<std::unique_ptr<FileWitnessStore>> FileWitnessStore::open(const std::string& path) {
  TRY(auto db, io::open_versioned(path, io::OpenMode::create, kWitnessSchema));
  return std::unique_ptr<FileWitnessStore>(new FileWitnessStore(std::move(db)));
}

Result<std::optional<tlog::WitnessedLog>> FileWitnessStore::latest(const std::string& origin) {
  TRY(auto select, db_->prepare("SELECT size, root, note FROM logs WHERE origin = ?1"));
  select.bind_all(std::string_view(origin));
  TRY(const bool found, select.step());
  if (!found) return std::nullopt;
  tlog::WitnessedLog out;
  out.size = static_cast<std::uint64_t>(select.column_int64(0));
  TRY(out.root, select.column_hash(1));
  out.note = select.column_text(2);
  return out;
}

Status FileWitnessStore::replace(const std::string& origin, const tlog::WitnessedLog& log) {
  // One statement is one transaction, durable when it returns (WAL, synchronous=FULL).
  TRY(auto put, db_->prepare("INSERT OR REPLACE INTO logs(origin, size, root, note) "
                             "VALUES(?1, ?2, ?3, ?4)"));
  return put
      .bind_all(std::string_view(origin), static_cast<std::int64_t>(log.size), ByteView(log.root),
                std::string_view(log.note))
      .run();
}

Result<std::unique_ptr<WitnessService>> WitnessService::start(const WitnessOptions& options,
                                                              const tlog::SignerKey& key,
                                                              const Clock& clock) {
  CHECK_OK(io::make_directories(options.data_dir, 0700));
  TRY(auto lock, io::FileLock::acquire(options.data_dir));
  std::unique_ptr<WitnessService> service(new WitnessService(std::move(lock)));
  TRY(service->store_, FileWitnessStore::open(options.data_dir + "/witness.db"));
  service->witness_ = std::make_unique<tlog::Witness>(key, options.logs, *service->store_, clock);
  io::Router router;
  const auto answer = [raw = service.get()](io::HttpResponse& response, auto&& ask) {
    const std::lock_guard one_at_a_time(raw->mutex_);
    const tlog::WitnessAnswer a = ask(*raw->witness_);
    response.send(a.status, a.content_type, a.body);
  };
  router.post("/add-checkpoint", [answer](io::HttpRequest& request, io::HttpResponse& response) {
    answer(response, [&](tlog::Witness& w) { return w.add_checkpoint(request.body); });
  });
  router.get(
      "/{origin}/checkpoint", [answer](io::HttpRequest& request, io::HttpResponse& response) {
        answer(response, [&](tlog::Witness& w) { return w.latest(request.param("origin")); });
      });
  io::HttpServerOptions http;
  http.address = options.address;
  http.port = options.port;
  http.max_body_bytes = 2 * tlog::kNoteBytesMax;
  TRY(service->server_,
      io::HttpServer::start(http, io::in_frame("witness", service->metrics_, router.handler())));
  return service;
}

WitnessService::~WitnessService() { stop(); }

void WitnessService::stop() {
  if (server_) server_->stop();
}

}  // namespace assay::services
