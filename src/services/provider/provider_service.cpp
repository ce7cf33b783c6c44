#include "services/provider/provider_service.hpp"

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "engine/kernels/self_check.hpp"
#include "io/log.hpp"
#include "io/service_frame.hpp"
#include "io/system_clock.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "verify/replay.hpp"

namespace assay::services {
namespace {

constexpr std::string_view kStream = "application/x-ndjson";
// Requests that do not compute: pick-ups, health, those about to be refused.
constexpr unsigned kOtherThreads = 16;
constexpr std::string_view kRetryAfter = "5";  // seconds
// Of a stored answer, in one event: with all their log-probabilities below what a reader of lines
// takes.
constexpr std::size_t kLineTokens = 1024;

Result<json::value> body_of(const io::HttpRequest& request) {
  auto body = json::parse(request.body);
  if (!body) return fail_in("the request body", body.error());
  if (!body->is_object()) return fail(Errc::invalid, "the request body must be a JSON object");
  return body;
}

void busy(io::HttpResponse& response, const Error& error) {
  response.set_header("Retry-After", kRetryAfter);
  response.send_error(429, error.message, "busy");
}

void send_outcome(const StoredOutcome& outcome, io::HttpResponse& response) {
  response.begin_stream(200, kStream);
  const std::span<const std::uint32_t> answer = outcome.answer, logprobs = outcome.logprobs;
  const std::size_t width = answer.empty() ? 0 : logprobs.size() / answer.size();
  for (std::size_t begin = 0; begin < answer.size(); begin += kLineTokens) {
    const std::size_t count = std::min(kLineTokens, answer.size() - begin);
    const auto tokens = answer.subspan(begin, count);
    const auto numbers = logprobs.subspan(begin * width, count * width);
    response.write(to_line(protocol::InferenceEvent(
        protocol::TokenEvent{{tokens.begin(), tokens.end()}, {numbers.begin(), numbers.end()}})));
  }
  response.write(to_line(protocol::InferenceEvent(outcome.receipt)));
  response.end();
}

// What a short prompt takes here, for the offer's latency claims.
std::pair<std::uint32_t, std::uint32_t> measure(engine::Batcher& engine) {
  constexpr std::uint32_t kPrompt = 16, kTokens = 4;
  constexpr std::chrono::seconds kMeasurePatience{60};
  if (engine.model().hyper().context < kPrompt + kTokens) return {0, 0};
  const std::int64_t start = io::steady_ms();
  auto stream =
      engine.submit({.prompt = std::vector<engine::Token>(kPrompt, 1), .max_tokens = kTokens + 1});
  if (!stream || stream->take(kMeasurePatience).empty()) return {0, 0};
  const std::int64_t first = io::steady_ms();
  if (stream->wait().answer.size() != kTokens + 1) return {0, 0};
  const std::int64_t end = io::steady_ms();
  return {static_cast<std::uint32_t>(first - start) + 1,
          static_cast<std::uint32_t>((end - first) / kTokens) + 1};
}

}  // namespace

ProviderService::ProviderService(io::FileLock lock, ProviderCore core)
    : lock_(std::move(lock)),
      core_(std::move(core)),
      admission_(core_),
      openings_(core_.options.trace_queue),
      rebates_(core_),
      lookout_(core_) {}

Result<std::unique_ptr<ProviderService>> ProviderService::start(
    const ProviderOptions& options, std::vector<ServedModel> models, const crypto::SecretKey& key,
    market::Settlement& settlement, market::Board& board, const Clock& clock) {
  if (models.empty()) return fail(Errc::invalid, "a provider serves at least one model");
  if (std::string failures = engine::self_test_failures(); !failures.empty()) {
    failures.pop_back();  // the last line's end
    io::log_warn("slower than it could be: {}", failures);
  }
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

  for (ServedModel& model : service->core_.models) {
    TRY(auto engine,
        engine::Batcher::start(model.model, {.isa = options.isa,
                                             .threads = options.threads,
                                             .kv_bytes = options.kv_bytes,
                                             .running_max = options.slots,
                                             .queue_max = options.queue,
                                             .prefix_cache = options.prefix_cache,
                                             .memo_bytes = verify::TraceBuilder::kMemoBytes}));
    // No more than the memory for one request's cache can hold.
    const std::uint64_t positions =
        std::uint64_t{engine->stats().pages_max} * engine::kPagePositions;
    model.advertised.context =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(model.advertised.context, positions));
    service->engines_.push_back(std::move(engine));
  }

