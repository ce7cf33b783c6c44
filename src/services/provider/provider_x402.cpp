// The provider's surface for whoever pays by x402.
#include "base/hex.hpp"
#include "io/log.hpp"
#include "services/provider/provider_service.hpp"

namespace assay::services {

void ProviderService::add_x402_routes(io::Router& router) {
  const auto add = [&](std::string_view path, X402Desk::Kind kind) {
    const auto ready = [this](io::HttpResponse& response) {
      if (x402_open_) return true;
      response.send_error({Errc::unavailable, "this provider is starting"});
      return false;
    };
    router.post(path, [this, kind, ready](auto& request, auto& response) {
      if (ready(response)) x402_->handle(kind, request, response);
    });
    router.get(path, [this, ready](auto& request, auto& response) {
      if (ready(response)) x402_->refund(request, response);
    });
  };
  add("/v1/chat/completions", X402Desk::Kind::chat);
  add("/v1/completions", X402Desk::Kind::text);
  router.get("/v1/models", [this](auto&, auto& response) { list_models(response); });
}

void ProviderService::list_models(io::HttpResponse& response) const {
  json::array all;
  for (const ServedModel& model : core_.models)
    all.push_back({{"id", model.advertised.name},
                   {"object", "model"},
                   {"created", 0},
                   {"owned_by", core_.address.to_string()}});
  response.send_json(200, json::object{{"object", "list"}, {"data", std::move(all)}});
}

Result<StoredOutcome> ProviderService::compute_paid(const protocol::InferenceCall& call,
                                                    const Hash& id) {
  const auto shutting_down = [] {
    return fail(Errc::unavailable, "this provider is shutting down: ask again");
  };
  if (stopping_) return shutting_down();
  const Hash& execution = call.request.message.execution;
  engine::Batcher* engine = engine_of(execution);
  if (engine == nullptr) return fail(Errc::not_found, "that model is not served here any more");
  CHECK_OK(engine->fits(call.prompt.size(), call.request.message.max_tokens));
  auto place = engine->enter();
  if (!place) return fail(Errc::unavailable, "{}: ask again", place.error().message);
  CHECK_OK(core_.store->add_request(id, call, core_.now()));
  // It does not end when its client leaves: who has paid may ask again.
  RunEvents events;
  events.working = [] { return true; };
  events.token = [](const protocol::TokenEvent&) { return true; };
  events.progress = [](const protocol::Progress&) {};
  events.stopping = [this] { return stopping_.load(); };
  TRY(const RunResult result, computer_of(execution).run(call, id, *engine, std::move(*place),
                                                         core_.options.progress_tokens, events));
  if (result.receipt.finish == static_cast<std::uint32_t>(protocol::Finish::cancelled))
    return shutting_down();
  TRY(auto outcome, keep(call, id, result, {}));
  io::log_fields(io::LogLevel::info, "answered",
                 {{"request", to_hex(id)},
                  {"paid_by", "x402"},
                  {"receipt", to_hex(core_.id(outcome.receipt.message))},
                  {"tokens", outcome.receipt.message.count}});
  return outcome;
}

}  // namespace assay::services
