#include "services/gateway/x402_sellers.hpp"

#include "crypto/sha256.hpp"
#include "io/random.hpp"
#include "market/money.hpp"
#include "services/gateway/completions.hpp"

namespace assay::services {
namespace {

constexpr std::string_view kPrefix = "x402/";

Result<json::object> object_of(std::string_view body) {
  TRY(const json::value parsed, json::parse(body));
  TRY(const json::object* o, json::as_object(parsed, "the request body"));
  return *o;
}

ApiResult<Hash> purchase_id(const io::HttpRequest& request, const Caller& caller) {
  const auto key = request.headers.find("idempotency-key");
  if (key == request.headers.end()) return io::random_hash();
  CHECK_OK(check_idempotency_key(key->second));
  Bytes bytes;
  append(bytes, view("assay/x402/purchase/v0"));
  append_le(bytes, static_cast<std::uint64_t>(caller.spender.api_key.size()));
  append(bytes, view(caller.spender.api_key));
  append(bytes, view(key->second));
  return crypto::sha256(bytes);
}

}  // namespace

bool X402Sellers::wanted(std::string_view body) {
  // Cheap, for the many that are not.
  if (body.find(kPrefix) == std::string_view::npos) return false;
  const auto o = object_of(body);
  const json::value* model = o ? o->if_contains("model") : nullptr;
  return model != nullptr && model->is_string() && model->get_string().starts_with(kPrefix);
}

void X402Sellers::handle(const io::HttpRequest& request, io::HttpResponse& response) {
  const auto caller = gatekeeper_.let_in(request, response);
  if (!caller) return send_api_error(response, caller.error());
  // A key's budget is kept in the market's books, and these purchases are not in them.
  if (caller->spender.budget)
    return send_api_error(response, {.status = 403,
                                     .code = "key_has_a_budget",
                                     .message = "a key with a budget cannot buy from x402 sellers: "
                                                "use one without"});
  auto body = object_of(request.body);
  if (!body) return send_api_error(response, to_api_error(body.error()));
  const std::string name((*body)["model"].as_string().subview(kPrefix.size()));
  const auto seller = urls_.find(name);
  if (seller == urls_.end())
    return send_api_error(response, {.status = 404,
                                     .code = "model_not_found",
                                     .message = fmt::format("no x402 seller of '{}' is set up: see "
                                                            "--pay-x402",
                                                            name),
                                     .param = "model"});
  (*body)["model"] = name;
  const auto id = purchase_id(request, *caller);
  if (!id) return send_api_error(response, id.error());
  const auto bought = purse_.buy(*id, seller->second + request.path, json::dump(*body));
  if (!bought) return send_api_error(response, to_api_error(bought.error()));
  const auto type = bought->reply.headers.find("content-type");
  response.set_header("x-assay-verified", "no");
  response.set_header("x-assay-paid", market::format_money(bought->paid));
  response.send(bought->reply.status,
                type == bought->reply.headers.end() ? "application/json" : type->second,
                bought->reply.body);
}

}  // namespace assay::services
