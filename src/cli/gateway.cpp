// assay gateway
#include "services/gateway/gateway.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/gateway_verbs.hpp"
#include "cli/job_options.hpp"
#include "cli/kv_memory.hpp"
#include "cli/option_checks.hpp"
#include "cli/settlement_flags.hpp"
#include "cli/signing_key.hpp"
#include "cli/x402_flags.hpp"
#include "io/log.hpp"
#include "io/signals.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"

namespace assay::cli {
namespace {

struct GatewayOptions {
  services::GatewayOptions gateway;
  KeyOptions key;
  SettlementFlags ledger;
  X402Flags x402;
  std::string escrow = "1.00", max_price_in, max_price_out, audit = "local", audit_fee_max = "0.10",
              demand_from, min_stake, min_rebate, sort = "balanced";
  std::vector<std::string> only, ignore, order;
  double audit_rate = -1;
  std::uint64_t kv_memory_mib = 0;
  bool verify_before_stream = false, follow_reputation = false, private_auctions = false;
};

Result<services::GatewayOptions> gateway_options(const GatewayOptions& options) {
  services::GatewayOptions out = options.gateway;
  const auto price = [](const std::string& text, const char* flag,
                        std::optional<protocol::Micros>& ceiling) -> Status {
    if (text.empty()) return {};
    const auto parsed = market::parse_money(text);
    if (!parsed) return fail_in(flag, parsed.error());
    ceiling = *parsed;
    return {};
  };
  std::optional<protocol::Micros> escrow;
  CHECK_OK(price(options.escrow, "--escrow", escrow));
  if (escrow) out.escrow = *escrow;
  if (out.escrow <= 0) return fail(Errc::invalid, "--escrow must be more than nothing");
  std::optional<protocol::Micros> demand_from;
  CHECK_OK(price(options.demand_from, "--demand-from", demand_from));
  if (demand_from) out.demand_from = *demand_from;
  CHECK_OK(price(options.max_price_in, "--max-price-in", out.routing.max_price_in));
  CHECK_OK(price(options.max_price_out, "--max-price-out", out.routing.max_price_out));
  CHECK_OK(price(options.min_stake, "--min-stake", out.routing.min_stake));
  if (!options.min_rebate.empty()) {
    const auto rebate = market::parse_rebate(options.min_rebate);
    if (!rebate) return fail_in("--min-rebate", rebate.error());
    out.routing.min_rebate_ppm = *rebate;
  }
  TRY(out.routing.sort, market::parse_sort(options.sort));
  TRY(out.routing.only, parse_addresses(options.only, "--only"));
  TRY(out.routing.ignore, parse_addresses(options.ignore, "--ignore"));
  TRY(out.routing.order, parse_addresses(options.order, "--order"));
  std::optional<protocol::Micros> fee;
  CHECK_OK(price(options.audit_fee_max, "--audit-fee-max", fee));
  if (fee) out.audit_fee_max = *fee;
  if (options.audit == "hire") out.audit_by = services::AuditBy::hire;
  if (out.audit_by == services::AuditBy::hire && options.verify_before_stream)
    return fail(Errc::invalid,
                "--verify-before-stream needs --audit local: hired auditors take hours");
  out.audit_kv_bytes = kv_memory_bytes(options.kv_memory_mib);
  if (options.audit_rate >= 0) out.audit_rate = options.audit_rate;
  if (options.verify_before_stream) out.delivery = services::Delivery::verify_before_stream;
  return out;
}

Result<int> run_gateway(const Context& context, const GatewayOptions& options) {
  const io::StopSignal stop;
  CHECK_OK(io::setup_log("", "gateway"));
  TRY(services::GatewayOptions gateway, gateway_options(options));
  TRY(const crypto::SecretKey key, load_key(options.key));
  if (options.follow_reputation && options.ledger.on_chain())
    return fail(Errc::invalid, "--reputation replays an embedded ledger's log: a chain has none");
  settle::RemoteLedger log(options.ledger.market);
  if (options.follow_reputation)
    gateway.ledger_log = [&log](std::uint64_t from) { return log.log(from); };
  // The market passes them on where it has a log.
  if (!options.ledger.on_chain() && !options.private_auctions)
    gateway.log_append_url = options.ledger.market + "/log";
  const io::SystemClock clock;
  TRY(auto open, OpenSettlement::open(options.ledger, key, gateway.data_directory, clock,
                                      [&stop] { return stop.requested(); }));
  TRY(auto till,
      OpenTill::open(options.x402, options.ledger, open, key, gateway.data_directory, clock));
  gateway.till = till.till();
  gateway.purse = till.purse();
  TRY(gateway.x402_sellers, x402_sellers(options.x402));
  TRY(auto service,
      services::GatewayService::start(gateway, key, open.settlement(), open.board(), clock));
  const std::string buyer = crypto::address_of(key).to_string();
  if (context.json()) {
    json::array models;
    for (const std::string& model : service->models()) models.emplace_back(model);
    context.print(json::object{{"ready", "gateway"},
                               {"url", service->url()},
                               {"port", service->port()},
                               {"buyer", buyer},
                               {"models", std::move(models)},
                               {"data", gateway.data_directory}});
  } else {
    for (const std::string& skipped : service->skipped())
      fmt::print(stderr, "assay: left out {}\n", skipped);
    fmt::print("gateway ready on {}/v1 buyer {} models {}\n", service->url(), buyer,
               fmt::join(service->models(), ", "));
  }
  std::fflush(stdout);
  stop.wait();
  service->stop();
  return kOk;
}

}  // namespace

void add_gateway(CLI::App& app, Context& context) {
  auto* verb = context.verb(app, "gateway", "an OpenAI-compatible API in front of a market",
                            "assay gateway --market http://127.0.0.1:8790 --models models --key "
                            "buyer.json --data ./buyer --port 8787");
  const auto o = std::make_shared<GatewayOptions>();
  auto& g = o->gateway;
  add_settlement_flags(verb, o->ledger, true);
  add_x402_flags(verb, o->x402, "all others need an API key then");
  o->x402.otherwise = "an API key of this gateway does instead (Authorization: Bearer sk-assay-…)";
  add_pay_x402_flags(verb, o->x402);
  verb->add_option("--models", g.models_directory,
                   "folder of GGUF files to tokenize and audit with")
      ->required();
  add_key_options(verb, o->key, "the buyer's key")->required();
  verb->add_option("--data", g.data_directory, "folder for state, receipts and openings")
      ->required();
  verb->add_option("--address", g.address, "address to listen on (default 127.0.0.1)")
      ->check(listen_value());
  verb->add_flag("--allow-anyone", g.allow_anyone,
                 "on an address that others can reach: start without API keys, and let whoever "
                 "connects spend (`assay gateway keys add` says who may)");
  auto* cert =
      verb->add_option("--tls-cert", g.tls_cert_file, "PEM certificate to show (default: no TLS)");
  auto* cert_key = verb->add_option("--tls-key", g.tls_key_file, "PEM key of --tls-cert");
  cert->needs(cert_key);
  cert_key->needs(cert);
  verb->add_option("--port", g.port, "port (default: a free one)");
  verb->add_option("--streams", g.streams,
                   "requests answered at once; more are told to come again (default 1024)")
      ->check(CLI::Range(1, 16384));
  verb->add_option("--escrow", o->escrow, "held in one lease; the most one request may cost")
      ->default_str("1.00")
      ->check(money_value());
  verb->add_option("--max-price-in", o->max_price_in, "ceiling per million prompt tokens")
      ->check(money_value());
  verb->add_option("--max-price-out", o->max_price_out, "ceiling per million answer tokens")
      ->check(money_value());
  verb->add_option("--min-vram", g.routing.min_vram_mib, "least GPU memory of a provider, MiB");
  verb->add_option("--max-latency", g.routing.max_latency_ms,
                   "most ms to the first token: as measured, before that as offered");
  verb->add_option("--max-per-token", g.routing.max_per_token_ms, "most ms per token, likewise");
  verb->add_option("--min-stake", o->min_stake, "least stake of a provider")->check(money_value());
  verb->add_option("--min-rebate", o->min_rebate,
                   "least percent that a provider must take off an answer slower than it promised")
      ->check(rebate_value());
  verb->add_option("--rebate-margin", g.rebate_margin_ms,
                   "ms beyond the promise that the network is granted before a rebate is asked for "
                   "(default 100)");
  verb->add_option("--hedge", g.routing.hedge_ms,
                   "ask a second provider where the first has sent no token after so many ms; both "
                   "are paid for what they did (default: never)");
  verb->add_option("--regions", g.routing.regions, "only these regions: eu,us")->delimiter(',');
  verb->add_option("--quantizations", g.routing.quantizations, "only these: Q8_0,Q6_K")
      ->delimiter(',');
  verb->add_option("--only", o->only, "only these providers: 0xAb…,0xCd…")
      ->delimiter(',')
      ->check(address_value());
  verb->add_option("--ignore", o->ignore, "never these")->delimiter(',')->check(address_value());
  verb->add_option("--order", o->order, "these first, in this order")
      ->delimiter(',')
      ->check(address_value());
  verb->add_option("--sort", o->sort,
                   "who is asked first: balanced (price, speed and reliability, spread over those "
                   "about as good), price, throughput or latency (default balanced)")
      ->check(sort_value());
  verb->add_option("--audit-rate", o->audit_rate,
                   "share of receipts replayed, 0 to 1 (default: by price, stake and history)")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--audit", o->audit,
                   "who replays: local (this machine), or hire (auditors drawn on the ledger, who "
                   "see prompt and answer; default local)")
      ->check(CLI::IsMember({"local", "hire"}));
  verb->add_option("--auditors", g.auditors, "hired for one audit, 1 to 4 (default 1)")
      ->check(CLI::Range(1, 4));
  verb->add_option("--audit-fee-max", o->audit_fee_max, "most that each is paid (default 0.10)")
      ->check(money_value());
  verb->add_option("--spot-check", g.spot_check,
                   "share of hired auditors' passes that is checked, 0 to 1 (default 0.05); each "
                   "costs a bond if the auditor can answer")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option(
      "--settle-hold", g.settle_hold_s,
      "seconds before a receipt that was not audited is paid: longer than an audit and "
      "its dispute take (default 60; with --audit hire four moves of the ledger)");
  verb->add_option("--demand-from", o->demand_from,
                   "least amount claimed for an answer that never came at which it is demanded on "
                   "the ledger, under bond (default 0: always)")
      ->check(money_value());
  auto* log = verb->add_option("--log", g.log_url,
                               "URL of the transparency log that receipts must come into");
  auto* log_key = verb->add_option("--log-key", g.log_key, "its key (vkey)")->needs(log);
  log->needs(log_key);
  verb->add_option("--log-within", g.log_within_s,
                   "seconds after which a receipt that is not in the log is an alarm (default 60)")
      ->needs(log);
  verb->add_option("--audit-threads", g.audit_threads, "engine threads of an audit (default 1)")
      ->check(CLI::Range(1, 256));
  add_kv_memory(verb, o->kv_memory_mib, " of an audit");
  verb->add_flag("--allow-plain-http", g.limits.plain_http,
                 "use providers without TLS: whoever sits between reads prompts and answers");
  verb->add_option(
      "--latency-reports", g.latency_report_s,
      "say on the ledger so often how fast each provider answered, and when a lease ends, s; "
      "no prompt, no request, one figure a lease (default 3600; 0: never)");
  verb->add_flag("--private-auctions", o->private_auctions,
                 "keep records of auctions here, for good, instead of in the market's log");
  verb->add_flag("--reputation", o->follow_reputation,
                 "replay the ledger's log, and rank by what drawn auditors and disputes found, too "
                 "(see `assay reputation`)");
  verb->add_flag("--verify-before-stream", o->verify_before_stream,
                 "show nothing before its audit matched");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_gateway(context, *o); });
  add_gateway_keys(*verb, context);
  add_gateway_report(*verb, context);
  // What a gateway needs to run, these do not.
  for (CLI::App* beside : verb->get_subcommands({}))
    beside->preparse_callback([verb](std::size_t) {
      for (CLI::Option* option : verb->get_options()) option->required(false);
    });
}

}  // namespace assay::cli
