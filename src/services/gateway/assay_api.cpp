#include "services/gateway/assay_api.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "market/money.hpp"
#include "services/gateway/api_render.hpp"
#include "services/gateway/completions.hpp"

namespace assay::services {
namespace {

constexpr std::uint32_t kReceiptsListed = 200;
constexpr std::uint32_t kTypicalTokens = 64;

// A page whose name was pointed at loopback (DNS rebinding) still sends its own name.
bool names_loopback(std::string_view host) {
  host = host.substr(0, host.starts_with('[') ? host.find(']') + 1 : host.find(':'));
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

bool is_loopback(std::string_view peer) {
  return peer.starts_with("127.") || peer.starts_with("[::1]") || peer.starts_with("::1");
}

json::object record_object(Buyer& buyer, LogWatch* log_watch, const RequestRecord& record) {
  json::object out;
  out["receipt"] = to_hex(record.statement_id);
  out["request"] = to_hex(record.id);
  out["model"] = record.model;
  out["lease"] = to_hex(record.lease);
  if (const auto lease = buyer.store->lease(record.lease)) {
    out["provider"] = lease->lease.message.provider.to_string();
    out["endpoint"] = lease->offer.message.endpoint;
  }
  out["created"] = record.created_s;
  out["amount"] = market::format_money(record.amount);
  out["statement"] =
      std::holds_alternative<Signed<protocol::Receipt>>(*record.statement) ? "receipt" : "progress";
  out["tokens"] = market::statement_count(*record.statement);
  out["audit"] = to_string(record.audit);
  out["stage"] = to_string(record.stage);
  out["reason"] = record.reason;
  json::value divergence;
  if (record.position) {
    json::object where{{"position", *record.position}};
    where["layer"] = record.layer ? json::value(*record.layer) : json::value();
    divergence = std::move(where);
  }
  out["divergence"] = std::move(divergence);
  json::array hired;
  if (const auto hires = buyer.store->hires_of(record.id))
    for (const HireRecord& hire : *hires)
      hired.push_back(json::object{{"audit", to_hex(hire.audit)},
                                   {"stage", to_string(hire.stage)},
                                   {"auditors", hire.drawn}});
  out["hired"] = std::move(hired);
  const bool logged =
      log_watch != nullptr && std::holds_alternative<Signed<protocol::Receipt>>(*record.statement);
  out["log"] = logged ? json::value(to_string(log_watch->state(record.statement_id))) : nullptr;
  out["dispute"] = record.dispute.empty() ? json::value() : json::value(to_hex(record.dispute_id));
  return out;
}

bool is_of(const RequestRecord& record, const Caller& caller) {
  return !caller.key || record.api_key == caller.key->id;
}

// What the caller bought, as a file; somebody else's is not there.
ApiResult<Hash> bought_by(Buyer& buyer, Gatekeeper& gatekeeper, const io::HttpRequest& request) {
  TRY(const Caller caller, gatekeeper.admit(request));
  const auto id = array_from_hex<32>(request.param("id"));
  if (!id) return std::unexpected(to_api_error(id.error()));
  const auto record = buyer.store->by_statement(*id);
  if (!record) return std::unexpected(to_api_error(record.error()));
  if (!*record || !is_of(**record, caller))
    return api_fail(404, "not_found", "", "no receipt {} was bought here", to_hex(*id));
  return *id;
}

void list_requests(Buyer& buyer, LogWatch* log_watch, const Caller& caller,
                   io::HttpResponse& response, bool audits_only) {
  const auto records = buyer.store->recent_requests(kReceiptsListed);
  if (!records) return send_api_error(response, to_api_error(records.error()));
  json::array rows;
  for (const RequestRecord& record : *records) {
    if (!record.statement || record.stage == RequestStage::signed_off) continue;
    if (!is_of(record, caller)) continue;
    const bool drawn = record.audit != AuditState::none && record.audit != AuditState::not_drawn;
    if (!audits_only || drawn) rows.push_back(record_object(buyer, log_watch, record));
  }
  response.send_json(200, list_object(std::move(rows)));
}

void list_rebates(Buyer& buyer, const Caller& caller, io::HttpResponse& response) {
  const auto rebates = buyer.store->rebates();
  if (!rebates) return send_api_error(response, to_api_error(rebates.error()));
  json::array rows;
  for (const RebateRecord& rebate : *rebates) {
    const auto request = buyer.store->request(rebate.request);
    if (rows.size() < kReceiptsListed && request && is_of(*request, caller))
      rows.push_back(rebate_object(buyer, rebate));
  }
  response.send_json(200, list_object(std::move(rows)));
}

void send_file(io::HttpResponse& response, const Result<std::string>& text) {
  if (!text) return send_api_error(response, to_api_error(text.error()));
  response.send(200, "application/json", *text);
}

void list_leases(Buyer& buyer, io::HttpResponse& response) {
  const auto leases = buyer.store->leases();
  if (!leases) return send_api_error(response, to_api_error(leases.error()));
  json::array rows;
  for (const LeaseRecord& lease : *leases) {
    const protocol::Lease& terms = lease.lease.message;
    const auto free = buyer.store->free_escrow(lease.id);
    rows.push_back({{"lease", to_hex(lease.id)},
                    {"provider", terms.provider.to_string()},
                    {"stage", to_string(lease.stage)},
                    {"price_in", market::format_money(terms.price_in)},
                    {"price_out", market::format_money(terms.price_out)},
                    {"escrow", market::format_money(lease.escrow)},
                    {"free", market::format_money(free ? *free : 0)},
                    {"settled", market::format_money(lease.confirmed)},
                    {"requests", lease.next_sequence - 1},
                    {"expires", terms.expires},
                    {"returned", lease.returned}});
  }
  response.send_json(200, list_object(std::move(rows)));
}

template <class T>
ApiResult<void> read_number(const io::HttpRequest& request, std::string_view key, T& out) {
  const std::string_view text = request.query_value(key);
  if (text.empty()) return {};
  const auto value = json::parse_u64(text);
  if (!value || *value > 0xffffffffu)
    return api_fail(400, "invalid_value", std::string(key), "'{}' must be an integer", key);
  out = static_cast<std::uint32_t>(*value);
  return {};
}

ApiResult<void> price_parameter(const io::HttpRequest& request, std::string_view key,
                                std::optional<Micros>& out) {
  const std::string_view text = request.query_value(key);
  if (text.empty()) return {};
  const auto value = market::parse_money(text);
  if (!value)
    return api_fail(400, "invalid_value", std::string(key), "'{}': {}", key, value.error().message);
  out = *value;
  return {};
}

ApiResult<void> read_rebate(const io::HttpRequest& request, std::optional<std::uint32_t>& out) {
  const std::string_view text = request.query_value("min_rebate");
  if (text.empty()) return {};
  const auto ppm = market::parse_rebate(text);
  if (!ppm)
    return api_fail(400, "invalid_value", "min_rebate", "'min_rebate': {}", ppm.error().message);
  out = *ppm;
  return {};
}

std::vector<std::string> read_list(const io::HttpRequest& request, std::string_view key) {
  std::vector<std::string> out;
  std::string_view rest = request.query_value(key);
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    out.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return out;
}

constexpr std::string_view kScreenParameters[] = {
    "model",         "prompt_tokens",  "max_tokens",       "max_price_in",
    "max_price_out", "min_vram_mib",   "min_vram_gb",      "min_stake",
    "min_rebate",    "max_latency_ms", "max_per_token_ms", "regions",
    "quantizations", "sort",           "verification"};

ApiResult<void> only_known(const io::HttpRequest& request) {
  for (const auto& [key, value] : request.query)
    if (std::ranges::find(kScreenParameters, key) == std::end(kScreenParameters))
      return api_fail(400, "unknown_parameter", key, "there is no parameter '{}': use {}", key,
                      fmt::join(kScreenParameters, ", "));
  return {};
}

// Several models, and none is named.
ApiResult<void> missing_model(const Buyer& buyer) {
  return api_fail(400, "missing_required_parameter", "model",
                  "'model' is missing: this gateway has {}", buyer.models.names());
}

ApiResult<void> read_vram(const io::HttpRequest& request, Routing& out) {
  CHECK_OK(read_number(request, "min_vram_mib", out.min_vram_mib));
  std::optional<std::uint32_t> gib;
  CHECK_OK(read_number(request, "min_vram_gb", gib));
  if (gib && *gib > 1u << 20)
    return api_fail(400, "invalid_value", "min_vram_gb", "'min_vram_gb' is too large");
  if (gib && !out.min_vram_mib) out.min_vram_mib = *gib * 1024;
  return {};
}

ApiResult<Wish> read_wish(const Buyer& buyer, const io::HttpRequest& request) {
  CHECK_OK(only_known(request));
  Wish wish{.model = nullptr, .name = std::string(request.query_value("model")), .routing = {}};
  if (wish.name.empty() && buyer.models.models().size() == 1)
    wish.name = buyer.models.models()[0]->name;
  if (wish.name.empty()) CHECK_OK(missing_model(buyer));
  wish.model = buyer.models.find(wish.name);
  if (!wish.model)
    return api_fail(404, "model_not_found", "model",
                    "The model '{}' does not exist: this gateway has {}", wish.name,
                    buyer.models.names());
  // A typical question, where none is described.
  const std::uint32_t half = std::max(1u, wish.model->model->hyper().context / 2);
  wish.prompt_tokens = std::min(kTypicalTokens, half);
  wish.max_tokens = std::min(kTypicalTokens, half);
  Routing routing;
  CHECK_OK(read_number(request, "prompt_tokens", wish.prompt_tokens));
  CHECK_OK(read_number(request, "max_tokens", wish.max_tokens));
  CHECK_OK(read_vram(request, routing));
  CHECK_OK(read_number(request, "max_latency_ms", routing.max_latency_ms));
  CHECK_OK(price_parameter(request, "max_price_in", routing.max_price_in));
  CHECK_OK(price_parameter(request, "max_price_out", routing.max_price_out));
  CHECK_OK(read_number(request, "max_per_token_ms", routing.max_per_token_ms));
  CHECK_OK(price_parameter(request, "min_stake", routing.min_stake));
  CHECK_OK(read_rebate(request, routing.min_rebate_ppm));
  routing.regions = read_list(request, "regions");
  routing.quantizations = read_list(request, "quantizations");
  if (const std::string_view sort = request.query_value("sort"); !sort.empty()) {
    const auto parsed = market::parse_sort(sort);
    if (!parsed) return api_fail(400, "invalid_value", "sort", "{}", parsed.error().message);
    routing.sort = *parsed;
  }
  if (const std::string_view proof = request.query_value("verification"); !proof.empty()) {
    TRY(routing.proof, parse_proof(proof, "verification"));
  }
  wish.routing = merged(buyer.options.routing, routing);
  return wish;
}

json::object local_model_object(const LocalModel& model) {
  return model_object(model.name, model.modified_s,
                      {{"execution", to_hex(model.execution_hash)},
                       {"weights_root", to_hex(model.identity.weights_root)},
                       {"program_hash", to_hex(model.identity.program_hash)},
                       {"file_sha256", to_hex(model.identity.file_sha256)},
                       {"context", model.model->hyper().context},
                       {"chat", model.chat && model.chat->usable()},
                       {"title", model.title}});
}

}  // namespace

void add_assay_routes(io::Router& router, Buyer& buyer, MarketView& market, Gatekeeper& gatekeeper,
                      LogWatch* log_watch) {
  const auto list = [&](const char* path, bool audits_only) {
    router.get(path, [&buyer, &gatekeeper, log_watch, audits_only](io::HttpRequest& request,
                                                                   io::HttpResponse& response) {
      const auto caller = gatekeeper.admit(request);
      if (!caller) return send_api_error(response, caller.error());
      list_requests(buyer, log_watch, *caller, response, audits_only);
    });
  };
  list("/assay/receipts", false);
  list("/assay/audits", true);
  router.get("/assay/rebates",
             [&buyer, &gatekeeper](io::HttpRequest& request, io::HttpResponse& response) {
               const auto caller = gatekeeper.admit(request);
               if (!caller) return send_api_error(response, caller.error());
               list_rebates(buyer, *caller, response);
             });
  router.get("/assay/leases", [&buyer](io::HttpRequest&, io::HttpResponse& response) {
    list_leases(buyer, response);
  });
  router.get("/assay/receipts/{id}",
             [&buyer, &gatekeeper](io::HttpRequest& request, io::HttpResponse& response) {
               const auto id = bought_by(buyer, gatekeeper, request);
               if (!id) return send_api_error(response, id.error());
               send_file(response, buyer.vault.receipt_text(*id));
             });
  router.get("/assay/auctions/{id}",
             [&buyer](io::HttpRequest& request, io::HttpResponse& response) {
               const auto id = array_from_hex<32>(request.param("id"));
               if (!id) return send_api_error(response, to_api_error(id.error()));
               send_file(response, buyer.vault.auction_text(*id));
             });
  router.get("/assay/openings/{id}", [&buyer, &gatekeeper](io::HttpRequest& request,
                                                           io::HttpResponse& response) {
    const auto id = bought_by(buyer, gatekeeper, request);
    if (!id) return send_api_error(response, id.error());
    if (!is_loopback(request.peer) || !names_loopback(request.header("host")))
      return send_api_error(response, {.status = 403,
                                       .code = "loopback_only",
                                       .message = "openings hold prompts and answers: ask from "
                                                  "the gateway's own machine"});
    send_file(response, buyer.vault.opening_text(*id));
  });
  router.get("/assay/screen",
             [&buyer, &market](io::HttpRequest& request, io::HttpResponse& response) {
               auto wish = read_wish(buyer, request);
               if (!wish) return send_api_error(response, wish.error());
               const auto screened = market.screen(*wish);
               if (!screened) return send_api_error(response, to_api_error(screened.error()));
               json::object out{{"model", wish->name}};
               for (const auto& [key, value] : screening_json(*screened)) out[key] = value;
               response.send_json(200, out);
             });
}

void add_model_routes(io::Router& router, const Buyer& buyer) {
  router.get("/v1/models", [&buyer](io::HttpRequest&, io::HttpResponse& response) {
    json::array rows;
    for (const auto& model : buyer.models.models()) rows.push_back(local_model_object(*model));
    response.send_json(200, list_object(std::move(rows)));
  });
  router.get("/v1/models/{id}", [&buyer](io::HttpRequest& request, io::HttpResponse& response) {
    const auto model = buyer.models.find(request.param("id"));
    if (model) {
      response.send_json(200, local_model_object(*model));
      return;
    }
    send_api_error(response, {.status = 404,
                              .code = "model_not_found",
                              .message = fmt::format("The model '{}' does not exist: this gateway "
                                                     "has {}",
                                                     request.param("id"), buyer.models.names()),
                              .param = "model"});
  });
}

}  // namespace assay::services
