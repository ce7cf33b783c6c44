#include "services/provider/provider_testutil.hpp"

#include <algorithm>
#include <bit>

#include "io/line_splitter.hpp"
#include "io/system_clock.hpp"
#include "protocol/tokens.hpp"
#include "verify/identity.hpp"

namespace assay::services {

crypto::SecretKey test_key(std::uint8_t fill) { return *crypto::secret_key(Bytes(32, fill)); }

bool eventually(const std::function<bool()>& done) {
  const std::int64_t end = io::steady_ms() + 10'000;
  while (!done()) {
    if (io::steady_ms() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

ServedToy::ServedToy(const engine::ToyShape& shape) : file(engine::toy_model(shape)) {
  model = *engine::Model::load(file);
  ThreadPool pool(1);
  const auto id = *verify::execution_id(*model, pool);
  offered = {"toy",   id.weights_root, id.program_hash, id.canon,     Hash{},
             "mixed", 300'000,         1'200'000,       shape.context};
}

World::World(const engine::ToyShape& shape)
    : dir(*io::TempDirectory::create("provider")),
      toy(shape),
      host(test_key(1)),
      buyer(test_key(2)),
      provider(test_key(3)) {
  info.domain.ledger.fill(7);
  info.host = crypto::address_of(host);
  info.parameters.window_min_s = info.parameters.move_s = 10;
  open_ledger();
  for (const auto& key : {buyer, provider}) {
    const auto deposit = protocol::Deposit{crypto::address_of(key), 100'000'000, ++nonce_};
    EXPECT_TRUE(ledger->submit(protocol::sign(info.domain, deposit, host)));
  }
  const auto stake = protocol::Stake{crypto::address_of(provider), 50'000'000, ++nonce_};
  EXPECT_TRUE(ledger->submit(protocol::sign(info.domain, stake, provider)));
}

void World::open_ledger() {
  ledger = *settle::EmbeddedLedger::open(dir.file("ledger.db"), info, clock);
}

Hash World::open_lease(protocol::Micros escrow, std::uint64_t lives_s) {
  protocol::Offer offer;
  offer.provider = offer.payout = crypto::address_of(provider);
  offer.sequence = 1;
  offer.endpoint = "http://127.0.0.1:1";
  offer.expires = static_cast<std::uint64_t>(clock.now_s()) + 60;
  offer.first_token_ms = first_token_ms;
  offer.per_token_ms = per_token_ms;
  offer.rebate_ppm = rebate_ppm;
  offer.models.push_back(toy.offered);
  protocol::Lease terms;
  terms.buyer = crypto::address_of(buyer);
  terms.provider = terms.payout = offer.provider;
  terms.offer = protocol::digest(info.domain, offer);
  terms.execution = protocol::struct_hash(
      protocol::ExecutionId{toy.offered.weights_root, toy.offered.program_hash, toy.offered.canon});
  terms.price_in = toy.offered.price_in;
  terms.price_out = toy.offered.price_out;
  terms.escrow = escrow;
  terms.window = 20;
  terms.expires = static_cast<std::uint64_t>(clock.now_s()) + lives_s;
  terms.nonce = ++nonce_;
  const auto lease = protocol::sign(info.domain, terms, buyer);
  const auto done =
      ledger->submit(market::OpenLease{lease, protocol::sign(info.domain, offer, provider)});
  EXPECT_TRUE(done) << done.error().message;
  const Hash id = protocol::digest(info.domain, terms);
  leases[id] = lease;
  offers[id] = protocol::sign(info.domain, offer, provider);
  return id;
}

protocol::InferenceCall World::call(const Hash& lease, std::uint64_t sequence,
                                    std::uint32_t max_tokens) {
  protocol::InferenceCall out;
  out.lease = leases.at(lease);
  out.prompt = {1, 4, 8, 9, 10, 6, 5};
  out.salt_secret.fill(static_cast<std::uint8_t>(sequence));
  const auto& terms = out.lease.message;
  auto& r = out.request.message;
  r.lease = lease;
  r.sequence = sequence;
  r.execution = terms.execution;
  r.temperature_bits = std::bit_cast<std::uint32_t>(1.0f);
  r.seed = sequence;
  r.max_tokens = max_tokens;
  r.expires = terms.expires;
  r.stop_root = protocol::stop_root(out.stop_ids);
  r.salt_commitment = protocol::salt_commitment(out.salt_secret);
  r.prompt_count = static_cast<std::uint32_t>(out.prompt.size());
  r.prompt_root = protocol::prompt_root(out.salt_secret, out.prompt);
  r.cap = *protocol::cap_for(terms, r.prompt_count, max_tokens);
  sign(out);
  return out;
}

void World::sign(protocol::InferenceCall& call) const {
  call.request = protocol::sign(info.domain, call.request.message, buyer);
}

ProviderOptions World::options() const {
  ProviderOptions options;
  options.data_dir = dir.path() + "/provider";
  options.region = "eu";
  options.hardware = "a test";
  options.tick_ms = 20;
  return options;
}

Result<std::unique_ptr<ProviderService>> World::start(ProviderOptions custom) {
  if (custom.data_dir.empty()) custom = options();
  return ProviderService::start(custom, {{toy.model, toy.offered, computer}}, provider, *ledger,
                                *ledger, clock);
}

Reply World::infer(const std::string& url, const protocol::InferenceCall& call,
                   std::size_t leave_after_tokens, const std::function<void()>& on_token) {
  Reply reply;
  bool told = false;
  io::LineSplitter lines;
  io::HttpClient client;
  const auto on_line = [&](std::string_view line) -> Status {
    if (line.empty()) return {};
    TRY(const protocol::InferenceEvent event, protocol::event_from_line(line));
    if (const auto* t = std::get_if<protocol::TokenEvent>(&event)) {
      reply.tokens.insert(reply.tokens.end(), t->tokens.begin(), t->tokens.end());
      reply.logprobs.insert(reply.logprobs.end(), t->logprobs.begin(), t->logprobs.end());
    }
    if (const auto* p = std::get_if<protocol::Signed<protocol::Progress>>(&event))
      reply.progress.push_back(*p);
    if (const auto* r = std::get_if<protocol::Signed<protocol::Receipt>>(&event))
      reply.receipt = *r;
    if (const auto* e = std::get_if<protocol::ErrorEvent>(&event)) reply.error = e->message;
    return {};
  };
  const auto http = client.post_stream(
      url + "/v1/infer", json::dump(protocol::to_json(call)), [&](std::string_view data) {
        if (!lines.feed(data, on_line)) return false;
        if (told || reply.tokens.size() < std::max<std::size_t>(leave_after_tokens, 1)) return true;
        told = true;
        if (on_token) on_token();
        return leave_after_tokens == 0;
      });
  if (!http) return reply;
  reply.status = http->status;
  if (http->status != 200) reply.error = http->body;
  return reply;
}

protocol::RebateCall World::rebate(const protocol::InferenceCall& call,
                                   const protocol::Receipt& receipt, std::uint32_t first_ms,
                                   std::uint32_t stream_ms) const {
  const Hash& lease = call.request.message.lease;
  protocol::Rebate message{.buyer = crypto::address_of(buyer),
                           .lease = lease,
                           .request = receipt.request,
                           .first_token_ms = first_ms,
                           .stream_ms = stream_ms};
  message.amount = protocol::rebate_amount(offers.at(lease).message, receipt.amount);
  return {protocol::sign(info.domain, message, buyer), offers.at(lease)};
}

Result<io::HttpReply> World::post_rebate(const std::string& url, const protocol::RebateCall& call) {
  io::HttpClient client;
  return client.post_json(url + "/v1/rebate", json::dump(protocol::to_json(call)));
}

void World::expect_sound(const protocol::InferenceCall& call, const Reply& reply) const {
  ASSERT_EQ(reply.status, 200) << reply.error;
  ASSERT_TRUE(reply.receipt) << reply.error;
  const protocol::Request& request = call.request.message;
  const auto logprobs = protocol::logprobs_root(
      call.salt_secret, request, static_cast<std::uint32_t>(reply.tokens.size()), reply.logprobs);
  ASSERT_TRUE(logprobs) << logprobs.error().message;
  const auto ok =
      protocol::check_receipt(info.domain, call.lease.message, request, call.salt_secret,
                              reply.tokens, *logprobs, *reply.receipt);
  EXPECT_TRUE(ok) << ok.error().message;
}

}  // namespace assay::services
