#include "verify/verify_testutil.hpp"

#include <bit>

#include "protocol/tokens.hpp"

namespace assay::verify {
namespace {

crypto::SecretKey key(std::uint8_t fill) { return *crypto::secret_key(Bytes(32, fill)); }

// Commits to one state that is not the one computed.
struct Flipping : engine::StateSink {
  TraceBuilder* trace = nullptr;
  std::optional<engine::NumericFault> at;
  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override {
    trace->cell(position, layer, changed(position, layer, x), k, v);
  }
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            engine::Token token) override {
    trace->head(position, x, changed(position, layers, logits), token);
  }
  void fault(engine::NumericFault f) override { trace->fault(f); }

  std::span<const float> changed(std::uint32_t position, std::uint32_t layer,
                                 std::span<const float> x) {
    if (!at || at->position != position || at->layer != layer) return x;
    copy.assign(x.begin(), x.end());
    copy.back() = std::bit_cast<float>(std::bit_cast<std::uint32_t>(copy.back()) ^ 1u);
    return copy;
  }
  std::uint32_t layers = 0;
  std::vector<float> copy;
};

}  // namespace

ToyModel::ToyModel(const engine::ToyShape& shape) : ToyModel(engine::toy_model(shape)) {}

ToyModel::ToyModel(Bytes bytes) : file(std::move(bytes)) {
  ThreadPool pool(1);
  model = *engine::Model::load(file);
  const auto tokenizer = *engine::Tokenizer::from(model->gguf());
  const auto chat = engine::ChatTemplate::from(model->gguf());
  identity = *identify(*model, tokenizer, chat ? &*chat : nullptr, file, pool);
}

void Trade::open_positions(std::span<const std::uint32_t> positions) {
  opening.position_roots = trace->position_roots();
  for (const auto p : positions) opening.positions.push_back({p, trace->leaves(p)});
}

void Trade::sign_receipt() {
  file.receipt = protocol::sign(file.domain, file.receipt.message, provider);
}

Trade make_trade(const ToyModel& serving, const ToyModel& claimed, const TradeOptions& options) {
  using namespace protocol;
  Trade t;
  t.buyer = key(1);
  t.provider = key(2);
  auto& f = t.file;
  f.domain.ledger.fill(9);
  f.execution = execution_id(claimed.identity);

  Offer offer;
  offer.provider = crypto::address_of(t.provider);
  offer.payout = crypto::address_of(key(3));
  offer.sequence = 1;
  offer.endpoint = "http://127.0.0.1:1";
  offer.region = "eu";
  offer.hardware = "a laptop";
  offer.expires = 2000;
  offer.models.push_back({"toy", f.execution.weights_root, f.execution.program_hash,
                          f.execution.canon, claimed.identity.file_sha256, "F32", 300'000,
                          1'200'000, 64});
  f.offer = sign(f.domain, offer, t.provider);

  Lease lease;
  lease.buyer = crypto::address_of(t.buyer);
  lease.provider = offer.provider;
  lease.payout = offer.payout;
  lease.offer = digest(f.domain, offer);
  lease.execution = struct_hash(f.execution);
  lease.price_in = 300'000;
  lease.price_out = 1'200'000;
  lease.escrow = 1'000'000;
  lease.window = 60;
  lease.expires = 1000;
  f.lease = sign(f.domain, lease, t.buyer);

  t.opening.salt_secret.fill(5);
  t.opening.prompt = options.prompt;
  t.opening.stop_ids = options.stop_ids;
  Request request;
  request.lease = digest(f.domain, lease);
  request.sequence = 1;
  request.execution = lease.execution;
  request.prompt_root = prompt_root(t.opening.salt_secret, options.prompt);
  request.prompt_count = static_cast<std::uint32_t>(options.prompt.size());
  request.continuation = options.continuation;
  request.temperature_bits = std::bit_cast<std::uint32_t>(options.temperature);
  request.seed = options.seed;
  request.max_tokens = options.max_tokens;
  request.stop_root = stop_root(options.stop_ids);
  request.salt_commitment = salt_commitment(t.opening.salt_secret);
  if (options.automaton) {
    t.opening.automaton = canon::encode(*options.automaton);
    request.constraint = constraint_root(parts_of(*options.automaton, **claimed.model->pieces()));
  }
  if (options.ask) options.ask(request);
  request.cap = *cap_for(lease, request.prompt_count, request.max_tokens);
  request.expires = 900;
  f.request = sign(f.domain, request, t.buyer);
  t.opening.request = digest(f.domain, request);

  // Decoded token by token, as a provider does.
  ThreadPool pool(1);
  t.trace = std::make_shared<TraceBuilder>(t.opening.salt_secret, serving.model->hyper().layers);
  Flipping sink;
  sink.trace = t.trace.get();
  sink.at = options.flip;
  sink.layers = serving.model->hyper().layers;
  engine::Session session(serving.model, pool, engine::Isa::scalar, serving.model->hyper().context);
  engine::Sampling sampling = sampling_of(request, t.opening.automaton, *claimed.model).value();
  if (options.cheat) options.cheat(sampling);
  std::vector<engine::Token> next = options.prompt;
  std::uint32_t from = request.prompt_count - request.continuation - 1;
  Receipt& r = f.receipt.message;
  const auto describe = [&](auto& message) {
    message.request = t.opening.request;
    message.count = static_cast<std::uint32_t>(t.opening.answer.size());
    message.tape_root = tape_root(t.opening.salt_secret, t.opening.answer);
    message.trace_root = t.trace->root();
    message.logprobs_root =
        *logprobs_root(t.opening.salt_secret, request, message.count, t.opening.logprobs);
    message.amount = *amount_of(lease, request, message.count);
  };
  for (;;) {
    const auto out = session.run(next, from, sampling, &sink, request.logprobs);
    if (out.fault) {
      r.finish = static_cast<std::uint32_t>(Finish::fault);
      break;
    }
    const auto token = out.sampled.back();
    t.opening.answer.push_back(token);
    if (!out.logprobs.empty()) append_logprobs(out.logprobs.back(), t.opening.logprobs);
    describe(t.progress.emplace_back());
    if (std::ranges::binary_search(options.stop_ids, token)) {
      r.finish = static_cast<std::uint32_t>(Finish::stop);
      break;
    }
    if (t.opening.answer.size() == options.max_tokens) {
      r.finish = static_cast<std::uint32_t>(Finish::length);
      break;
    }
    if (t.opening.answer.size() == options.cut) {
      r.finish = static_cast<std::uint32_t>(Finish::cancelled);
      break;
    }
    next = {token};
    from = session.position();
  }
  describe(r);
  r.key_sequence = 1;
  t.sign_receipt();
  return t;
}

}  // namespace assay::verify