  // Before anybody is served: no receipt takes a number that the log has from before.
  if (!options.log_url.empty())
    service->publisher_ = std::make_unique<ReceiptPublisher>(service->core_, options.log_url);

  io::HttpServerOptions http;
  http.address = options.address;
  http.port = options.port;
  // Each request that is computed, and one that waits for it to end; openings.
  http.threads =
      2 * static_cast<unsigned>(service->engines_.size()) * (options.slots + options.queue) + 1 +
      options.trace_queue + kOtherThreads;
  service->disputes_ = std::make_unique<DisputeDesk>(service->core_);
  TRY(const Hash tls_key,
      io::set_tls(options.tls, crypto::hmac_sha256(key.bytes, view("assay provider tls")), http));
  TRY(service->server_, io::HttpServer::start(http, service->routes()));
  TRY(std::string endpoint, io::endpoint_for_others(options.public_endpoint, *service->server_));
  service->offers_ = std::make_unique<OfferKeeper>(service->core_, std::move(endpoint), tls_key);
  service->bids_ = std::make_unique<BidDesk>(service->core_, *service->offers_);
  service->bids_open_ = true;
  if (options.till != nullptr) {
    ProviderService* self = service.get();
    TRY(service->x402_, X402Desk::open(*options.till, service->core_, *service->offers_,
                                       [self](const protocol::InferenceCall& call, const Hash& id) {
                                         return self->compute_paid(call, id);
                                       }));
    service->x402_open_ = true;
  }
  const auto [first, each] = measure(*service->engines_.front());
  service->offers_->set_speed(first, each);
  CHECK_OK(service->offers_->introduce());
  service->collector_ = std::make_unique<Collector>(service->core_, service->admission_,
                                                    *service->offers_);
  service->collector_->start();
  service->disputes_->start();
  service->lookout_.start();
  return service;
}

ProviderService::~ProviderService() { stop(); }

void ProviderService::stop() {
  // Before places become free: nobody begins now.
  for (const auto& engine : engines_) engine->close();
  if (stopping_.exchange(true)) return;
  lookout_.stop();
  if (disputes_) disputes_->stop();
  if (collector_) {
    collector_->stop();
    if (const auto gone = offers_->withdraw(); !gone)
      io::log_warn("the offer is not withdrawn: {}", gone.error().message);
  }
  publisher_.reset();
  if (server_) server_->stop();
}

std::string ProviderService::url() const { return server_->url(); }
std::uint16_t ProviderService::port() const { return server_->port(); }

io::HttpHandler ProviderService::routes() {
  io::Router router;
  router.post("/v1/infer", [this](auto& request, auto& response) { infer(request, response); });
  router.post("/v1/receipt", [this](auto& request, auto& response) { receipt(request, response); });
  router.post("/v1/trace", [this](auto& request, auto& response) { trace(request, response); });
  router.post("/v1/states", [this](auto& request, auto& response) { states(request, response); });
  router.post("/v1/tensors", [this](auto& request, auto& response) { tensors(request, response); });
  router.post("/v1/dispute", [this](auto& request, auto& response) { dispute(request, response); });
  router.post("/v1/bid", [this](auto& request, auto& response) { bid(request, response); });
  router.post("/v1/rebate", [this](auto& request, auto& response) { rebate(request, response); });
  router.post("/v1/award", [this](auto& request, auto& response) { award(request, response); });
  if (core_.options.till != nullptr) add_x402_routes(router);
  metrics_.on_scrape([this](io::Metrics& metrics) {
    show_engines();
    lookout_.show(metrics);
    rebates_.show(metrics);
  });
  return io::in_frame("provider", metrics_, router.handler(), [this]() -> Status {
    if (stopping_) return fail(Errc::unavailable, "this provider is shutting down");
    TRY(const auto account, core_.settlement.account(core_.address));
    if (account.stake > 0) return {};
    return fail(Errc::refused, "no stake: nobody can lease from this provider");
  });
}

