// Who may ask the gateway, and how often.
#pragma once
#include <map>
#include <mutex>

#include "base/clock.hpp"
#include "io/http_message.hpp"
#include "io/http_response.hpp"
#include "services/gateway/api_error.hpp"
#include "services/gateway/store.hpp"

namespace assay::services {

// So much a minute, all of it at once after a quiet minute. Times are ms of any one clock.
class Allowance {
 public:
  Allowance(std::uint32_t per_min, std::int64_t now_ms) : per_min_(per_min), left_(per_min) {
    at_ms_ = now_ms;
  }
  // What is there; below 0 after more was used than was.
  double left(std::int64_t now_ms);
  void use(double amount, std::int64_t now_ms);
  // Until `amount` is there.
  std::int64_t wait_ms(double amount, std::int64_t now_ms);
  std::uint32_t per_min() const { return per_min_; }

 private:
  std::uint32_t per_min_;
  double left_;
  std::int64_t at_ms_ = 0;
};

struct Caller {
  Spender spender{};  // its api_key is "" where no keys are in use
  std::optional<ApiKey> key{};
  bool prepaid = false;   // a payment covers the answer's ceiling: it has one
  bool may_wait = false;  // a batch asks
};

class Gatekeeper {
 public:
  // `closed`: keys are asked for even before a first one was made.
  Gatekeeper(Store& store, const Clock& clock, bool closed = false)
      : store_(store), clock_(clock), closed_(closed) {}

  // "Authorization: Bearer sk-assay-…", where keys are in use. 401: none, unknown or revoked.
  ApiResult<Caller> admit(const io::HttpRequest& request);

  // Counts one request of the caller. 429 rate_limit_exceeded, with the headers that clients read,
  // when the key's requests or tokens of the last minute are used up. `headers` gets what is left.
  using Headers = std::vector<std::pair<std::string, std::string>>;
  ApiResult<void> enter(const Caller& caller, Headers& headers);
  // For those who wait instead: 0 and counted, or not counted and how long until there is room.
  std::int64_t take_or_wait_ms(const Caller& caller);
  // admit() and enter(), the headers in `response` whatever comes of it.
  ApiResult<Caller> let_in(const io::HttpRequest& request, io::HttpResponse& response);
  // What the request came to: tokens are counted once they are known, so a minute's limit can be
  // overrun by the requests that were running, and is then made up for.
  void used(const Caller& caller, std::uint64_t tokens);

 private:
  struct Allowances {
    std::optional<Allowance> requests, tokens;
  };
  Allowances& allowances(const ApiKey& key, std::int64_t now_ms);
  static std::int64_t take(Allowances& of, std::int64_t now_ms);

  Store& store_;
  const Clock& clock_;
  const bool closed_;
  std::mutex mutex_;
  std::map<std::string, Allowances> allowances_;  // by key id; a restart gives everybody a minute
};

// 429 insufficient_quota, as a budget that is used up is answered.
ApiError over_budget(const Spender& spender, Micros left, Micros wanted);

}  // namespace assay::services
