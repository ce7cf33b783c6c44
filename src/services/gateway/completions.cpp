#include "services/gateway/completions.hpp"

#include <thread>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "io/random.hpp"
#include "io/request_id.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "services/gateway/text_sink.hpp"

namespace assay::services {
namespace {

std::string_view finish_name(protocol::Finish finish) {
  switch (finish) {
    case protocol::Finish::stop:
      return "stop";
    case protocol::Finish::length:
      return "length";
    case protocol::Finish::fault:
      return "fault";
    case protocol::Finish::cancelled:
      return "cancelled";
  }
  return "stop";
}

bool has_statement(const Attempt& attempt) {
  return attempt.record && attempt.record->statement_id != Hash{};
}

// What came before a receipt that did not; null: nothing, or the receipt did.
const protocol::Progress* progress_of(const Attempt& attempt) {
  if (!attempt.record || has_statement(attempt) || !attempt.record->statement) return nullptr;
  const auto* progress = std::get_if<Signed<protocol::Progress>>(&*attempt.record->statement);
  return progress != nullptr ? &progress->message : nullptr;
}

// By what the provider has signed so far.
Micros owed_for(const Attempt& attempt) {
  if (const auto* progress = progress_of(attempt)) return progress->amount;
  return has_statement(attempt) ? attempt.record->amount : 0;
}

json::object attempt_object(const Attempt& attempt) {
  const bool receipted = has_statement(attempt);
  json::object out;
  out["receipt"] = receipted ? json::value(to_hex(attempt.record->statement_id)) : json::value();
  out["request"] = attempt.record ? json::value(to_hex(attempt.record->id)) : json::value();
  out["provider"] = attempt.provider.to_string();
  out["lease"] = attempt.record ? json::value(to_hex(attempt.lease)) : json::value();
  out["amount"] = market::format_money(owed_for(attempt));
  out["audit"] = receipted ? to_string(attempt.record->audit) : "pending";
  if (receipted || !attempt.record) return out;
  out["progress"] = nullptr;
  if (const auto* progress = progress_of(attempt))
    out["progress"] = json::object{{"count", progress->count}};
  return out;
}

std::string receipt_of(const Answer& answer) {
  if (answer.attempts.empty() || !has_statement(answer.attempts.back())) return {};
  return to_hex(answer.attempts.back().record->statement_id);
}

constexpr io::Metric kAnswers{"assay_gateway_answers_total",
                              "Answers asked for, by model and how they ended."};
constexpr io::Metric kTokens{"assay_gateway_tokens_total", "Tokens of answers, by side."};
constexpr io::Metric kFirstToken{"assay_gateway_first_token_seconds",
                                 "From the request to the first text of its answer."};

// Runs the choices side by side, each on a thread of its own that works for the same request.
template <class F>
void side_by_side(std::size_t count, const F& run) {
  if (count == 1) return run(0);
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < count; ++i)
    threads.emplace_back([&run, i, id = io::current_request_id()] {
      const io::RequestScope scope(id);
      run(i);
    });
}

// What the sampling fields say about tokens, against the model's vocabulary.
ApiResult<void> check_tokens(const ApiRequest& request, std::size_t vocabulary,
                             const market::Domain& ledger) {
  for (const protocol::LogitBias& bias : request.sampling.logit_bias)
    if (bias.token >= vocabulary)
      return api_fail(400, "invalid_value", "logit_bias",
                      "'logit_bias' names token id {}, outside the vocabulary of {}", bias.token,
                      vocabulary);
  const std::uint32_t asked = request.sampling.logprobs;
  const std::string param = request.kind == ApiRequest::Kind::chat ? "top_logprobs" : "logprobs";
  if (asked > vocabulary + 1)
    return api_fail(400, "invalid_value", param, "'{}' is {}, the vocabulary has {} tokens", param,
                    asked - 1, vocabulary);
  const std::uint32_t most = market::demandable_tokens(ledger, request.sampling);
  if (request.max_tokens.value_or(0) <= most) return {};
  if (asked > 0)
    return api_fail(400, "invalid_value", param,
                    "{} tokens with {} alternatives each are too many log-probabilities for this "
                    "market: ask for fewer, or for at most {} tokens",
                    *request.max_tokens, asked - 1, most);
  return api_fail(
      400, "invalid_value", "max_tokens",
      "an answer of {} tokens could not be demanded on this market from a provider that "
      "keeps it: ask for at most {}",
      *request.max_tokens, most);
}

}  // namespace

