#include "io/chain_rpc.hpp"

#include <thread>

#include "base/hex.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"

namespace assay::io {
namespace {

constexpr std::int64_t kStoppingMs = 2'000, kLookMs = 100;

struct SystemPacer : Pacer {
  std::int64_t now_ms() const override { return steady_ms(); }
  void wait_ms(std::int64_t ms) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  }
  std::uint64_t random() override { return random_u64(); }
};

// scheme://host:port of a URL: its path and query may carry a key.
std::string origin(const std::string& url) {
  const std::size_t host = url.find("://");
  return url.substr(0, url.find_first_of("/?#", host == std::string::npos ? 0 : host + 3));
}

HttpClientOptions http_options(const ChainRpcOptions& o) {
  return {.connect_timeout_ms = std::min<std::int64_t>(5'000, o.attempt_timeout_ms),
          .total_timeout_ms = o.attempt_timeout_ms,
          .idle_timeout_ms = o.attempt_timeout_ms,
          .max_body_bytes = o.max_reply_bytes,
          .ca_file = o.ca_file,
          .peer_word = "chain endpoint",
          .ours = false};
}

// Seconds or a date (RFC 9110, 10.2.3); only seconds are worth reading.
std::int64_t retry_after_ms(const HttpReply& reply) {
  const auto found = reply.headers.find("Retry-After");
  if (found == reply.headers.end()) return 0;
  const auto seconds = json::parse_u64(found->second);
  return seconds ? static_cast<std::int64_t>(std::min<std::uint64_t>(*seconds, 3600)) * 1000 : 0;
}

template <class T>
ChainResult<T> typed(Result<T> parsed, std::string_view method) {
  return as_chain(std::move(parsed), ChainErrc::malformed, method);
}

json::object call_object(const CallRequest& r) {
  json::object o;
  if (r.from) o["from"] = to_hex(r.from->bytes);
  if (r.to) o["to"] = to_hex(r.to->bytes);
  if (r.value != Uint256(0)) o["value"] = to_quantity(r.value);
  o["data"] = to_hex(r.data);
  return o;
}

bool matches(const LogFilter& filter, const LogEntry& log) {
  if (!filter.addresses.empty() &&
      std::ranges::find(filter.addresses, log.address) == filter.addresses.end())
    return false;
  for (std::size_t i = 0; i < filter.topics.size(); ++i) {
    if (!filter.topics[i]) continue;
    if (i >= log.topics.size() ||
        std::ranges::find(*filter.topics[i], log.topics[i]) == filter.topics[i]->end())
      return false;
  }
  return true;
}

}  // namespace

Pacer& system_pacer() {
  static SystemPacer pacer;
  return pacer;
}

ChainRpc::ChainRpc(ChainRpcOptions options, Pacer& pacer)
    : options_(std::move(options)),
      pacer_(pacer),
      http_(http_options(options_)),
      expected_chain_(options_.chain_id) {
  for (const std::string& url : options_.endpoints)
    endpoints_.push_back({.url = url, .name = origin(url)});
}

std::uint64_t ChainRpc::switches() const {
  const std::scoped_lock lock(mutex_);
  return switches_;
}

std::optional<ChainRpc::Choice> ChainRpc::choose() {
  const std::int64_t now = pacer_.now_ms();
  const std::scoped_lock lock(mutex_);
  std::optional<Choice> best;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].wrong) continue;
    const std::int64_t wait = std::max<std::int64_t>(0, endpoints_[i].rests_until_ms - now);
    if (!best || wait < best->wait_ms) best = Choice{i, wait};
  }
  return best;
}

void ChainRpc::rest(std::size_t at, const ChainError& why) {
  const std::int64_t now = pacer_.now_ms();
  const std::uint64_t chance = pacer_.random();
  const std::scoped_lock lock(mutex_);
  Endpoint& e = endpoints_[at];
  e.checked = false;  // it may come back as another node
  e.rest_ms = std::clamp(e.rest_ms * 2, options_.rest_first_ms, options_.rest_most_ms);
  // Half of it for sure, half by chance: clients that failed together do not come back together.
  const auto half = static_cast<std::uint64_t>(e.rest_ms / 2);
  const auto jittered = static_cast<std::int64_t>(half + chance % (half + 1));
  e.rests_until_ms = now + std::max(jittered, why.retry_after_ms);
}

// A healthy endpoint answers within the moment: what it is asked while stopping is still done.
bool ChainRpc::given_up() {
  if (!options_.stopping || !options_.stopping()) return false;
  const std::int64_t now = pacer_.now_ms();
  std::int64_t since = 0;
  if (stopping_since_ms_.compare_exchange_strong(since, now)) return false;
  return now - since > kStoppingMs;
}

