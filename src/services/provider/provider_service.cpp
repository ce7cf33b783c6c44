#include "services/provider/provider_service.hpp"

#include "io/http_router.hpp"
#include "io/log.hpp"
#include "io/system_clock.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "services/provider/provider_run.hpp"
#include "verify/replay.hpp"

namespace assay::services {
namespace {

constexpr std::string_view kStream = "application/x-ndjson";
// Requests that do not compute: pick-ups, health, those about to be refused.
constexpr unsigned kOtherThreads = 16;

Result<json::value> body_of(const io::HttpRequest& request) {
  auto body = json::parse(request.body);
  if (!body) return fail_in("the request body", body.error());
  if (!body->is_object()) return fail(Errc::invalid, "the request body must be a JSON object");
  return body;
}

void send_outcome(const StoredOutcome& outcome, io::HttpResponse& response) {
  response.begin_stream(200, kStream);
  if (!outcome.answer.empty())
    response.write(to_line(protocol::InferenceEvent(protocol::TokenEvent{outcome.answer})));
  response.write(to_line(protocol::InferenceEvent(outcome.receipt)));
  response.end();
}

// What a short prompt takes here, for the offer's latency claims.
std::pair<std::uint32_t, std::uint32_t> measure(const ServedModel& served, ThreadPool& pool,
                                                engine::Isa isa) {
  constexpr std::uint32_t kPrompt = 16, kTokens = 4;
  const std::uint32_t context = served.model->hyper().context;
  if (context < kPrompt + kTokens) return {0, 0};
  engine::Session session(served.model, pool, isa, kPrompt + kTokens);
  const std::vector<engine::Token> prompt(kPrompt, 1);
  const std::int64_t start = io::steady_ms();
  if (session.run(prompt, kPrompt - 1, {}).fault) return {0, 0};
  const std::int64_t first = io::steady_ms();
  for (std::uint32_t i = 0; i < kTokens; ++i) {
    const engine::Token token = 1;
    if (session.run(std::span(&token, 1), session.position(), {}).fault) return {0, 0};
  }
  const std::int64_t end = io::steady_ms();
  return {static_cast<std::uint32_t>(first - start) + 1,
          static_cast<std::uint32_t>((end - first) / kTokens) + 1};
}

}  // namespace

ProviderService::ProviderService(io::FileLock lock, ProviderCore core)
    : lock_(std::move(lock)),
      core_(std::move(core)),
      slots_(core_.options.slots, core_.options.queue, core_.options.threads),
      admission_(core_) {}

Result<std::unique_ptr<ProviderService>> ProviderService::start(
    const ProviderOptions& options, std::vector<ServedModel> models, const crypto::SecretKey& key,
    market::Settlement& settlement, market::Board& board, const Clock& clock) {
  if (models.empty()) return fail(Errc::invalid, "a provider serves at least one model");
  CHECK_OK(io::make_directories(options.data_dir, 0700));
  TRY(auto lock, io::FileLock::acquire(options.data_dir));
  TRY(const auto info, settlement.info());
  const auto address = crypto::address_of(key);
  TRY(auto store, ProviderStore::open(options.data_dir + "/provider.db", info.domain, address));
  ProviderCore core{options,
                    std::move(models),
                    key,
                    address,
                    options.payout.is_zero() ? address : options.payout,
                    info,
                    settlement,
                    board,
                    clock,
                    std::move(store)};
  std::unique_ptr<ProviderService> service(new ProviderService(std::move(lock), std::move(core)));

  io::HttpServerOptions http;
  http.address = options.address;
  http.port = options.port;
  http.threads = options.slots + options.queue + kOtherThreads;
  TRY(service->server_, io::HttpServer::start(http, service->routes()));
  service->offers_ = std::make_unique<OfferKeeper>(service->core_, options.public_endpoint.empty()
                                                                       ? service->server_->url()
                                                                       : options.public_endpoint);
  {
    TRY(auto place, service->slots_.take([] { return false; }));
    const auto [first, each] = measure(service->core_.models.front(), place.pool(), options.isa);
    service->offers_->set_speed(first, each);
  }
  CHECK_OK(service->offers_->renew());
  service->collector_ =
      std::make_unique<Collector>(service->core_, service->admission_, *service->offers_);
  service->collector_->start();
  return service;
}

ProviderService::~ProviderService() { stop(); }

void ProviderService::stop() {
  if (stopped_) return;
  stopped_ = true;
  if (collector_) {
    collector_->stop();
    if (const auto gone = offers_->withdraw(); !gone)
      io::log_warn("the offer is not withdrawn: {}", gone.error().message);
  }
  if (server_) server_->stop();
}

std::string ProviderService::url() const { return server_->url(); }
std::uint16_t ProviderService::port() const { return server_->port(); }

io::HttpHandler ProviderService::routes() {
  io::Router router;
  router.post("/v1/infer", [this](auto& request, auto& response) { infer(request, response); });
  router.post("/v1/receipt", [this](auto& request, auto& response) { receipt(request, response); });
  router.post("/v1/trace", [this](auto& request, auto& response) { trace(request, response); });
  router.get("/health", [](auto&, auto& response) {
    response.send_json(200, json::object{{"status", "ok"}});
  });
  return router.handler();
}

void ProviderService::infer(io::HttpRequest& http, io::HttpResponse& response) {
  const auto gone = [&] { return response.client_gone(); };
  const auto read = [&]() -> Result<protocol::InferenceCall> {
    TRY(const json::value body, body_of(http));
    return protocol::inference_call_from_json(body.get_object());
  };
  const auto call = read();
  if (!call) {
    response.send_error(call.error());
    return;
  }
  const Hash id = core_.id(call->request.message);

  // The outcome of the same request, if there is one: true when it was answered.
  const auto answered = [&] {
    const auto stored = core_.store->request(id);
    if (!stored) return response.send_error(stored.error()), true;
    if (!*stored || !(*stored)->outcome) return false;
    if ((*stored)->salt_secret != call->salt_secret)
      return response.send_error({Errc::mismatch, "the salt secret is not this request's"}), true;
    send_outcome(*(*stored)->outcome, response);
    return true;
  };
  if (!admission_.wait_for_end(id, gone) || answered()) return;

  if (const auto ok = protocol::check_call(core_.ledger.domain, *call, core_.now()); !ok) {
    response.send_error(ok.error());
    return;
  }
  // Before it takes a place: strangers without a lease must not fill the queue.
  if (const auto ok = admission_.check(*call); !ok) {
    response.send_error(ok.error());
    return;
  }
  auto place = slots_.take(gone);
  if (!place) {
    response.send_error(429, place.error().message, "busy");
    return;
  }
  if (answered()) return;  // sent twice, and both waited for a slot
  const auto ticket = admission_.admit(*call, id);
  if (!ticket) {
    response.send_error(ticket.error());
    return;
  }
  compute(*call, id, response, place->pool());
}

void ProviderService::compute(const protocol::InferenceCall& call, const Hash& id,
                              io::HttpResponse& response, ThreadPool& pool) {
  const auto tell = [&](protocol::InferenceEvent event) { response.write(to_line(event)); };
  response.begin_stream(200, kStream);
  RunEvents events;
  events.working = [&] { response.write("\n"); };
  events.token = [&](std::uint32_t token) {
    tell(protocol::TokenEvent{{token}});
    return !response.client_gone();
  };
  events.progress = [&](const protocol::Progress& progress) { tell(core_.sign(progress)); };
  const ServedModel* served = core_.serving(call.request.message.execution);
  const auto result = run_request(call, id, served->model, pool,
                                  {core_.options.isa, core_.options.progress_tokens}, events);
  if (!result) {
    tell(protocol::ErrorEvent{"continuation", result.error().message});
    response.end();
    return;
  }
  const auto outcome = core_.store->finish(id, call.request.message.lease, result->answer,
                                           core_.now(), [&](std::uint64_t key_sequence) {
                                             protocol::Receipt receipt = result->receipt;
                                             receipt.key_sequence = key_sequence;
                                             return core_.sign(receipt);
                                           });
  if (!outcome) {
    io::log_error("a receipt cannot be stored, so it is not given: {}", outcome.error().message);
    tell(protocol::ErrorEvent{"internal", "the provider cannot store its receipt: ask again"});
  } else {
    tell(outcome->receipt);
  }
  response.end();
}

Result<StoredRequest> ProviderService::recalled(const protocol::Recall& recall) {
  if (admission_.running(recall.request))
    return fail(Errc::conflict, "this request is being computed: ask again");
  TRY(auto stored, core_.store->request(recall.request));
  if (!stored || !stored->outcome)
    return fail(Errc::not_found, "there is no receipt for this request");
  if (stored->salt_secret != recall.salt_secret)
    return fail(Errc::refused, "the salt secret is not this request's");
  return std::move(*stored);
}

void ProviderService::receipt(io::HttpRequest& http, io::HttpResponse& response) {
  const auto reply = [&]() -> Result<protocol::ReceiptReply> {
    TRY(const json::value body, body_of(http));
    TRY(const protocol::Recall recall, protocol::recall_from_json(body.get_object()));
    TRY(auto stored, recalled(recall));
    return protocol::ReceiptReply{std::move(stored.outcome->answer), stored.outcome->receipt};
  }();
  if (reply)
    response.send_json(200, protocol::to_json(*reply));
  else
    response.send_error(reply.error());
}

void ProviderService::trace(io::HttpRequest& http, io::HttpResponse& response) {
  const auto reply = [&]() -> Result<protocol::TraceReply> {
    TRY(const json::value body, body_of(http));
    TRY(const protocol::Recall recall, protocol::recall_from_json(body.get_object()));
    TRY(const StoredRequest stored, recalled(recall));
    return recompute(stored, recall, response);
  }();
  if (reply)
    response.send_json(200, protocol::to_json(*reply));
  else
    response.send_error(reply.error());
}

Result<protocol::TraceReply> ProviderService::recompute(const StoredRequest& stored,
                                                        const protocol::Recall& recall,
                                                        io::HttpResponse& response) {
  const auto& request = stored.request.message;
  const ServedModel* served = core_.serving(request.execution);
  if (served == nullptr) return fail(Errc::not_found, "that model is not served here any more");
  const auto gone = [&] { return response.client_gone(); };
  TRY(auto place, slots_.take(gone));
  const auto fault = static_cast<std::uint32_t>(protocol::Finish::fault);
  const verify::Execution execution{verify::sampling_of(request),
                                    stored.salt_secret,
                                    stored.prompt,
                                    stored.outcome->answer,
                                    request.continuation,
                                    stored.outcome->receipt.message.finish == fault};
  TRY(const verify::Replay replay,
      verify::replay(execution, served->model, place.pool(), core_.options.isa,
                     [&](double) { return !gone(); }));
  protocol::TraceReply reply;
  reply.position_roots = replay.trace.position_roots();
  for (const std::uint32_t position : recall.positions) {
    auto leaves = replay.trace.leaves(position);
    if (position >= reply.position_roots.size())
      return fail(Errc::invalid, "position {} is not in the trace of {}", position,
                  reply.position_roots.size());
    reply.positions.push_back({position, std::move(leaves)});
  }
  return reply;
}

}  // namespace assay::services