void ProviderService::show_engines() {
  constexpr io::Metric kRequests{"assay_provider_requests", "Requests in the engine, by state."};
  constexpr io::Metric kPages{"assay_provider_cache_pages", "Pages of the key/value cache."};
  constexpr io::Metric kReceipts{"assay_provider_receipts", "Receipts signed."};
  constexpr io::Metric kTokens{"assay_provider_answer_tokens", "Tokens of answers, receipted."};
  constexpr io::Metric kEarned{"assay_provider_receipted_micros", "What all receipts amount to."};
  constexpr io::Metric kRebated{"assay_provider_rebated_micros",
                                "What of them was given up for slow answers."};
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    const engine::BatcherStats stats = engines_[i]->stats();
    const std::string model = core_.models[i].advertised.name;
    metrics_.set(kRequests, {{"model", model}, {"state", "running"}}, stats.running);
    metrics_.set(kRequests, {{"model", model}, {"state", "waiting"}}, stats.waiting);
    const auto pages = [&](const char* state, std::size_t n) {
      metrics_.set(kPages, {{"model", model}, {"state", state}}, static_cast<double>(n));
    };
    pages("used", stats.pages);
    pages("cached", stats.pages_cached);
    pages("most", stats.pages_max);
  }
  const auto totals = core_.store->totals();
  if (!totals) return;
  metrics_.set(kReceipts, {}, static_cast<double>(totals->receipts));
  metrics_.set(kTokens, {}, static_cast<double>(totals->tokens_out));
  metrics_.set(kEarned, {}, static_cast<double>(totals->receipted));
  metrics_.set(kRebated, {}, static_cast<double>(totals->rebated));
}

void ProviderService::infer(io::HttpRequest& http, io::HttpResponse& response) {
  const std::int64_t asked_ms = io::steady_ms();
  const auto gone = [&] { return response.client_gone() || stopping_; };
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
  // Before it takes a thread or a place for longer: strangers without a lease must not fill them.
  const auto checked = [&]() -> Status {
    if (stopping_) return fail(Errc::unavailable, "this provider is shutting down: use another");
    CHECK_OK(protocol::check_call(core_.ledger.domain, *call, core_.now()));
    CHECK_OK(admission_.check(*call));
    return engine_of(call->request.message.execution)  // checked
        ->fits(call->prompt.size(), call->request.message.max_tokens);
  };
  if (answered()) return;
  if (const auto ok = checked(); !ok) {
    response.send_error(ok.error());
    return;
  }
  for (;;) {
    if (const auto ended = admission_.wait_for_end(id, gone); !ended) {
      response.send_error(stopping_ ? Error{Errc::unavailable, "this provider is shutting down"}
                                    : ended.error());
      return;
    }
    if (answered()) return;
    auto place = enter(*call);
    if (!place && !stopping_) {
      busy(response, place.error());
      return;
    }
    if (!place) {
      response.send_error(place.error());
      return;
    }
    auto ticket = admission_.admit(*call, id);
    if (ticket) {
      compute(*call, id, response, std::move(*place), std::move(*ticket),
              protocol::AnswerClock(asked_ms));
      return;
    }
    // The same request, sent twice, may have come in between.
    if (ticket.error().code == Errc::conflict && admission_.running(id)) continue;
    if (!answered()) response.send_error(ticket.error());
    return;
  }
}

Result<engine::Batcher::Place> ProviderService::enter(const protocol::InferenceCall& call) {
  const Hash& execution = call.request.message.execution;
  engine::Batcher& engine = *engine_of(execution);
  if (!core_.may_wait(call.lease.message, *core_.serving(execution))) return engine.enter();
  auto place = engine.enter(std::max(1u, core_.options.slots / 2));
  if (!place) return fail_in("this lease is for batches, which wait", place.error());
  return place;
}

engine::Batcher* ProviderService::engine_of(const Hash& execution) {
  const ServedModel* served = core_.serving(execution);
  return served == nullptr ? nullptr
                           : engines_[static_cast<std::size_t>(served - core_.models.data())].get();
}

