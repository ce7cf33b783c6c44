#include "services/gateway/gateway_testutil.hpp"

#include <algorithm>
#include <thread>

#include "crypto/sha256.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "protocol/auction.hpp"
#include "protocol/tokens.hpp"
#include "verify/replay.hpp"

namespace assay::services {
namespace {

constexpr std::uint8_t kHost = 1, kBuyer = 2, kFirstProvider = 10;
constexpr protocol::Micros kStake = 5'000'000;

Toy load_toy(Bytes file) {
  Toy toy;
  toy.file = std::move(file);
  toy.model = *engine::Model::load(toy.file);
  ThreadPool pool(1);
  toy.execution = *verify::execution_id(*toy.model, pool);
  return toy;
}

}  // namespace

crypto::SecretKey test_key(std::uint8_t fill) { return *crypto::secret_key(Bytes(32, fill)); }

const Toy& good_toy() {
  static const Toy toy = load_toy(engine::toy_model({.layers = 2, .context = 64}));
  return toy;
}
const Toy& roomy_toy() {
  static const Toy toy = load_toy(engine::toy_model({.layers = 2, .context = 8192}));
  return toy;
}
const Toy& worse_toy() {
  static const Toy toy = [] {
    Bytes file = good_toy().file;
    file[file.size() - 2] ^= 0x40;  // of the last weight
    return load_toy(std::move(file));
  }();
  return toy;
}

json::object parse_object(const std::string& text) {
  const auto value = json::parse(text);
  EXPECT_TRUE(value && value->is_object()) << text;
  return value && value->is_object() ? value->get_object() : json::object{};
}

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::string error_code(const io::HttpReply& reply) {
  const json::object body = parse_object(reply.body);
  const auto* error = body.if_contains("error");
  if (error == nullptr) return "no error: " + reply.body;
  return std::string(error->at("code").as_string());
}

std::string text_of(const json::object& answer) {
  return std::string(answer.at("choices").at(0).at("message").at("content").as_string());
}
std::string receipt_of(const json::object& answer) {
  return std::string(answer.at("assay").at("receipt").as_string());
}

Streamed parse_stream(const std::string& body) {
  Streamed out;
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = body.find("\n\n", at);
    EXPECT_NE(end, std::string::npos) << body;
    const std::string event = body.substr(at, end - at);
    at = end + 2;
    EXPECT_TRUE(event.starts_with("data: ")) << event;
    if (event == "data: [DONE]") {
      out.done = true;
      continue;
    }
    json::object chunk = parse_object(event.substr(6));
    if (const auto* error = chunk.if_contains("error")) {
      out.error = std::string(error->at("code").as_string());
      continue;
    }
    const auto& choices = chunk.at("choices").as_array();
    if (!choices.empty())
      if (const auto* content = choices[0].at("delta").as_object().if_contains("content"))
        out.text += std::string(content->as_string());
    out.chunks.push_back(std::move(chunk));
  }
  return out;
}

ScriptedProvider::ScriptedProvider(market::Settlement& ledger, const crypto::SecretKey& key,
                                   const Clock& clock, Script the_script)
    : script(the_script),
      ledger_(ledger),
      domain_(ledger.info()->domain),
      key_(key),
      clock_(clock) {
  io::Router router;
  router.post("/v1/infer", [this](io::HttpRequest& request, io::HttpResponse& response) {
    infer(request, response);
  });
  router.post("/v1/receipt", [this](io::HttpRequest& request, io::HttpResponse& response) {
    recall(request, response, false);
  });
  router.post("/v1/trace", [this](io::HttpRequest& request, io::HttpResponse& response) {
    recall(request, response, true);
  });
  router.post("/v1/bid", [this](io::HttpRequest& request, io::HttpResponse& response) {
    bid(request, response);
  });
  router.post("/v1/award", [this](io::HttpRequest& request, io::HttpResponse& response) {
    award(request, response);
  });
  router.post("/v1/rebate", [this](io::HttpRequest& request, io::HttpResponse& response) {
    rebate(request, response);
  });
  router.post("/v1/dispute", [this](io::HttpRequest& request, io::HttpResponse& response) {
    dispute(request, response);
  });
  io::HttpServerOptions options;
  options.stop_grace_ms = 200;
  auto server = io::HttpServer::start(options, router.handler());
  EXPECT_TRUE(server) << server.error().message;
  server_ = std::move(*server);
}

