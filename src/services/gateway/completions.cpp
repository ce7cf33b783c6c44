#include "services/gateway/completions.hpp"

#include "base/hex.hpp"
#include "io/random.hpp"
#include "market/money.hpp"
#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "services/gateway/text_sink.hpp"

namespace assay::services {
namespace {

std::string_view finish_reason(const Answer& answer) {
  // A numeric fault ends an answer early, as a limit does; `assay.finish` tells them apart.
  return answer.finish == protocol::Finish::stop ? "stop" : "length";
}

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

json::object attempt_object(const Attempt& attempt) {
  const bool receipted = attempt.record && attempt.record->stage != RequestStage::signed_off;
  json::object out;
  out["receipt"] = receipted ? json::value(to_hex(attempt.record->statement_id)) : json::value();
  out["provider"] = attempt.provider.to_string();
  out["lease"] = attempt.record ? json::value(to_hex(attempt.lease)) : json::value();
  out["amount"] = market::format_money(receipted ? attempt.record->amount : 0);
  out["audit"] = receipted ? to_string(attempt.record->audit) : "pending";
  return out;
}

std::string receipt_of(const Answer& answer) {
  if (answer.attempts.empty() || !answer.attempts.back().record) return {};
  const RequestRecord& record = *answer.attempts.back().record;
  return record.stage == RequestStage::signed_off ? std::string() : to_hex(record.statement_id);
}

void set_receipt_header(io::HttpResponse& response, const Answer& answer) {
  if (const std::string receipt = receipt_of(answer); !receipt.empty())
    response.set_header("x-assay-receipt", receipt);
}

// What the sampling fields say about tokens, against the model's vocabulary.
ApiResult<void> check_tokens(const ApiRequest& request, std::size_t vocabulary) {
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
  const std::uint64_t width = protocol::logprob_width(request.sampling);
  if (request.max_tokens.value_or(0) * width > protocol::kLogprobNumbersMax)
    return api_fail(400, "invalid_value", param,
                    "{} tokens with {} alternatives each are too many log-probabilities: ask for "
                    "fewer",
                    *request.max_tokens, asked - 1);
  return {};
}

}  // namespace

void send_api_error(io::HttpResponse& response, const ApiError& error) {
  response.set_header("x-should-retry", error.retry ? "true" : "false");
  response.send_json(error.status, to_json(error));
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
  CHECK_OK(check_tokens(request, model->tokenizer.size()));
  if (const auto* messages = std::get_if<0>(&request.prompt)) {
    if (!model->chat)
      return api_fail(400, "unsupported_value", "model",
                      "'{}' has no chat template: use /v1/completions", request.model);
    if (const auto usable = model->chat->usable(); !usable)
      return api_fail(400, "unsupported_value", "model", "'{}': {}: use /v1/completions",
                      request.model, usable.error().message);
    auto chat = engine::Conversation::of(*messages);
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
  return plan;
}

bool Completions::always_audited(const ApiRequest& request) const {
  // Replicas that differ are told apart by audits, which only what was marked for them gets.
  return request.routing.proof.always_audited || request.routing.proof.replicas > 1 ||
         request.delivery.value_or(buyer_.options.delivery) == Delivery::verify_before_stream;
}

void Completions::handle(ApiRequest::Kind kind, const io::HttpRequest& http,
                         io::HttpResponse& response) {
  auto request = kind == ApiRequest::Kind::chat ? parse_chat_request(http.body)
                                                : parse_text_request(http.body);
  if (!request) return send_api_error(response, request.error());
  auto made = plan(*request);
  if (!made) return send_api_error(response, made.error());
  made->always_audit = always_audited(*request);
  const std::string id = to_hex_bare(io::random_hash()).substr(0, 24);
  response.set_header("x-request-id", id);
  const ApiRenderer renderer(kind, id, request->model, buyer_.clock.now_s());
  if (request->stream) return stream(*request, *made, renderer, response);
  whole(*request, *made, renderer, response);
}

Answer Completions::make(const ApiRequest& request, const Plan& plan, TokenSink& sink) {
  return answers_.make(plan, merged(buyer_.options.routing, request.routing),
                       request.delivery.value_or(buyer_.options.delivery), sink);
}

void Completions::whole(const ApiRequest& request, const Plan& plan, const ApiRenderer& renderer,
                        io::HttpResponse& response) {
  std::string text;
  std::vector<ShownToken> shown;
  TextSink sink(
      plan.model->tokenizer, request.stop, plan.stop_ids,
      [&](std::string_view more, std::span<const ShownToken> tokens) {
        text += more;
        shown.insert(shown.end(), tokens.begin(), tokens.end());
        return true;
      },
      [&] { return response.client_gone(); });
  const Answer answer = make(request, plan, sink);
  if (answer.error) return send_api_error(response, *answer.error);
  sink.finish();
  set_receipt_header(response, answer);
  const Usage usage{plan.prompt.size(), answer.tokens.size()};
  response.send_json(
      200, renderer.whole(text, logprobs_value(request.kind, plan.model->tokenizer, shown),
                          finish_reason(answer), usage, assay_object(answer, plan)));
}

void Completions::stream(const ApiRequest& request, const Plan& plan, const ApiRenderer& renderer,
                         io::HttpResponse& response) {
  // Headers wait for the first text, so that whatever fails before it has its own status.
  const auto open = [&] {
    if (response.started()) return true;
    response.set_header("cache-control", "no-cache");
    if (!response.begin_stream(200, "text/event-stream")) return false;
    return request.kind == ApiRequest::Kind::text ||
           response.write_event(json::dump(renderer.opening_chunk(request.include_usage)));
  };
  TextSink sink(
      plan.model->tokenizer, request.stop, plan.stop_ids,
      [&](std::string_view more, std::span<const ShownToken> tokens) {
        auto logprobs = logprobs_value(request.kind, plan.model->tokenizer, tokens);
        return open() && response.write_event(json::dump(renderer.text_chunk(
                             more, std::move(logprobs), request.include_usage)));
      },
      [&] { return response.client_gone(); });
  const Answer answer = make(request, plan, sink);
  if (answer.error) {
    if (!response.started()) return send_api_error(response, *answer.error);
    response.write_event(json::dump(to_json(*answer.error)));
    response.end();
    return;
  }
  if (!response.started()) set_receipt_header(response, answer);
  sink.finish();
  open();
  const json::object assay = assay_object(answer, plan);
  response.write_event(
      json::dump(renderer.final_chunk(finish_reason(answer), request.include_usage, assay)));
  if (request.include_usage)
    response.write_event(
        json::dump(renderer.usage_chunk({plan.prompt.size(), answer.tokens.size()}, assay)));
  response.write_event("[DONE]");
  response.end();
}

json::object Completions::assay_object(const Answer& answer, const Plan& plan) const {
  const Attempt& last = answer.attempts.back();
  json::object out = attempt_object(last);
  if (answer.finish) out["finish"] = finish_name(*answer.finish);
  out["seed"] = std::to_string(plan.sampling.seed);
  if (!plan.auction.empty()) out["auction"] = plan.auction;
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

}  // namespace assay::services