void send_api_error(io::HttpResponse& response, const ApiError& error) {
  ClientSink sink(response);
  send_api_error(sink, error);
}

void send_api_error(ReplySink& reply, const ApiError& error) {
  reply.header("x-should-retry", error.retry ? "true" : "false");
  if (error.retry_after_s > 0) reply.header("retry-after", std::to_string(error.retry_after_s));
  reply.whole(error.status, to_json(error));
}

ApiResult<Plan> Completions::plan(const ApiRequest& request) const {
  const auto model = buyer_.models.find(request.model);
  if (!model)
    return api_fail(404, "model_not_found", "model",
                    "The model '{}' does not exist: this gateway has {}", request.model,
                    buyer_.models.names());
  Plan plan{.model = model,
            .model_name = request.model,
            .prompt = {},
            .stop_ids = model->tokenizer.stop_tokens(),
            .sampling = request.sampling,
            .max_tokens = request.max_tokens};
  plan.sampling.seed = request.seed ? *request.seed : io::random_u64();
  CHECK_OK(check_tokens(request, model->tokenizer.size(), buyer_.ledger.domain));
  if (const auto* messages = std::get_if<0>(&request.prompt)) {
    if (!model->chat)
      return api_fail(400, "unsupported_value", "model",
                      "'{}' has no chat template: use /v1/completions", request.model);
    if (const auto usable = model->chat->usable(); !usable)
      return api_fail(400, "unsupported_value", "model", "'{}': {}: use /v1/completions",
                      request.model, usable.error().message);
    const bool calls = std::ranges::any_of(
        *messages, [](const engine::ChatMessage& m) { return !m.more.empty(); });
    if (calls || request.tools.choice != ToolRequest::Choice::none) {
      const auto format = engine::tool_format(*model->chat, model->tokenizer);
      if (!format)
        return api_fail(400, "unsupported_value", calls ? "messages" : "tools", "'{}': {}",
                        request.model, format.error().message);
      if (request.tools.choice != ToolRequest::Choice::none) plan.calls = *format;
    }
    auto chat = engine::Conversation::of(*messages);
    if (plan.calls) chat.tools = request.tools.definitions;
    chat.now = engine::jinja::date_of(buyer_.clock.now_s());
    auto tokens = engine::encode_chat(model->tokenizer, *model->chat, chat);
    if (!tokens) return api_fail(400, "invalid_value", "messages", "{}", tokens.error().message);
    plan.prompt = std::move(*tokens);
  } else if (const auto* text = std::get_if<std::string>(&request.prompt)) {
    engine::Tokenizer::Options options;
    options.parse_special = false;
    plan.prompt = model->tokenizer.encode(*text, options);
  } else {
    plan.prompt = std::get<2>(request.prompt);
  }
  if (plan.prompt.empty())
    return api_fail(400, "invalid_value", "prompt", "the prompt has no tokens");
  for (const std::uint32_t token : plan.prompt)
    if (token >= model->tokenizer.size())
      return api_fail(400, "invalid_value", "prompt", "token id {} is outside the vocabulary of {}",
                      token, model->tokenizer.size());
  const std::size_t context = model->model->hyper().context;
  const std::size_t wanted = plan.prompt.size() + request.max_tokens.value_or(1);
  if (wanted > context)
    return api_fail(400, "context_length_exceeded",
                    request.kind == ApiRequest::Kind::chat ? "messages" : "prompt",
                    "This model's maximum context length is {} tokens, you asked for {} ({} in the "
                    "prompt, {} for the answer): shorten one of them",
                    context, wanted, plan.prompt.size(), request.max_tokens.value_or(1));
  if (!std::holds_alternative<AnyText>(request.shape))
    CHECK_OK(constrain(plan, automata_.get(request.shape), "response_format"));
  if (plan.calls) CHECK_OK(allow_calls(plan, request.tools));
  return plan;
}

bool Completions::always_audited(const ApiRequest& request) const {
  // Replicas that differ are told apart by audits, which only what was marked for them gets.
  return request.routing.proof.always_audited || request.routing.proof.replicas > 1 ||
         request.delivery.value_or(buyer_.options.delivery) == Delivery::verify_before_stream;
}