protocol::Signed<protocol::Offer> ScriptedProvider::offer(std::uint64_t sequence) const {
  protocol::Offer offer;
  offer.provider = offer.payout = address();
  offer.sequence = sequence;
  offer.endpoint = script.endpoint.empty() ? server_->url() : script.endpoint;
  offer.first_token_ms = script.first_token_ms;
  offer.per_token_ms = script.per_token_ms;
  offer.rebate_ppm = script.rebate_ppm;
  offer.region = script.region;
  offer.hardware = "scripted";
  offer.vram_mib = script.vram_mib;
  offer.expires = static_cast<std::uint64_t>(clock_.now_s()) + 3600;
  const protocol::ExecutionId& sold = script.sells->execution;
  offer.models = {{.name = "toy",
                   .weights_root = sold.weights_root,
                   .program_hash = sold.program_hash,
                   .canon = sold.canon,
                   .quantization = "mixed",
                   .price_in = script.price_in,
                   .price_out = script.price_out,
                   .context = script.sells->model->hyper().context}};
  return protocol::sign(domain_, offer, key_);
}

std::vector<protocol::Request> ScriptedProvider::requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<protocol::Rebate> ScriptedProvider::rebates() {
  const std::lock_guard lock(mutex_);
  return rebates_;
}

std::vector<ScriptedProvider::Outcome> ScriptedProvider::outcomes() {
  const std::lock_guard lock(mutex_);
  std::vector<Outcome> out;
  for (const auto& [id, outcome] : outcomes_) out.push_back(outcome);
  std::ranges::sort(out, {}, [](const Outcome& o) { return o.call.request.message.sequence; });
  return out;
}

void ScriptedProvider::infer(io::HttpRequest& request, io::HttpResponse& response) {
  ++calls_;
  if (script.refuse) {
    response.send_error(503, "this provider is busy");
    return;
  }
  auto call = protocol::inference_call_from_json(parse_object(request.body));
  Status checked =
      call ? protocol::check_call(domain_, *call, static_cast<std::uint64_t>(clock_.now_s()))
           : Status(std::unexpected(call.error()));
  EXPECT_TRUE(checked) << checked.error().message;
  if (!checked) {
    response.send_error(checked.error());
    return;
  }
  // As a provider does (provider/admission.cpp).
  const auto lease = ledger_.lease(call->request.message.lease);
  if (lease && (lease->state != market::LeaseState::open || lease->claim)) {
    response.send_error(403, "the lease is closed: open a new one");
    return;
  }
  compute(*call, protocol::digest(domain_, call->request.message), response);
}

