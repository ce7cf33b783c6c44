// A SYNTHETIC source of tokens, for measuring what stands in front of one: no model runs here. It
// says the same word again and again, one every so many ms, to as many streams as ask, in two
// languages:
//   POST /v1/chat/completions   OpenAI's stream, for a client or another gateway
//   POST /v1/infer              Assay's wire, as a staked provider of --model on --market would;
//   the
//                               receipts are signed and well-formed, their traces are of nothing
//   assay_token_source --market URL --model FILE --key HEX [--tokens N] [--every MS] [--word ID]
// Prints {"address"} first; when that account holds 5.00 it stakes, publishes an offer and prints
// {"url"}. Ends with its standard input.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <thread>
#include <unistd.h>

#include "base/hex.hpp"
#include "engine/model.hpp"
#include "io/files.hpp"
#include "io/http_router.hpp"
#include "io/http_server.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "protocol/inference.hpp"
#include "protocol/tokens.hpp"
#include "settle/remote.hpp"
#include "verify/identity.hpp"

namespace assay {
namespace {

using namespace protocol;
constexpr Micros kStake = 5'000'000, kPrice = 100'000;  // per million tokens
constexpr std::uint32_t kStreams = 8192;
constexpr std::uint32_t kProgressEvery = 32;

// A word every `every_ms` from its start on, whatever a write took.
class Metronome {
 public:
  explicit Metronome(int every_ms) : every_(every_ms), next_(std::chrono::steady_clock::now()) {}
  void wait() {
    next_ += every_;
    std::this_thread::sleep_until(next_);
  }

 private:
  std::chrono::milliseconds every_;
  std::chrono::steady_clock::time_point next_;
};

struct Source {
  crypto::SecretKey key;
  Domain domain;
  std::uint32_t tokens = 64, word = 0;
  int every_ms = 10;
  std::atomic<std::uint64_t> key_sequence{0}, streams{0};

  // Progress or Receipt, over a trace of nothing.
  template <class M>
  Signed<M> signed_for(const InferenceCall& call, const Hash& id,
                       std::span<const std::uint32_t> answer, M message) {
    message.request = id;
    message.count = static_cast<std::uint32_t>(answer.size());
    message.tape_root = protocol::tape_root(call.salt_secret, answer);
    message.trace_root = id;
    message.amount = *protocol::amount_of(call.lease.message, call.request.message, message.count);
    return sign(domain, message, key);
  }

  void say(io::HttpRequest&, io::HttpResponse& response) {
    const std::string head = fmt::format(
        R"({{"id":"chatcmpl-{}","object":"chat.completion.chunk","created":1,"model":"synthetic","choices":[{{"index":0,)",
        ++streams);
    response.begin_stream(200, "text/event-stream");
    response.write_event(head +
                         R"("delta":{"role":"assistant","content":""},"finish_reason":null}]})");
    Metronome pace(every_ms);
    for (std::uint32_t i = 0; i < tokens && !response.client_gone(); ++i) {
      pace.wait();
      response.write_event(head + R"("delta":{"content":" word"},"finish_reason":null}]})");
    }
    response.write_event(head + R"("delta":{},"finish_reason":"length"}]})");
    response.write_event("[DONE]");
    response.end();
  }

  void infer(io::HttpRequest& request, io::HttpResponse& response) {
    const auto parsed = json::parse(request.body);
    if (!parsed || !parsed->is_object()) return void(response.send_error(400, "not an object"));
    const auto call = inference_call_from_json(parsed->as_object());
    if (!call) return void(response.send_error(call.error()));
    if (const auto checked = check_call(domain, *call, now_s()); !checked)
      return void(response.send_error(checked.error()));
    const Request& asked = call->request.message;
    const Hash id = digest(domain, asked);
    std::vector<std::uint32_t> answer;
    response.begin_stream(200, "application/x-ndjson");
    Metronome pace(every_ms);
    while (answer.size() < std::min(tokens, asked.max_tokens) && !response.client_gone()) {
      pace.wait();
      answer.push_back(word);
      response.write(to_line(TokenEvent{{word}, {}}));
      if (answer.size() % kProgressEvery == 0)
        response.write(to_line(signed_for(*call, id, answer, Progress{})));
    }
    Receipt receipt;
    receipt.finish = static_cast<std::uint32_t>(
        answer.size() == asked.max_tokens ? Finish::length : Finish::cancelled);
    receipt.key_sequence = ++key_sequence;
    response.write(to_line(signed_for(*call, id, answer, receipt)));
    response.end();
  }

  static std::uint64_t now_s() { return static_cast<std::uint64_t>(io::SystemClock().now_s()); }
};

Status serve(Source& source, const std::string& market, const std::string& file) {
  settle::RemoteLedger ledger(market);
  TRY(const market::LedgerInfo info, ledger.info());
  source.domain = info.domain;
  const Address address = crypto::address_of(source.key);
  fmt::print("{{\"address\":\"{}\"}}\n", address.to_string());
  std::fflush(stdout);

  TRY(const auto mapped, io::MappedFile::open(file));
  TRY(const auto model, engine::Model::load(mapped.bytes()));
  ThreadPool pool(2);
  TRY(const ExecutionId execution, verify::execution_id(*model, pool));
  for (;;) {
    TRY(const market::AccountView account, ledger.account(address));
    if (account.available >= kStake) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  CHECK_OK(ledger.submit(sign(info.domain, Stake{address, kStake, io::random_u64()}, source.key)));

  io::Router router;
  router.post("/v1/chat/completions",
              [&](auto& request, auto& response) { source.say(request, response); });
  router.post("/v1/infer", [&](auto& request, auto& response) { source.infer(request, response); });
  io::HttpServerOptions options;
  options.threads = kStreams;
  options.max_connections = kStreams;
  TRY(const auto server, io::HttpServer::start(options, router.handler()));

  Offer offer;
  offer.provider = offer.payout = address;
  offer.sequence = 1;
  offer.endpoint = server->url();
  offer.hardware = "synthetic: no model runs here";
  offer.slots = kStreams;
  offer.expires = Source::now_s() + 7200;
  offer.models = {{.name = "synthetic",
                   .weights_root = execution.weights_root,
                   .program_hash = execution.program_hash,
                   .canon = execution.canon,
                   .quantization = "none",
                   .price_in = kPrice,
                   .price_out = kPrice,
                   .context = model->hyper().context}};
  CHECK_OK(ledger.publish(sign(info.domain, offer, source.key)));
  fmt::print("{{\"url\":\"{}\"}}\n", server->url());
  std::fflush(stdout);
  for (char c; ::read(STDIN_FILENO, &c, 1) > 0;) {
  }
  return {};
}

}  // namespace
}  // namespace assay

int main(int argc, char** argv) {
  using namespace assay;
  CLI::App app("A synthetic source of tokens: no model runs here");
  std::string market, file, key;
  Source source;
  app.add_option("--market", market)->required();
  app.add_option("--model", file)->required();
  app.add_option("--key", key, "secret of a throw-away account, hexadecimal")->required();
  app.add_option("--tokens", source.tokens);
  app.add_option("--every", source.every_ms, "milliseconds");
  app.add_option("--word", source.word, "token id");
  CLI11_PARSE(app, argc, argv);
  const auto bytes = array_from_hex<32>(key);
  const auto secret = bytes ? crypto::secret_key(*bytes) : std::unexpected(bytes.error());
  Status served = secret ? Status{} : std::unexpected(secret.error());
  if (served) {
    source.key = *secret;
    served = serve(source, market, file);
  }
  if (served) return 0;
  fmt::print(stderr, "token_source: {}\n", served.error().message);
  return 1;
}
