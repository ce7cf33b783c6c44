#include "services/gateway/gatekeeper.hpp"

#include <algorithm>
#include <cmath>

#include "io/system_clock.hpp"
#include "market/money.hpp"

namespace assay::services {
namespace {

constexpr double kMinuteMs = 60'000;

std::string in_seconds(std::int64_t ms) {
  return fmt::format("{:.3f}s", static_cast<double>(ms) / 1000);
}

void tell(Gatekeeper::Headers& headers, const char* what, Allowance& allowance, std::int64_t now) {
  const auto name = [&](const char* kind) { return fmt::format("x-ratelimit-{}-{}", kind, what); };
  headers.emplace_back(name("limit"), std::to_string(allowance.per_min()));
  headers.emplace_back(name("remaining"),
                       fmt::format("{:.0f}", std::max(0.0, std::floor(allowance.left(now)))));
  headers.emplace_back(name("reset"), in_seconds(allowance.wait_ms(allowance.per_min(), now)));
}

}  // namespace

double Allowance::left(std::int64_t now_ms) {
  const double gained = static_cast<double>(std::max<std::int64_t>(0, now_ms - at_ms_)) / kMinuteMs;
  left_ = std::min<double>(per_min_, left_ + gained * per_min_);
  at_ms_ = std::max(at_ms_, now_ms);
  return left_;
}

void Allowance::use(double amount, std::int64_t now_ms) { left_ = left(now_ms) - amount; }

std::int64_t Allowance::wait_ms(double amount, std::int64_t now_ms) {
  const double missing = amount - left(now_ms);
  return missing <= 0 ? 0 : static_cast<std::int64_t>(std::ceil(missing / per_min_ * kMinuteMs));
}

ApiResult<Caller> Gatekeeper::admit(const io::HttpRequest& request) {
  const auto used_at_all = store_.uses_api_keys();
  if (!used_at_all) return std::unexpected(to_api_error(used_at_all.error()));
  if (!*used_at_all && !closed_) return Caller{};
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view header = request.header("authorization");
  if (!header.starts_with(kBearer) || header.size() == kBearer.size())
    return api_fail(401, "missing_api_key", "",
                    "this gateway wants an API key: send Authorization: Bearer sk-assay-… "
                    "(`assay gateway keys add` makes one)");
  const auto found = store_.api_key(api_key_hash(header.substr(kBearer.size())));
  if (!found) return std::unexpected(to_api_error(found.error()));
  if (!*found || (*found)->revoked_s)
    return api_fail(401, "invalid_api_key", "", "{}",
                    *found ? "this API key was revoked" : "no such API key on this gateway");
  ApiKey key = std::move(**found);
  const std::int64_t since = period_start(key.period, clock_.now_s());
  return Caller{.spender = {.api_key = key.id, .budget = key.budget, .since_s = since},
                .key = std::move(key)};
}

Gatekeeper::Allowances& Gatekeeper::allowances(const ApiKey& key, std::int64_t now_ms) {
  const auto [it, fresh] = allowances_.try_emplace(key.id);
  if (fresh) {
    if (key.requests_per_min) it->second.requests.emplace(*key.requests_per_min, now_ms);
    if (key.tokens_per_min) it->second.tokens.emplace(*key.tokens_per_min, now_ms);
  }
  return it->second;
}

// One request and one token must be there.
std::int64_t Gatekeeper::take(Allowances& of, std::int64_t now_ms) {
  const std::int64_t wait = std::max(of.requests ? of.requests->wait_ms(1, now_ms) : 0,
                                     of.tokens ? of.tokens->wait_ms(1, now_ms) : 0);
  if (wait == 0 && of.requests) of.requests->use(1, now_ms);
  return wait;
}

std::int64_t Gatekeeper::take_or_wait_ms(const Caller& caller) {
  if (!caller.key) return 0;
  const std::int64_t now = io::steady_ms();
  const std::lock_guard lock(mutex_);
  return take(allowances(*caller.key, now), now);
}

ApiResult<void> Gatekeeper::enter(const Caller& caller, Headers& headers) {
  if (!caller.key) return {};
  const std::int64_t now = io::steady_ms();
  const std::lock_guard lock(mutex_);
  Allowances& of = allowances(*caller.key, now);
  const bool too_many = of.requests && of.requests->wait_ms(1, now) > 0;
  const std::int64_t wait = take(of, now);
  if (of.requests) tell(headers, "requests", *of.requests, now);
  if (of.tokens) tell(headers, "tokens", *of.tokens, now);
  if (wait == 0) return {};
  headers.emplace_back("retry-after", std::to_string((wait + 999) / 1000));
  auto limited = api_fail(
      429, "rate_limit_exceeded", "", "the key '{}' has used its {} {} a minute: try again in {}",
      caller.key->name, too_many ? of.requests->per_min() : of.tokens->per_min(),
      too_many ? "requests" : "tokens", in_seconds(wait));
  limited.error().retry = true;
  return limited;
}

ApiResult<Caller> Gatekeeper::let_in(const io::HttpRequest& request, io::HttpResponse& response) {
  auto caller = admit(request);
  if (!caller) return caller;
  Headers headers;
  const auto entered = enter(*caller, headers);
  for (const auto& [name, value] : headers) response.set_header(name, value);
  if (!entered) return std::unexpected(entered.error());
  return caller;
}

void Gatekeeper::used(const Caller& caller, std::uint64_t tokens) {
  if (!caller.key || !caller.key->tokens_per_min) return;
  const std::int64_t now = io::steady_ms();
  const std::lock_guard lock(mutex_);
  allowances(*caller.key, now).tokens->use(static_cast<double>(tokens), now);
}

ApiError over_budget(const Spender& spender, Micros left, Micros wanted) {
  return {
      .status = 429,
      .code = "insufficient_quota",
      .message = fmt::format("this API key has {} left of its budget of {}, the request may "
                             "cost {}: lower max_tokens, wait for the next period, or ask its "
                             "owner for more",
                             market::format_money(left), market::format_money(*spender.budget),
                             market::format_money(wanted)),
      .details = {{"left", market::format_money(left)}, {"needed", market::format_money(wanted)}}};
}

}  // namespace assay::services