void ScriptedProvider::compute(const protocol::InferenceCall& call, const Hash& id,
                               io::HttpResponse& response) {
  const protocol::Request& request = call.request.message;
  ThreadPool pool(1);
  auto trace = std::make_shared<verify::TraceBuilder>(call.salt_secret,
                                                      script.computes->model->hyper().layers);
  const std::uint32_t capacity =
      std::min(script.computes->model->hyper().context, request.prompt_count + request.max_tokens);
  engine::Session session(script.computes->model, pool, engine::Isa::scalar, capacity);
  const engine::Sampling sampling =
      verify::sampling_of(request, call.automaton, *script.computes->model).value();
  const std::uint32_t first = request.prompt_count - request.continuation - 1;
  auto run = session.run(call.prompt, first, sampling, trace.get(), request.logprobs);

  response.begin_stream(200, "application/x-ndjson");
  std::vector<std::uint32_t> answer, logprobs;
  const auto sign_for = [&](auto message) {
    message.request = id;
    message.count = static_cast<std::uint32_t>(answer.size());
    message.tape_root = protocol::tape_root(call.salt_secret, answer);
    message.trace_root = trace->root();
    message.logprobs_root =
        *protocol::logprobs_root(call.salt_secret, request, message.count, logprobs);
    message.amount = *protocol::amount_of(call.lease.message, request, message.count);
    return message;
  };
  protocol::Finish finish = protocol::Finish::length;
  std::this_thread::sleep_for(std::chrono::milliseconds(script.waits_ms));
  while (true) {
    const std::uint32_t next = run.sampled.back();
    protocol::TokenEvent event{{next}, {}};
    if (request.logprobs > 0) verify::append_logprobs(run.logprobs.back(), event.logprobs);
    if (script.false_logprobs && request.logprobs > 0) event.logprobs.front() ^= 1;
    answer.push_back(next);
    logprobs.insert(logprobs.end(), event.logprobs.begin(), event.logprobs.end());
    const bool heard = answer.size() > script.sends || response.write(protocol::to_line(event));
    if (std::ranges::binary_search(call.stop_ids, next)) {
      finish = protocol::Finish::stop;
      break;
    }
    if (answer.size() == request.max_tokens) break;
    if (!heard || response.client_gone()) {
      finish = protocol::Finish::cancelled;
      break;
    }
    if (answer.size() % 2 == 0 && answer.size() <= script.sends)
      response.write(
          protocol::to_line(protocol::sign(domain_, sign_for(protocol::Progress{}), key_)));
    if (answer.size() == script.die_after) {
      response.abort();
      return;
    }
    run = session.run(std::span(&next, 1), session.position(), sampling, trace.get(),
                      request.logprobs);
  }
  protocol::Receipt receipt = sign_for(protocol::Receipt{});
  if (script.overcharges) receipt.amount *= 1000;
  if (script.false_finish) finish = protocol::Finish::stop;
  receipt.finish = static_cast<std::uint32_t>(finish);
  const std::lock_guard lock(mutex_);
  receipt.key_sequence = ++key_sequence_;
  requests_.push_back(request);
  const Outcome& outcome =
      outcomes_[id] = {call, answer, logprobs, protocol::sign(domain_, receipt, key_), trace};
  if (script.lose_receipt || script.sends != SIZE_MAX) {
    response.abort();
    return;
  }
  response.write(protocol::to_line(outcome.receipt));
  response.end();
}

void ScriptedProvider::bid(io::HttpRequest& request, io::HttpResponse& response) {
  ++bids_asked_;
  const auto call = protocol::signed_from_json<protocol::BidCall>(parse_object(request.body));
  ASSERT_TRUE(call) << call.error().message;
  if (script.bids == 0) {
    response.send_error(404, "no bids here");
    return;
  }
  auto bid = offer(7).message;
  bid.models[0].price_out = script.bids;
  const Hash id = protocol::digest(domain_, call->message);
  protocol::BidReply reply;
  reply.sealed = *protocol::seal_bid(call->message, id, protocol::sign(domain_, bid, key_),
                                     crypto::X25519SecretKey(io::random_hash()));
  reply.bid = protocol::sign(
      domain_, protocol::SealedBid{address(), id, crypto::sha256(reply.sealed)}, key_);
  response.send_json(200, protocol::to_json(reply));
}

void ScriptedProvider::award(io::HttpRequest& request, io::HttpResponse& response) {
  const auto call = protocol::award_call_from_json(parse_object(request.body));
  ASSERT_TRUE(call) << call.error().message;
  if (script.backs_out) {
    response.send_error(409, "changed its mind");
    return;
  }
  auto offer = call->offer.message;
  offer.models[0].price_out = call->price_out;
  response.send_json(200, protocol::to_json(protocol::sign(domain_, offer, key_)));
}

