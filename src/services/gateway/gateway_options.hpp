// How a gateway is set up: what its flags say.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "services/gateway/api_request.hpp"
#include "services/gateway/provider_client.hpp"
#include "verify/replay.hpp"

namespace assay::settle::x402 {
class Till;
class Purse;
}  // namespace assay::settle::x402

namespace assay::services {

// Who replays what is drawn for an audit.
enum class AuditBy {
  local,  // this gateway, with its own model file
  hire,   // auditors drawn on the ledger: they see prompt and answer
};

struct GatewayOptions {
  std::string data_directory;    // state, receipts, openings; one gateway at a time
  std::string models_directory;  // GGUF files
  std::string address = "127.0.0.1";
  // Where others than this machine can connect, a gateway without API keys does not start.
  bool allow_anyone = false;
  std::string tls_cert_file, tls_key_file;  // PEM; both, or none: in the clear
  std::uint16_t port = 0;                   // 0: any free port
  unsigned streams = 1024;  // requests answered at once, a thread each; more get a 503

  protocol::Micros escrow = 1'000'000;  // held in one lease; also the most one request may cost
  Routing routing;                      // what a request's own `provider` object overrides
  // Rows of the ledger's log from one on, as text; null: ranking knows this buyer's record only.
  std::function<Result<std::string>(std::uint64_t)> ledger_log;
  // How fast each lease's answers were is said on the ledger so often, and at its end; 0: never.
  std::uint64_t latency_report_s = 3600;
  Delivery delivery = Delivery::stream_then_verify;
  std::optional<double> audit_rate;  // share of receipts audited, 0…1; none: by policy
  // A receipt that was not drawn is settled so many seconds after it came: longer than an audit and
  // its dispute take, so that no lie is paid beside one that is found (docs/decisions/0009). None:
  // 60, or four moves of the ledger where audits are hired.
  std::optional<std::uint64_t> settle_hold_s;

  // An answer is later than promised (protocol/rebates.hpp) when it is so by more than this, which
  // the network may take; and a provider is waited for so long with its answer before it is paid in
  // full.
  std::uint32_t rebate_margin_ms = 100;
  std::int64_t rebate_wait_s = 60;

  // A claimed answer that never came is demanded on the ledger from this amount on; under it the
  // claim is left alone. A demand costs the dispute bond if the provider delivers.
  protocol::Micros demand_from = 0;

  AuditBy audit_by = AuditBy::local;
  std::uint32_t auditors = 1;                // hired for one audit
  protocol::Micros audit_fee_max = 100'000;  // for each; more is not offered
  double spot_check =
      0.05;  // share of passes that are checked; each costs a bond, lost if it stands
  std::uint64_t lease_s = 86'400;  // life of a lease
  // Challenge window; 0: the ledger's minimum, or four of its moves where audits are hired.
  std::uint64_t window_s = 0;
  // A request's expiry after signing, of one that may be asked for again 120 s at most; and how
  // long a receipt that did not come is asked for.
  std::uint64_t request_s = 900;
  unsigned attempts = 4;        // providers tried for one answer
  unsigned batch_parallel = 4;  // lines of a batch answered at once
  ProviderLimits limits;
  std::int64_t pick_up_ms = 3'000;  // how long an answer waits for the receipt of a stopped stream
  std::int64_t market_ttl_ms = 1'000;  // age of cached offers and accounts
  std::int64_t retry_ms = 250;         // first wait of background work that failed; doubles to 60 s
  // The transparency log that receipts must be in, and its verifier key; empty: not looked at.
  std::string log_url, log_key;
  std::uint64_t log_within_s = 60;  // a receipt that is not there by then is an alarm
  // Append side of the market's log, through the market: auctions' records are published there once
  // they are over; empty: nowhere.
  std::string log_append_url;
  // Sells answers to whoever pays by x402 (x402_door.hpp), and then asks all others for an API key;
  // outlives the gateway. Null: nobody pays so.
  settle::x402::Till* till = nullptr;
  // Pays the sellers of models "x402/NAME" (x402_sellers.hpp), by name; outlives the gateway. Null:
  // there are none.
  settle::x402::Purse* purse = nullptr;
  std::map<std::string, std::string> x402_sellers{};

  unsigned audit_threads = 1;
  std::size_t audit_kv_bytes = verify::kReplayKvBytes;  // an audit beyond it cannot be done
};

}  // namespace assay::services
