#include "services/provider/x402_desk.hpp"

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/files.hpp"
#include "io/random.hpp"
#include "market/money.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"

namespace assay::services {
namespace {

// An offer and a lease that are on no board and no ledger live as long as an answer may take.
constexpr std::uint64_t kLifeS = 86'400;
// Of one sale at a time: they hold threads that others need.
constexpr unsigned kAskingMax = 8;

int status_of(const Error& error) {
  switch (error.code) {
    case Errc::unavailable:
    case Errc::conflict:
      return 503;
    case Errc::not_found:
      return 404;
    default:
      return io::http_status(error.code);
  }
}

std::string_view finish_reason(std::uint32_t finish) {
  switch (static_cast<protocol::Finish>(finish)) {
    case protocol::Finish::stop:
      return "stop";
    case protocol::Finish::fault:
      return "fault";
    default:
      return "length";
  }
}

}  // namespace

Result<std::unique_ptr<X402Desk>> X402Desk::open(settle::x402::Till& till, ProviderCore& core,
                                                 OfferKeeper& offers, Compute compute) {
  std::unique_ptr<X402Desk> out(new X402Desk(till, core, offers, std::move(compute)));
  for (const ServedModel& model : core.models) {
    TRY(engine::Tokenizer tokenizer, engine::Tokenizer::from(model.model->gguf()));
    std::optional<engine::ChatTemplate> chat;
    if (auto found = engine::ChatTemplate::from(model.model->gguf())) chat = std::move(*found);
    out->served_.push_back({&model, std::move(tokenizer), std::move(chat)});
  }
  const std::string folder = core.options.data_dir + "/x402";
  CHECK_OK(io::make_directories(folder, 0700));
  TRY(out->calls_, X402Calls::open(folder + "/calls.db"));
  return out;
}

Result<X402Desk::Question> X402Desk::question(Kind kind, std::string_view body) const {
  TRY(const X402Ask ask, kind == Kind::chat ? x402_ask_from_chat(body) : x402_ask_from_text(body));
  const auto found = std::ranges::find(served_, ask.model,
                                       [](const Served& s) { return s.model->advertised.name; });
  if (found == served_.end())
    return fail(Errc::not_found, "the model '{}' is not served here", ask.model);
  Question out{.served = &*found, .prompt = {}, .stop_ids = {}, .sampling = ask.sampling};
  if (const auto* messages = std::get_if<0>(&ask.prompt)) {
    if (!found->chat)
      return fail(Errc::unsupported, "'{}' has no chat template: use /v1/completions", ask.model);
    auto chat = engine::Conversation::of(*messages);
    chat.now = engine::jinja::date_of(core_.clock.now_s());
    TRY(out.prompt, engine::encode_chat(found->tokenizer, *found->chat, chat));
  } else {
    out.prompt =
        found->tokenizer.encode(std::get<1>(ask.prompt), {.add_bos = true, .parse_special = false});
  }
  if (out.prompt.empty()) return fail(Errc::invalid, "the prompt has no tokens");
  out.stop_ids = found->tokenizer.stop_tokens();
  const protocol::OfferModel& m = found->model->advertised;
  if (out.prompt.size() + ask.max_tokens > m.context)
    return fail(Errc::invalid,
                "{} prompt tokens and {} answer tokens do not fit the context of {}: shorten the "
                "prompt or lower max_tokens",
                out.prompt.size(), ask.max_tokens, m.context);
  out.sampling.seed = ask.seed.value_or(0);
  out.sampling.max_tokens = ask.max_tokens;
  if (!ask.seed) out.sampling.seed = io::random_u64();
  TRY(out.most, protocol::price(m.price_in, m.price_out, out.prompt.size(), ask.max_tokens));
  return out;
}

Result<X402Call> X402Desk::draw_up(const Hash& sale, const Question& question) const {
  const std::uint64_t now = core_.now();
  Bytes about;
  append(about, view("assay x402 buyer"));
  append(about, sale);
  TRY(const crypto::SecretKey buyer,
      crypto::secret_key(crypto::hmac_sha256(core_.key.bytes, about)));
  X402Call out{.offer = {}, .call = {}, .made_s = core_.clock.now_s()};
  TRY(protocol::Offer offer, offers_.draft(now + kLifeS));
  out.offer = core_.sign(std::move(offer));
  const protocol::OfferModel& m = question.served->model->advertised;
  protocol::InferenceCall& call = out.call;
  call.prompt = question.prompt;
  call.stop_ids = question.stop_ids;
  call.salt_secret = io::random_hash();
  protocol::Lease lease;
  lease.buyer = crypto::address_of(buyer);
  lease.provider = core_.address;
  lease.payout = core_.payout;
  lease.offer = core_.id(out.offer.message);
  lease.execution =
      protocol::struct_hash(protocol::ExecutionId{m.weights_root, m.program_hash, m.canon});
  lease.price_in = m.price_in;
  lease.price_out = m.price_out;
  lease.escrow = question.most;
  lease.window = core_.ledger.parameters.window_min_s;
  lease.expires = now + kLifeS;
  lease.nonce = io::random_u64();
  call.lease = protocol::sign(core_.ledger.domain, lease, buyer);
  protocol::Request request = question.sampling;
  request.lease = core_.id(lease);
  request.sequence = 1;
  request.execution = lease.execution;
  request.prompt_root = protocol::prompt_root(call.salt_secret, call.prompt);
  request.prompt_count = static_cast<std::uint32_t>(call.prompt.size());
  request.stop_root = protocol::stop_root(call.stop_ids);
  request.salt_commitment = protocol::salt_commitment(call.salt_secret);
  request.cap = question.most;
  request.expires = lease.expires;
  call.request = protocol::sign(core_.ledger.domain, request, buyer);
  // As of anybody's.
  CHECK_OK(protocol::check_call(core_.ledger.domain, call, now));
  CHECK_OK(protocol::check_runnable(request));
  CHECK_OK(fits(call, *question.served->model->model));
  return out;
}

Result<std::pair<X402Call, StoredOutcome>> X402Desk::answer(const Hash& sale,
                                                            const Question& question) {
  struct Turn {
    X402Desk& desk;
    const Hash& sale;
    bool mine = false;
    Turn(X402Desk& d, const Hash& s) : desk(d), sale(s) {
      std::unique_lock lock(desk.mutex_);
      if (++desk.asking_[sale] > kAskingMax) return;
      desk.left_.wait(lock, [&] { return !desk.running_.contains(sale); });
      desk.running_.insert(sale);
      mine = true;
    }
    ~Turn() {
      {
        const std::lock_guard lock(desk.mutex_);
        if (mine) desk.running_.erase(sale);
        if (--desk.asking_[sale] == 0) desk.asking_.erase(sale);
      }
      desk.left_.notify_all();
    }
  } const turn(*this, sale);
  if (!turn.mine)
    return fail(Errc::conflict, "this payment's request is being answered for others already");

  TRY(auto known, calls_->find(sale));
  if (known) {
    const Hash id = core_.id(known->call.request.message);
    TRY(const auto stored, core_.store->request(id));
    if (stored && stored->outcome) return std::pair{std::move(*known), *stored->outcome};
  }
  // An old one may have lived too long; its model may not be served any more.
  if (!known || core_.clock.now_s() - known->made_s > static_cast<std::int64_t>(kLifeS) / 2) {
    TRY(known, draw_up(sale, question));
    CHECK_OK(calls_->put(sale, *known));
  }
  // To crash after this line: the same payment has the same call computed, to the same bits.
  TRY(StoredOutcome outcome, compute_(known->call, core_.id(known->call.request.message)));
  return std::pair{std::move(*known), std::move(outcome)};
}

json::object X402Desk::render(Kind kind, const Question& question, const X402Call& call,
                              const StoredOutcome& outcome) const {
  const protocol::Receipt& receipt = outcome.receipt.message;
  const protocol::OfferModel& m = question.served->model->advertised;
  std::vector<std::uint32_t> shown = outcome.answer;
  if (!shown.empty() && std::ranges::binary_search(call.call.stop_ids, shown.back()))
    shown.pop_back();
  engine::Detokenizer detokenizer(question.served->tokenizer);
  std::string text;
  for (const std::uint32_t token : shown) text += detokenizer.push(token);
  text += detokenizer.finish();
  json::object choice{{"index", 0}};
  if (kind == Kind::chat)
    choice["message"] = {{"role", "assistant"}, {"content", text}, {"refusal", nullptr}};
  else
    choice["text"] = text;
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = finish_reason(receipt.finish);

  const Hash id = core_.id(receipt);
  protocol::ReceiptFile file{.domain = core_.ledger.domain,
                             .execution = {m.weights_root, m.program_hash, m.canon},
                             .offer = call.offer,
                             .lease = call.call.lease,
                             .request = call.call.request,
                             .receipt = outcome.receipt};
  protocol::Opening opening{.request = receipt.request,
                            .salt_secret = call.call.salt_secret,
                            .prompt = call.call.prompt,
                            .answer = outcome.answer,
                            .stop_ids = call.call.stop_ids,
                            .automaton = {},
                            .logprobs = {},
                            .audit_link = {},
                            .position_roots = {},
                            .positions = {}};
  return {{"id", fmt::format("{}-{}", kind == Kind::chat ? "chatcmpl" : "cmpl",
                             to_hex_bare(id).substr(0, 24))},
          {"object", kind == Kind::chat ? "chat.completion" : "text_completion"},
          {"created", call.made_s},
          {"model", m.name},
          {"choices", json::array{std::move(choice)}},
          {"usage",
           {{"prompt_tokens", call.call.prompt.size()},
            {"completion_tokens", outcome.answer.size()},
            {"total_tokens", call.call.prompt.size() + outcome.answer.size()}}},
          {"assay",
           {{"receipt", to_hex(id)},
            {"request", to_hex(receipt.request)},
            {"provider", core_.address.to_string()},
            {"amount", market::format_money(receipt.amount)},
            {"seed", std::to_string(call.call.request.message.seed)},
            {"slashable", false},
            {"receipt_file", to_json(file)},
            {"opening", to_json(opening)}}}};
}

void X402Desk::handle(Kind kind, const io::HttpRequest& http, io::HttpResponse& response) {
  const auto asked = question(kind, http.body);
  if (!asked) {
    const Error& error = asked.error();
    response.send_error(error.code == Errc::unsupported ? 400 : status_of(error), error.message,
                        to_string(error.code));
    return;
  }
  auto sale =
      settle::x402::accept(till_, http, response, [&] { return std::optional(asked->most); });
  if (!sale) return;
  const bool failed = sale->failed();
  if (failed && !settle::x402::collect(till_, *sale, 0, http, response)) return;
  const auto made = answer(sale->id(), *asked);
  if (!made) {
    if (made.error().code != Errc::conflict) settle::x402::release(till_, *sale);
    if (status_of(made.error()) == 503) response.set_header("retry-after", "5");
    response.send_error(status_of(made.error()), made.error().message,
                        to_string(made.error().code));
    return;
  }
  const auto& [call, outcome] = *made;
  if (response.client_gone() && sale->needs_its_payer()) return;  // the answer is kept
  const protocol::Micros cost = outcome.receipt.message.amount;
  if (!failed && !settle::x402::collect(till_, *sale, cost, http, response)) return;
  const json::object body = render(kind, *asked, call, outcome);
  response.set_header("x-assay-receipt", to_hex(core_.id(outcome.receipt.message)));
  response.set_header("x-assay-slashable", "no");
  response.send_json(200, body);
}

}  // namespace assay::services