void ScriptedProvider::rebate(io::HttpRequest& request, io::HttpResponse& response) {
  using Rebates = Script::Rebates;
  const auto call = protocol::rebate_call_from_json(parse_object(request.body));
  ASSERT_TRUE(call) << call.error().message;
  const protocol::Rebate& asked = call->rebate.message;
  const std::lock_guard lock(mutex_);
  const Outcome& said = outcomes_.at(asked.request);
  const Status checked = protocol::check_rebate(
      domain_, said.call.lease.message, said.call.request.message, said.receipt.message, *call);
  EXPECT_TRUE(checked) << checked.error().message;
  rebates_.push_back(asked);
  if (script.rebates == Rebates::silent) return void(response.send_error(503, "not now"));
  if (script.rebates == Rebates::refuse) return void(response.send_error(403, "in time, I say"));
  if (script.rebates == Rebates::forget) {
    response.begin_stream(200, "application/json");
    return response.abort();
  }
  protocol::RebateAcceptance given{address(), protocol::digest(domain_, asked)};
  if (script.rebates == Rebates::forge) given.rebate[0] ^= 1;
  response.send_json(200, protocol::to_json(protocol::sign(domain_, given, key_)));
}

void ScriptedProvider::recall(io::HttpRequest& request, io::HttpResponse& response, bool trace) {
  const auto asked = protocol::recall_from_json(parse_object(request.body));
  ASSERT_TRUE(asked) << asked.error().message;
  const std::lock_guard lock(mutex_);
  const auto found = outcomes_.find(asked->request);
  if (found == outcomes_.end() || (script.forget_receipt && !trace)) {
    response.send_error(404, "no such request");
    return;
  }
  if (!trace) {
    response.send_json(
        200, protocol::to_json(protocol::ReceiptReply{found->second.answer, found->second.logprobs,
                                                      found->second.receipt}));
    return;
  }
  protocol::TraceReply reply{found->second.trace->position_roots(), {}};
  for (const std::uint32_t position : asked->positions)
    reply.positions.push_back({position, found->second.trace->leaves(position)});
  response.send_json(200, protocol::to_json(reply));
}

// An honest player of whatever it computed.
void ScriptedProvider::dispute(io::HttpRequest& request, io::HttpResponse& response) {
  const auto operation = market::operation_from_json(parse_object(request.body));
  ASSERT_TRUE(operation) << operation.error().message;
  const auto& dispute = std::get<market::FileDispute>(*operation);
  if (dispute.transcript.size() / 2 >= script.silent_after) {
    response.send_error(503, "no comment");
    return;
  }
  const std::lock_guard lock(mutex_);
  const Outcome& said = outcomes_.at(market::statement_request(dispute.evidence.statement));
  protocol::Opening opening;
  opening.salt_secret = said.call.salt_secret;
  opening.prompt = said.call.prompt;
  opening.stop_ids = said.call.stop_ids;
  opening.automaton = said.call.automaton;
  opening.answer = said.answer;
  opening.logprobs = said.logprobs;
  auto subject = settle::subject_of(dispute.execution, dispute.program, said.call.request.message,
                                    dispute.evidence.statement);
  ASSERT_TRUE(subject) << subject.error().message;
  ThreadPool pool(1);
  const auto trees = std::make_shared<const verify::ModelTrees>(script.computes->model, pool);
  auto party =
      verify::Party::prepare(std::move(*subject), trees, opening, pool, engine::Isa::scalar);
  ASSERT_TRUE(party) << party.error().message;
  const auto transcript = settle::transcript_of(domain_, address(), dispute);
  ASSERT_TRUE(transcript) << transcript.error().message;
  auto payload = (*party)->respond(transcript->game());
  ASSERT_TRUE(payload) << payload.error().message;
  const auto move = settle::sign_next(domain_, *transcript, std::move(*payload), key_);
  response.send_json(200, market::encode(settle::as_signed(move)).as_object());
}

void GatewayTest::SetUp() {
  market::LedgerInfo info;
  info.domain.ledger.fill(7);
  info.host = crypto::address_of(test_key(kHost));
  auto opened = settle::EmbeddedLedger::open(folder.file("ledger.db"), info, clock);
  ASSERT_TRUE(opened) << opened.error().message;
  ledger = std::move(*opened);
  ASSERT_TRUE(io::make_directories(folder.file("models")));
  ASSERT_TRUE(io::write_file_atomic(folder.file("models/toy.gguf"), good_toy().file));
  options.data_directory = folder.file("buyer");
  options.models_directory = folder.file("models");
  options.limits.connect_ms = 2'000;
  options.market_ttl_ms = 0;
  options.retry_ms = 50;
  options.settle_hold_s = 0;
  deposit(crypto::address_of(test_key(kBuyer)), 10'000'000);
}

