// assay up
#include <CLI/CLI.hpp>
#include <filesystem>

#include "cli/cli.hpp"
#include "cli/local_market.hpp"
#include "io/signals.hpp"

namespace assay::cli {
namespace {

struct UpOptions {
  std::string data = "assay-data", model, models;
  std::uint16_t port = 8787, market_port = 0;
  unsigned providers = 2;
};

LocalMarketOptions market_options(const UpOptions& options) {
  LocalMarketOptions out;
  out.data = options.data;
  out.models = options.models;
  out.market_port = options.market_port;
  out.gateway_port = options.port;
  out.log = true;
  constexpr const char* kNames[] = {"alder", "birch", "cedar", "elm"};
  for (unsigned i = 0; i < options.providers; ++i)
    out.providers.push_back({.name = kNames[i],
                             .model = options.model,
                             .claims = {},
                             .price_in = i % 2 == 0 ? "0.30" : "0.35",
                             .price_out = i % 2 == 0 ? "0.60" : "0.70",
                             .stake = "5.00",
                             .region = "local"});
  return out;
}

Result<int> run_up(const Context& context, const UpOptions& options) {
  const io::StopSignal stop;
  auto market = LocalMarket::start(market_options(options), [&] { return stop.requested(); });
  if (!market && market.error().code == Errc::cancelled) return kOk;
  if (!market) return std::unexpected(std::move(market).error());
  if (context.json()) {
    context.print(json::object{{"ready", "up"},
                               {"url", market->gateway_url()},
                               {"market", market->market_url()},
                               {"log", market->log_url()},
                               {"log_vkey", market->log_vkey()},
                               {"data", options.data}});
  } else {
    fmt::print(
        "{}\n"
        "  gateway   {}/v1   any OpenAI client, any API key\n"
        "  ledger    {}\n"
        "  log       {}   {}\n"
        "  data      {}   receipts in {}/receipts\n\n"
        "try  curl {}/v1/chat/completions -d '{{\"model\":\"{}\",\"messages\":"
        "[{{\"role\":\"user\",\"content\":\"What is 27 + 48?\"}}]}}'\n"
        "Ctrl-C stops everything; the same command continues where it left off.\n",
        bold("A market is up on this machine."), market->gateway_url(), market->market_url(),
        market->log_url(), market->log_vkey(), options.data, market->party("buyer").data,
        market->gateway_url(), std::filesystem::path(options.model).stem().string());
  }
  std::fflush(stdout);
  while (!stop.wait(500))
    if (const auto dead = market->dead(); !dead.empty()) {
      market->stop();
      return fail(Errc::unavailable, "{}", dead);
    }
  market->stop();
  return kOk;
}

}  // namespace

void add_up(CLI::App& app, Context& context) {
  auto* verb =
      context.verb(app, "up", "start a whole market on loopback: ledger, log, providers, gateway",
                   "assay up --models models --model models/tern-q8_0.gguf");
  const auto o = std::make_shared<UpOptions>();
  verb->add_option("--data", o->data, "folder for keys, ledger, receipts (default ./assay-data)");
  verb->add_option("--model", o->model, "GGUF the providers serve")
      ->default_str("models/tern-q8_0.gguf");
  verb->add_option("--models", o->models, "folder of GGUFs the gateway tokenizes and audits with")
      ->default_str("models");
  verb->add_option("--port", o->port, "of the gateway (default 8787; 0 takes a free one)");
  verb->add_option("--market-port", o->market_port, "of the ledger (default: a free one)");
  verb->add_option("--providers", o->providers, "how many (default 2)")->check(CLI::Range(1, 4));
  context.json_flag(verb);
  o->model = "models/tern-q8_0.gguf";
  o->models = "models";
  context.on_run(verb, [&context, o] { return run_up(context, *o); });
}

}  // namespace assay::cli