// What several providers are at work on cannot be taken up where it was left.
ApiResult<void> Completions::check_repeatable(const ApiRequest& request) const {
  if (merged(buyer_.options.routing, request.routing).proof.replicas <= 1) return {};
  return api_fail(400, "unsupported_value", "provider",
                  "'verification' replicate does not go together with an Idempotency-Key, a batch "
                  "or a payment by x402: leave one of them out");
}

ApiResult<std::vector<Completions::Choice>> Completions::choices(const ApiRequest& request,
                                                                 const Caller& caller,
                                                                 const JobRecord* job) const {
  if (job != nullptr) CHECK_OK(check_repeatable(request));
  TRY(Plan first, plan(request));
  if (!request.seed && job != nullptr) first.sampling.seed = job->seed;
  if (caller.prepaid && !first.max_tokens)
    first.max_tokens =
        answers_.wish_of(first, merged(buyer_.options.routing, request.routing)).max_tokens;
  first.spender = caller.spender;
  first.may_wait = caller.may_wait;
  first.always_audit = always_audited(request);
  std::vector<Choice> out;
  for (std::uint32_t i = 0; i < request.n; ++i) {
    out.push_back({.plan = first});
    out.back().plan.sampling.seed += i;
    if (first.calls)
      out.back().reader.emplace(*first.calls,
                                request.tools.choice == ToolRequest::Choice::required);
    if (job != nullptr) out.back().plan.job = fmt::format("{}/{}", job->id, i);
  }
  return out;
}

void Completions::handle(ApiRequest::Kind kind, const io::HttpRequest& http,
                         io::HttpResponse& response) {
  ClientSink sink(response);
  const auto caller = gatekeeper_.let_in(http, response);
  if (!caller) return send_api_error(sink, caller.error());
  const auto key = http.headers.find("idempotency-key");
  if (key == http.headers.end()) return answer(kind, http.body, *caller, nullptr, sink);
  if (const auto fine = check_idempotency_key(key->second); !fine)
    return send_api_error(sink, fine.error());
  (void)once(kind, http.body, *caller, "client " + key->second, sink);
}

bool Completions::once(ApiRequest::Kind kind, std::string_view body, const Caller& caller,
                       std::string_view key, ReplySink& sink) {
  crypto::Sha256 hash;
  hash.update(view(kind == ApiRequest::Kind::chat ? "chat\n" : "text\n"));
  hash.update(view(body));
  return jobs_.once(
      caller.spender.api_key, key, hash.finish(), sink,
      [&](const JobRecord& job, ReplySink& kept) { answer(kind, body, caller, &job, kept); });
}

Result<Micros> Completions::spent(const Caller& caller, std::string_view key) {
  return buyer_.store->spent_on_job(job_id(caller.spender.api_key, key));
}

void Completions::answer(ApiRequest::Kind kind, std::string_view body, const Caller& caller,
                         const JobRecord* job, ReplySink& sink) {
  auto request = parse_request(kind, body);
  if (!request) return send_api_error(sink, request.error());
  // One payment covers one answer; who waits is in no haste.
  if (caller.prepaid || caller.may_wait) request->routing.hedge_ms = 0;
  auto asked = choices(*request, caller, job);
  if (!asked) return send_api_error(sink, asked.error());
  if (const auto kept = reserve(*request, *asked); !kept) return send_api_error(sink, kept.error());
  const std::string id =
      job != nullptr ? job->answer_id : to_hex_bare(io::random_hash()).substr(0, 24);
  const ApiRenderer renderer(kind, id, request->model,
                             job != nullptr ? job->created_s : buyer_.clock.now_s());
  if (request->stream) {
    stream(*request, *asked, caller, renderer, sink);
  } else {
    whole(*request, *asked, caller, renderer, sink);
  }
}

void Completions::count(const Caller& caller, const std::vector<Choice>& choices) {
  std::uint64_t tokens_in = 0, tokens_out = 0;
  for (const Choice& choice : choices) {
    tokens_in += choice.plan.prompt.size();
    tokens_out += choice.answer.tokens.size();
    buyer_.metrics.count(
        kAnswers, {{"model", choice.plan.model->name},
                   {"outcome", choice.answer.error ? choice.answer.error->code
                                                   : std::string(stop_reason(choice.answer))}});
  }
  buyer_.metrics.count(kTokens, {{"side", "prompt"}}, static_cast<double>(tokens_in));
  buyer_.metrics.count(kTokens, {{"side", "answer"}}, static_cast<double>(tokens_out));
  gatekeeper_.used(caller, tokens_in + tokens_out);
}