void GatewayTest::TearDown() {
  gateway.reset();
  for (auto& provider : providers) provider->stop();
}

void GatewayTest::deposit(const protocol::Address& to, protocol::Micros amount) {
  const auto done = ledger->submit(
      sign(protocol::Deposit{.account = to, .amount = amount, .nonce = ++nonce}, kHost));
  ASSERT_TRUE(done) << done.error().message;
}

ScriptedProvider& GatewayTest::add_provider(ScriptedProvider::Script script) {
  const auto fill = static_cast<std::uint8_t>(kFirstProvider + providers.size());
  providers.push_back(std::make_unique<ScriptedProvider>(*ledger, test_key(fill), clock, script));
  ScriptedProvider& provider = *providers.back();
  deposit(provider.address(), kStake);
  const auto staked = ledger->submit(sign(
      protocol::Stake{.account = provider.address(), .amount = kStake, .nonce = ++nonce}, fill));
  EXPECT_TRUE(staked) << staked.error().message;
  const auto listed = ledger->publish(provider.offer());
  EXPECT_TRUE(listed) << listed.error().message;
  return provider;
}

void GatewayTest::start(market::Settlement* settlement) {
  gateway.reset();
  auto started = GatewayService::start(options, test_key(kBuyer),
                                       settlement ? *settlement : *ledger, *ledger, clock);
  ASSERT_TRUE(started) << started.error().message;
  gateway = std::move(*started);
}

json::object GatewayTest::chat_body() const {
  return {{"model", "toy"},
          {"messages", json::array{json::object{{"role", "user"}, {"content", "abc"}}}},
          {"temperature", 0},
          {"max_tokens", 6}};
}

json::object GatewayTest::talkative_body() {
  json::object body = chat_body();
  body["temperature"] = 1;
  body["max_tokens"] = 12;
  for (int seed = 1; seed < 500; ++seed) {
    body["seed"] = seed;
    const json::object answer = parse_object(post(body).body);
    const auto* choices = answer.if_contains("choices");
    if (choices == nullptr) break;
    if (answer.at("usage").at("completion_tokens").to_number<int>() < 12) continue;
    body["max_tokens"] = 3;
    const json::object start = parse_object(post(body).body);
    body["max_tokens"] = 12;
    const auto length = [](const json::object& o) {
      return o.at("choices").at(0).at("message").at("content").as_string().size();
    };
    if (length(start) > 0 && length(answer) >= 6) return body;
  }
  ADD_FAILURE() << "the toy model says nothing";
  return body;
}

io::HttpReply GatewayTest::post(const json::object& body, const std::string& path) {
  // Nothing is heard of a long answer until it is complete, on a busy machine for long.
  io::HttpClientOptions patient;
  patient.total_timeout_ms = patient.idle_timeout_ms = 300'000;
  io::HttpClient client(patient);
  auto reply = client.post_json(gateway->url() + path, json::dump(body));
  EXPECT_TRUE(reply) << reply.error().message;
  return reply ? *reply : io::HttpReply{};
}

json::object GatewayTest::get(const std::string& path) {
  io::HttpClient client;
  const auto reply = client.get(gateway->url() + path);
  EXPECT_TRUE(reply) << reply.error().message;
  return reply ? parse_object(reply->body) : json::object{};
}

json::object GatewayTest::await_stage(const std::string& receipt, const std::string& stage) {
  const std::int64_t deadline_ms = io::steady_ms() + 60'000;
  json::object last;
  while (io::steady_ms() < deadline_ms) {
    const json::object listed = get("/assay/receipts");
    for (const json::value& row : listed.at("data").as_array()) {
      last = row.as_object();
      if (!receipt.empty() && text_at(last, "receipt") != receipt) continue;
      if (text_at(last, "stage") == stage) return last;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ADD_FAILURE() << "no receipt reached " << stage << ": " << json::dump(last);
  return last;
}

protocol::Micros GatewayTest::paid(const ScriptedProvider& provider) {
  return ledger->account(provider.address())->available;
}

}  // namespace assay::services