ChainResult<json::value> ChainRpc::call(std::string_view method, const json::array& params) {
  const std::int64_t until = pacer_.now_ms() + options_.deadline_ms;
  std::optional<ChainError> last;
  for (;;) {
    const auto choice = choose();
    if (!choice) {
      const std::scoped_lock lock(mutex_);
      if (endpoints_.empty())
        return chain_fail(ChainErrc::transport, "no chain endpoint is configured: pass --rpc URL");
      return std::unexpected(*endpoints_.front().wrong);
    }
    if (pacer_.now_ms() + choice->wait_ms >= until) {
      if (last) return std::unexpected(*last);
      return chain_fail(ChainErrc::transport, "{}: every chain endpoint failed moments ago",
                        method);
    }
    for (std::int64_t left = choice->wait_ms; left > 0 && !given_up();) {
      const std::int64_t rest = options_.stopping ? std::min(left, kLookMs) : left;
      pacer_.wait_ms(rest);
      left -= rest;
    }
    if (given_up()) return chain_fail(ChainErrc::transport, "{}: given up, to stop", method);
    auto answer = attempt(choice->at, method, params, until);
    if (answer || !worth_retrying(answer.error().kind)) {
      if (!answer && answer.error().kind == ChainErrc::wrong_chain) continue;
      const std::scoped_lock lock(mutex_);
      endpoints_[choice->at].rest_ms = 0;
      switches_ += choice->at != last_;
      last_ = choice->at;
      return answer;
    }
    rest(choice->at, answer.error());
    // What the deadline cut short says less than the try before it.
    if (!last || pacer_.now_ms() < until) last = std::move(answer.error());
  }
}

ChainResult<json::value> ChainRpc::attempt(std::size_t at, std::string_view method,
                                           const json::array& params, std::int64_t until_ms) {
  bool checked = false;
  {
    const std::scoped_lock lock(mutex_);
    checked = endpoints_[at].checked;
  }
  if (!checked) CHECK_OK(check_chain(at, until_ms));
  return post(at, method, params, until_ms);
}

ChainResult<void> ChainRpc::check_chain(std::size_t at, std::int64_t until_ms) {
  TRY(const json::value reply, post(at, "eth_chainId", {}, until_ms));
  TRY(const std::uint64_t id, typed(quantity_u64_from(reply), "eth_chainId"));
  const std::scoped_lock lock(mutex_);
  Endpoint& e = endpoints_[at];
  if (expected_chain_ == 0) expected_chain_ = id;
  if (id != expected_chain_) {
    e.wrong = ChainError{ChainErrc::wrong_chain,
                         fmt::format("{} serves chain {}, expected {}: check --rpc and --chain-id",
                                     e.name, id, expected_chain_),
                         {},
                         0};
    return std::unexpected(*e.wrong);
  }
  e.checked = true;
  return {};
}

ChainResult<json::value> ChainRpc::post(std::size_t at, std::string_view method,
                                        const json::array& params, std::int64_t until_ms) {
  std::uint64_t id = 0;
  std::string url, name;
  {
    const std::scoped_lock lock(mutex_);
    id = next_id_++;
    url = endpoints_[at].url;
    name = endpoints_[at].name;
  }
  const auto late = [&] { return pacer_.now_ms() >= until_ms || given_up(); };
  const auto reply = http_.post_stream(url, rpc_request(id, method, params), {}, {}, late);
  if (!reply) {
    if (reply.error().code == Errc::cancelled)
      return chain_fail(ChainErrc::transport, "{}: {} did not answer in time", method, name);
    return chain_fail(
        reply.error().code == Errc::invalid ? ChainErrc::malformed : ChainErrc::transport, "{}: {}",
        method, reply.error().message);
  }
  if (reply->status == 429) {
    ChainError slow{ChainErrc::rate_limited,
                    fmt::format("{}: {} limits our rate", method, name),
                    {},
                    retry_after_ms(*reply)};
    return std::unexpected(std::move(slow));
  }
  // Some nodes put the JSON-RPC error under a 4xx or 500: it says more than the status.
  auto parsed = parse_rpc_reply(reply->body, id, options_.max_reply_bytes);
  const bool ok = reply->status >= 200 && reply->status < 300;
  if (!parsed && parsed.error().kind == ChainErrc::malformed) {
    if (!ok)
      return chain_fail(ChainErrc::transport, "{}: {} answered with HTTP status {}", method, name,
                        reply->status);
    parsed.error().message =
        fmt::format("{}: {} sent no valid reply: {}", method, name, parsed.error().message);
  } else if (parsed && !ok) {
    return chain_fail(ChainErrc::transport, "{}: {} answered with HTTP status {}", method, name,
                      reply->status);
  }
  return parsed;
}