ApiResult<void> Completions::reserve(const ApiRequest& request, std::vector<Choice>& choices) {
  std::vector<Plan*> plans;
  for (Choice& choice : choices) plans.push_back(&choice.plan);
  return answers_.reserve(plans, merged(buyer_.options.routing, request.routing));
}

Answer Completions::make(const ApiRequest& request, const Plan& plan, TokenSink& sink) {
  return answers_.make(plan, merged(buyer_.options.routing, request.routing),
                       request.delivery.value_or(buyer_.options.delivery), sink);
}

namespace {

// The first error of the choices; the others' answers are paid all the same, and named.
template <class Choices, class Describe>
std::optional<ApiError> error_of(const Choices& choices, const Describe& describe) {
  const auto failed = std::ranges::find_if(
      choices, [](const auto& choice) { return choice.answer.error.has_value(); });
  if (failed == choices.end()) return std::nullopt;
  ApiError error = *failed->answer.error;
  if (choices.size() > 1) error.details["answered"] = describe();
  return error;
}

template <class Choices>
Usage usage_of(const Choices& choices) {
  Usage usage;
  for (const auto& choice : choices) {
    // Each choice is a request of its own, and its prompt is paid for.
    usage.prompt_tokens += choice.plan.prompt.size();
    usage.completion_tokens += choice.answer.tokens.size();
  }
  return usage;
}

template <class Choices>
void set_receipt_header(ReplySink& reply, const Choices& choices) {
  std::string receipts;
  for (const auto& choice : choices)
    if (const std::string receipt = receipt_of(choice.answer); !receipt.empty())
      receipts += (receipts.empty() ? "" : ", ") + receipt;
  if (!receipts.empty()) reply.header("x-assay-receipt", receipts);
}

}  // namespace

void Completions::whole(const ApiRequest& request, std::vector<Choice>& choices,
                        const Caller& caller, const ApiRenderer& renderer, ReplySink& reply) {
  std::mutex one_at_a_time;
  const std::int64_t asked_ms = io::steady_ms();
  side_by_side(choices.size(), [&](std::size_t i) {
    Choice& choice = choices[i];
    TextSink sink(
        choice.plan.model->tokenizer, request.stop, choice.plan.stop_ids,
        [&](std::string_view more, std::span<const ShownToken> tokens) {
          if (choice.text.empty() && choice.shown.empty())
            buyer_.metrics.observe(kFirstToken, {},
                                   static_cast<double>(io::steady_ms() - asked_ms) / 1000);
          for (const auto& part : choice.read(more)) choice.took(part);
          choice.shown.insert(choice.shown.end(), tokens.begin(), tokens.end());
          return true;
        },
        [&] {
          const std::lock_guard lock(one_at_a_time);
          return reply.gone();
        });
    choice.answer = make(request, choice.plan, sink);
    if (choice.answer.error) return;
    sink.finish();
    for (const auto& part : choice.read_end()) choice.took(part);
  });
  count(caller, choices);
  if (const auto error = error_of(choices, [&] { return assay_object(choices); }))
    return send_api_error(reply, *error);
  if (reply.gone()) return;
  set_receipt_header(reply, choices);
  json::array rendered;
  for (std::uint32_t i = 0; i < choices.size(); ++i) {
    Choice& choice = choices[i];
    auto logprobs = logprobs_value(request.kind, choice.plan.model->tokenizer, choice.shown);
    choice.call.id = renderer.call_id(i);
    rendered.push_back(
        choice.call.name.empty()
            ? renderer.choice(i, choice.text, std::move(logprobs), choice.finish_reason())
            : renderer.call_choice(i, choice.call, std::move(logprobs), choice.finish_reason()));
  }
  reply.whole(200, renderer.whole(std::move(rendered), usage_of(choices), assay_object(choices)));
}