Computer& ProviderService::computer_of(const Hash& execution) {
  const ServedModel* served = core_.serving(execution);
  return served == nullptr || !served->computer ? canonical_ : *served->computer;
}

Result<StoredOutcome> ProviderService::keep(const protocol::InferenceCall& call, const Hash& id,
                                            const RunResult& result,
                                            const protocol::AnswerTimes& times) {
  return core_.store->finish(id, call.request.message.lease, result.answer, result.logprobs, times,
                             core_.now(), [&](std::uint64_t key_sequence) {
                               protocol::Receipt receipt = result.receipt;
                               receipt.key_sequence = key_sequence;
                               return core_.sign(receipt);
                             });
}

void ProviderService::compute(const protocol::InferenceCall& call, const Hash& id,
                              io::HttpResponse& response, engine::Batcher::Place place,
                              Admission::Ticket ticket, protocol::AnswerClock times) {
  std::optional<Admission::Ticket> held(std::move(ticket));
  const auto tell = [&](protocol::InferenceEvent event) { response.write(to_line(event)); };
  response.begin_stream(200, kStream);
  RunEvents events;
  events.working = [&] {
    response.write("\n");
    return !response.client_gone();
  };
  events.token = [&](const protocol::TokenEvent& token) {
    const std::int64_t came_ms = io::steady_ms();
    tell(token);
    times.token(came_ms, io::steady_ms());
    return !response.client_gone();
  };
  events.progress = [&](const protocol::Progress& progress) { tell(core_.sign(progress)); };
  events.stopping = [&] { return stopping_.load(); };
  const Hash& execution = call.request.message.execution;
  const auto result = computer_of(execution).run(call, id, *engine_of(execution), std::move(place),
                                                 core_.options.progress_tokens, events);
  const Hash& lease = call.request.message.lease;
  if (!result && result.error().code == Errc::mismatch)
    admission_.evaluated_unpaid(lease, call.prompt.size());
  if (!result) {
    tell(
        protocol::ErrorEvent{result.error().code == Errc::mismatch ? "continuation" : "unavailable",
                             result.error().message});
    response.end();
    return;
  }
  const auto outcome = keep(call, id, *result, times.times());
  if (outcome) admission_.billed(lease, call.prompt.size() + result->answer.size());
  held.reset();  // whoever has the receipt may ask about it
  if (!outcome) {
    io::log_error("a receipt cannot be stored, so it is not given: {}", outcome.error().message);
    tell(protocol::ErrorEvent{"internal", "the provider cannot store its receipt: ask again"});
  } else {
    io::log_fields(io::LogLevel::info, "answered",
                   {{"request", to_hex(id)},
                    {"lease", to_hex(lease)},
                    {"receipt", to_hex(core_.id(outcome->receipt.message))},
                    {"tokens", outcome->receipt.message.count}});
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
    return protocol::ReceiptReply{std::move(stored.outcome->answer),
                                  std::move(stored.outcome->logprobs), stored.outcome->receipt};
  }();
  if (reply)
    response.send_json(200, protocol::to_json(*reply));
  else
    response.send_error(reply.error());
}

void ProviderService::dispute(io::HttpRequest& http, io::HttpResponse& response) {
  const auto reply = [&]() -> Result<market::SignedMove> {
    TRY(const json::value body, body_of(http));
    TRY(const market::Operation operation, market::operation_from_json(body.get_object()));
    const auto* filing = std::get_if<market::FileDispute>(&operation);
    if (filing == nullptr)
      return fail(Errc::invalid, "a dispute is asked about as the operation that would file it");
    return disputes_->answer(*filing);
  }();
  if (reply)
    response.send_json(200, market::encode(*reply).get_object());
  else
    response.send_error(reply.error());
}

void ProviderService::bid(io::HttpRequest& http, io::HttpResponse& response) {
  const auto reply = [&]() -> Result<protocol::BidReply> {
    if (!bids_open_) return fail(Errc::unavailable, "this provider is starting");
    TRY(const json::value body, body_of(http));
    TRY(const auto call, protocol::signed_from_json<protocol::BidCall>(body.get_object()));
    return bids_->bid(call, admission_.busy());
  }();
  if (reply)
    response.send_json(200, protocol::to_json(*reply));
  else
    response.send_error(reply.error());
}