ChainResult<std::uint64_t> ChainRpc::chain_id() {
  TRY(const json::value v, call("eth_chainId", {}));
  return typed(quantity_u64_from(v), "eth_chainId");
}

ChainResult<std::optional<BlockHeader>> ChainRpc::block(const BlockTag& tag) {
  TRY(const json::value v, call("eth_getBlockByNumber", {tag, false}));
  return typed(block_from(v), "eth_getBlockByNumber");
}

ChainResult<BlockHeader> ChainRpc::head() {
  TRY(const auto found, block("latest"));
  if (!found) return chain_fail(ChainErrc::malformed, "the chain endpoint has no latest block");
  return *found;
}

ChainResult<Uint256> ChainRpc::balance(const Address& of) {
  TRY(const json::value v, call("eth_getBalance", {to_hex(of.bytes), "latest"}));
  return typed(quantity_from(v), "eth_getBalance");
}

ChainResult<std::uint64_t> ChainRpc::nonce(const Address& of, const BlockTag& tag) {
  TRY(const json::value v, call("eth_getTransactionCount", {to_hex(of.bytes), tag}));
  return typed(quantity_u64_from(v), "eth_getTransactionCount");
}

ChainResult<std::uint64_t> ChainRpc::estimate_gas(const CallRequest& request, const BlockTag& tag) {
  TRY(const json::value v, call("eth_estimateGas", {call_object(request), tag}));
  return typed(quantity_u64_from(v), "eth_estimateGas");
}

ChainResult<Bytes> ChainRpc::eth_call(const CallRequest& request, const BlockTag& tag) {
  TRY(const json::value v, call("eth_call", {call_object(request), tag}));
  return typed(bytes_from(v), "eth_call");
}

ChainResult<FeeHistory> ChainRpc::fee_history(unsigned blocks, unsigned percentile) {
  json::array params{crypto::to_quantity(blocks), "latest", json::array{percentile}};
  TRY(const json::value v, call("eth_feeHistory", params));
  return typed(fee_history_from(v), "eth_feeHistory");
}

ChainResult<std::uint64_t> ChainRpc::max_priority_fee() {
  TRY(const json::value v, call("eth_maxPriorityFeePerGas", {}));
  return typed(quantity_u64_from(v), "eth_maxPriorityFeePerGas");
}

ChainResult<void> ChainRpc::send_raw(const crypto::SignedTransaction& transaction) {
  TRY(const json::value v, call("eth_sendRawTransaction", {to_hex(transaction.raw)}));
  TRY(const Hash hash, typed(hash_from(v), "eth_sendRawTransaction"));
  if (hash != transaction.hash)
    return chain_fail(ChainErrc::malformed, "the node took the transaction under another hash, {}",
                      to_hex(hash));
  return {};
}

ChainResult<std::optional<ChainReceipt>> ChainRpc::receipt(const Hash& transaction) {
  TRY(const json::value v, call("eth_getTransactionReceipt", {to_hex(transaction)}));
  TRY(auto found, typed(receipt_from(v), "eth_getTransactionReceipt"));
  if (found && found->transaction_hash != transaction)
    return chain_fail(ChainErrc::malformed, "the node sent the receipt of another transaction");
  return found;
}

ChainResult<std::vector<LogEntry>> ChainRpc::logs(const LogFilter& filter, std::uint64_t first,
                                                  std::uint64_t last) {
  json::object o{{"fromBlock", crypto::to_quantity(first)}, {"toBlock", crypto::to_quantity(last)}};
  json::array addresses, topics;
  for (const Address& a : filter.addresses) addresses.push_back(json::value(to_hex(a.bytes)));
  for (const auto& any : filter.topics) {
    if (!any) {
      topics.push_back(nullptr);
      continue;
    }
    json::array hashes;
    for (const Hash& hash : *any) hashes.push_back(json::value(to_hex(hash)));
    topics.push_back(std::move(hashes));
  }
  if (!addresses.empty()) o["address"] = std::move(addresses);
  if (!topics.empty()) o["topics"] = std::move(topics);
  TRY(const json::value v, call("eth_getLogs", {std::move(o)}));
  TRY(auto found, typed(logs_from(v), "eth_getLogs"));
  const auto place = [](const LogEntry& log) { return std::pair(log.block_num, log.log_index); };
  for (std::size_t i = 0; i < found.size(); ++i) {
    const LogEntry& log = found[i];
    if (log.block_num < first || log.block_num > last || !matches(filter, log) ||
        (i > 0 && place(found[i - 1]) >= place(log)))
      return chain_fail(ChainErrc::malformed,
                        "eth_getLogs: a log of block {} was not asked for, or out of order",
                        log.block_num);
  }
  return found;
}

}  // namespace assay::io