void Completions::stream(const ApiRequest& request, std::vector<Choice>& choices,
                         const Caller& caller, const ApiRenderer& renderer, ReplySink& reply) {
  std::mutex one_at_a_time;
  const std::int64_t asked_ms = io::steady_ms();
  // Headers wait for the first text, so that whatever fails before it has its own status.
  const auto open = [&] {
    if (reply.started()) return true;
    buyer_.metrics.observe(kFirstToken, {}, static_cast<double>(io::steady_ms() - asked_ms) / 1000);
    if (request.kind == ApiRequest::Kind::text) return true;
    for (std::uint32_t i = 0; i < choices.size(); ++i)
      if (!reply.event(json::dump(renderer.opening_chunk(i, request.include_usage)))) return false;
    return true;
  };
  // One event for each part of what is shown; what is known of its tokens goes with the first.
  const auto show = [&](std::uint32_t index, Choice& choice,
                        const std::vector<engine::ToolCallReader::Part>& parts,
                        json::value logprobs) {
    using Kind = engine::ToolCallReader::Part::Kind;
    const auto send = [&](const json::object& chunk) {
      return open() && reply.event(json::dump(chunk));
    };
    if (parts.empty() && !logprobs.is_null() &&
        !send(renderer.text_chunk(index, "", std::move(logprobs), request.include_usage)))
      return false;
    for (const auto& part : parts) {
      choice.took(part);
      json::value own = std::exchange(logprobs, nullptr);
      ToolCall call{renderer.call_id(index), {}, {}};
      (part.kind == Kind::name ? call.name : call.arguments) = part.text;
      if (!send(part.kind == Kind::text
                    ? renderer.text_chunk(index, part.text, std::move(own), request.include_usage)
                    : renderer.call_chunk(index, call, std::move(own), request.include_usage)))
        return false;
    }
    return true;
  };
  side_by_side(choices.size(), [&](std::size_t i) {
    Choice& choice = choices[i];
    const auto index = static_cast<std::uint32_t>(i);
    TextSink sink(
        choice.plan.model->tokenizer, request.stop, choice.plan.stop_ids,
        [&](std::string_view more, std::span<const ShownToken> tokens) {
          auto logprobs = logprobs_value(request.kind, choice.plan.model->tokenizer, tokens);
          const std::lock_guard lock(one_at_a_time);
          return show(index, choice, choice.read(more), std::move(logprobs));
        },
        [&] {
          const std::lock_guard lock(one_at_a_time);
          return reply.gone();
        });
    choice.answer = make(request, choice.plan, sink);
    if (choice.answer.error) return;
    if (choices.size() == 1 && !reply.started()) set_receipt_header(reply, choices);
    sink.finish();
    const std::lock_guard lock(one_at_a_time);
    if (reply.gone() || !open() || !show(index, choice, choice.read_end(), nullptr)) return;
    reply.event(json::dump(renderer.final_chunk(index, choice.finish_reason(),
                                                request.include_usage, assay_object(choice))));
  });
  count(caller, choices);
  if (const auto error = error_of(choices, [&] { return assay_object(choices); })) {
    if (!reply.started()) return send_api_error(reply, *error);
    reply.event(json::dump(to_json(*error)));
    reply.end_stream();
    return;
  }
  if (reply.gone()) return;
  if (request.include_usage)
    reply.event(json::dump(renderer.usage_chunk(usage_of(choices), assay_object(choices))));
  reply.event("[DONE]");
  reply.end_stream();
}

json::object Completions::assay_object(const Choice& choice) const {
  const Answer& answer = choice.answer;
  if (answer.attempts.empty()) return {};
  const Attempt& last = answer.attempts.back();
  json::object out = attempt_object(last);
  if (!has_statement(last) && last.record)
    out["reason"] = last.error ? last.error->message : "nobody waited for the receipt";
  if (answer.finish) out["finish"] = finish_name(*answer.finish);
  out["seed"] = std::to_string(choice.plan.sampling.seed);
  if (!choice.plan.auction.empty()) out["auction"] = choice.plan.auction;
  if (answer.attempts.size() > 1) {
    json::array earlier;
    for (std::size_t i = 0; i + 1 < answer.attempts.size(); ++i) {
      json::object attempt = attempt_object(answer.attempts[i]);
      attempt["error"] = answer.attempts[i].error ? answer.attempts[i].error->message : "";
      earlier.push_back(std::move(attempt));
    }
    out["earlier"] = std::move(earlier);
  }
  return out;
}

// Of one choice what belongs to it; of several, each one's by its index, and their sum.
json::object Completions::assay_object(const std::vector<Choice>& choices) const {
  if (choices.size() == 1) return assay_object(choices.front());
  json::array each;
  Micros amount = 0;
  for (const Choice& choice : choices) {
    each.push_back(assay_object(choice));
    for (const Attempt& attempt : choice.answer.attempts) amount += owed_for(attempt);
  }
  return {{"choices", std::move(each)}, {"amount", market::format_money(amount)}};
}

}  // namespace assay::services
