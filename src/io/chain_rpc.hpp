// An Ethereum node over JSON-RPC: several endpoints, one deadline per call. A call goes to the
// first endpoint that is not resting; one that fails rests for a doubling, jittered while and the
// next is asked. Only an endpoint whose eth_chainId is the expected one is ever used.
//
// Trust: an endpoint can lie about anything but a signature. Whoever needs more lists an own node.
// Every call sent twice is harmless: reads, and raw transactions, which their nonce makes unique.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "crypto/transaction.hpp"
#include "io/chain_json.hpp"
#include "io/http_client.hpp"

namespace assay::io {

// Time and chance for retries; a test's own stands still and draws what it says.
struct Pacer {
  virtual ~Pacer() = default;
  virtual std::int64_t now_ms() const = 0;  // steady
  virtual void wait_ms(std::int64_t ms) = 0;
  virtual std::uint64_t random() = 0;
};
Pacer& system_pacer();

struct ChainRpcOptions {
  std::vector<std::string> endpoints{};  // in order of preference; secrets in a path are not logged
  std::uint64_t chain_id = 0;            // 0: whatever the first endpoint to answer serves
  std::string ca_file{};                 // PEM; empty: the system's authorities
  std::int64_t attempt_timeout_ms = 10'000;
  std::int64_t deadline_ms = 30'000;  // of a call, retries included
  std::int64_t rest_first_ms = 250, rest_most_ms = 15'000;
  std::size_t max_reply_bytes = 8u << 20;
  // True: this process is stopping, and calls that last longer than a moment are given up.
  std::function<bool()> stopping{};
};

struct CallRequest {
  std::optional<Address> from{}, to{};
  Uint256 value{};
  Bytes data{};
};

struct LogFilter {
  std::vector<Address> addresses{};                        // any of them; empty: all
  std::vector<std::optional<std::vector<Hash>>> topics{};  // per position: any of; nullopt: all
};

// "latest", "pending", "safe", "finalized", "earliest", or to_quantity(number).
using BlockTag = std::string;

// Safe for many threads.
class ChainRpc {
 public:
  explicit ChainRpc(ChainRpcOptions options, Pacer& pacer = system_pacer());

  // Any method; the typed ones below are made of it.
  ChainResult<json::value> call(std::string_view method, const json::array& params);

  ChainResult<std::uint64_t> chain_id();
  ChainResult<std::optional<BlockHeader>> block(const BlockTag& tag);
  ChainResult<BlockHeader> head();  // "latest", which every node has
  ChainResult<Uint256> balance(const Address& of);
  ChainResult<std::uint64_t> nonce(const Address& of, const BlockTag& tag);
  ChainResult<std::uint64_t> estimate_gas(const CallRequest& request, const BlockTag& tag);
  ChainResult<Bytes> eth_call(const CallRequest& request, const BlockTag& tag);
  ChainResult<FeeHistory> fee_history(unsigned blocks, unsigned percentile);
  ChainResult<std::uint64_t> max_priority_fee();
  // The hash the node computed is checked against ours.
  ChainResult<void> send_raw(const crypto::SignedTransaction& transaction);
  ChainResult<std::optional<ChainReceipt>> receipt(const Hash& transaction);
  // Of blocks first … last, both included, in order; what does not match the filter is malformed.
  ChainResult<std::vector<LogEntry>> logs(const LogFilter& filter, std::uint64_t first,
                                          std::uint64_t last);

  // Changes whenever another endpoint answers than before: two answers with an equal value
  // around them come from one endpoint.
  std::uint64_t switches() const;

 private:
  struct Endpoint {
    std::string url{}, name{};  // the name is the URL's origin
    bool checked = false;       // its chain id
    std::int64_t rest_ms = 0, rests_until_ms = 0;
    std::optional<ChainError> wrong{};  // for ever
  };

  ChainResult<json::value> attempt(std::size_t at, std::string_view method,
                                   const json::array& params, std::int64_t until_ms);
  ChainResult<json::value> post(std::size_t at, std::string_view method, const json::array& params,
                                std::int64_t until_ms);
  ChainResult<void> check_chain(std::size_t at, std::int64_t until_ms);
  // The endpoint to ask next, or after how long one stops resting; nullopt: none is left.
  struct Choice {
    std::size_t at = 0;
    std::int64_t wait_ms = 0;
  };
  std::optional<Choice> choose();
  void rest(std::size_t at, const ChainError& why);
  bool given_up();

  ChainRpcOptions options_;
  Pacer& pacer_;
  HttpClient http_;
  mutable std::mutex mutex_;  // all below
  std::vector<Endpoint> endpoints_;
  std::uint64_t next_id_ = 1, switches_ = 0, expected_chain_ = 0;
  std::size_t last_ = 0;
  std::atomic<std::int64_t> stopping_since_ms_ = 0;
};

}  // namespace assay::io