void ProviderService::award(io::HttpRequest& http, io::HttpResponse& response) {
  const auto offer = [&]() -> Result<protocol::Signed<protocol::Offer>> {
    if (!bids_open_) return fail(Errc::unavailable, "this provider is starting");
    TRY(const json::value body, body_of(http));
    TRY(const auto call, protocol::award_call_from_json(body.get_object()));
    return bids_->award(call);
  }();
  if (offer)
    response.send_json(200, protocol::to_json(*offer));
  else
    response.send_error(offer.error());
}

void ProviderService::rebate(io::HttpRequest& http, io::HttpResponse& response) {
  const auto given = [&]() -> Result<protocol::Signed<protocol::RebateAcceptance>> {
    TRY(const json::value body, body_of(http));
    TRY(const auto call, protocol::rebate_call_from_json(body.get_object()));
    return rebates_.answer(call);
  }();
  if (given)
    response.send_json(200, protocol::to_json(*given));
  else
    response.send_error(given.error());
}

void ProviderService::states(io::HttpRequest& http, io::HttpResponse& response) {
  const auto served = [&]() -> Status {
    TRY(const json::value body, body_of(http));
    TRY(const auto call, protocol::states_call_from_json(body.get_object()));
    TRY(const StoredRequest stored,
        recalled({.request = call.request, .salt_secret = call.salt_secret, .positions = {}}));
    engine::Batcher* engine = engine_of(stored.request.message.execution);
    if (engine == nullptr) return fail(Errc::not_found, "that model is not served here any more");
    return serve_states(stored, call, computer_of(stored.request.message.execution), *engine,
                        openings_, response, [this] { return !!stopping_; });
  }();
  if (!served) response.send_error(served.error());
}

void ProviderService::tensors(io::HttpRequest& http, io::HttpResponse& response) {
  const auto reply = [&]() -> Result<protocol::TensorsReply> {
    TRY(const json::value body, body_of(http));
    TRY(const Hash execution, json::get_hash(body.get_object(), "execution"));
    const ServedModel* served = core_.serving(execution);
    if (served == nullptr) return fail(Errc::not_found, "that model is not served here");
    return protocol::TensorsReply{tensors_.of(*served->model, core_.options.threads)};
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
  else if (stopping_)
    response.send_error({Errc::unavailable, "this provider is shutting down"});
  else if (reply.error().code == Errc::unavailable)
    busy(response, reply.error());
  else
    response.send_error(reply.error());
}

Result<protocol::TraceReply> ProviderService::recompute(const StoredRequest& stored,
                                                        const protocol::Recall& recall,
                                                        io::HttpResponse& response) {
  engine::Batcher* engine = engine_of(stored.request.message.execution);
  if (engine == nullptr) return fail(Errc::not_found, "that model is not served here any more");
  const auto beyond = [](std::uint32_t position, std::size_t positions) {
    return fail(Errc::invalid, "position {} is not in the trace of {}", position, positions);
  };
  // Before any work is done for it.
  const std::size_t most = stored.prompt.size() + stored.outcome->answer.size();
  for (const std::uint32_t position : recall.positions)
    if (position >= most) return beyond(position, most);
  const auto gone = [&] { return response.client_gone() || stopping_; };
  TRY(const auto turn, openings_.enter(stored.request.message.lease, gone));
  const Given given = given_by(stored);
  verify::TraceBuilder trace(given.salt_secret, engine->model().hyper().layers);
  CHECK_OK(
      computer_of(stored.request.message.execution).again(given, *engine, {.sink = trace}, gone));
  protocol::TraceReply reply;
  reply.position_roots = trace.position_roots();
  for (const std::uint32_t position : recall.positions) {
    auto leaves = trace.leaves(position);
    if (position >= reply.position_roots.size())
      return beyond(position, reply.position_roots.size());
    reply.positions.push_back({position, std::move(leaves)});
  }
  return reply;
}

}  // namespace assay::services
