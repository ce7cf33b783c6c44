// assay screen: who would answer, at what price, and why the others would not. Reads the board and
// the ledger only; no key, no gateway.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/job_options.hpp"
#include "cli/ledger_replay.hpp"
#include "market/money.hpp"
#include "market/relaxation.hpp"
#include "market/standing.hpp"

namespace assay::cli {
namespace {

void print_table(const market::Screening& screening) {
  if (screening.fitting.empty() && screening.refused.empty()) {
    fmt::print("no offers on this board\n");
    return;
  }
  for (const auto& c : screening.fitting) {
    const auto& offer = c.offer.message;
    const auto& model = offer.models[c.model];
    fmt::print(
        "{}  {}  {:<14} in {:>8} out {:>8} per million  {} ms + {} ms a token {}  stake {}  {}\n",
        green("fits   "), offer.provider.to_string(), model.name,
        market::format_money(model.price_in), market::format_money(model.price_out),
        c.speed.first_token_ms, c.speed.per_token_ms, market::to_string(c.speed.by),
        market::format_money(c.stake), offer.endpoint);
  }
  print_refused(screening);
}

struct ScreenOptions : JobOptions {
  bool reputation = false;
};

// What the ledger's log proves about these providers, and what buyers claim there.
Status learn(MarketReading& reading, const std::string& market) {
  TRY(const auto replayed, replay_ledger(market));
  const auto now = std::max(reading.now, replayed.state().totals.time);
  for (const auto& standing : market::standings(replayed.state(), now))
    if (const auto it = reading.facts.find(standing.provider); it != reading.facts.end())
      market::learn(it->second.record, standing);
  return {};
}

Result<int> run_screen(const Context& context, const ScreenOptions& options) {
  TRY(const market::Job job, job_of(options));
  TRY(MarketReading reading, read_market(options.market));
  if (options.reputation) CHECK_OK(learn(reading, options.market));
  const auto screening = market::screen(reading.offers, job, reading.facts, reading.now);
  const bool none = screening.fitting.empty();
  const OfferedModels there = offered_models(reading, job);
  warn_of_name(there, job);
  if (context.json()) {
    json::object out = market::to_json(screening);
    out["executions"] = executions_json(there);
    std::optional<market::Relaxation> best;
    if (none) best = market::cheapest_relaxation(reading.offers, job, reading.facts, reading.now);
    out["relaxation"] = best ? json::value(market::to_json(*best)) : json::value();
    context.print(out);
  } else {
    print_table(screening);
    if (none) print_relaxation(reading, job);
  }
  return none ? kFailed : kOk;
}

}  // namespace

void add_screen(CLI::App& app, Context& context) {
  auto* verb =
      context.verb(app, "screen", "which offers fit, and why the others do not (exit 1: none)",
                   "assay screen --market http://127.0.0.1:8790 --model tern-q8_0 "
                   "--max-price-out 1.00");
  const auto o = std::make_shared<ScreenOptions>();
  add_job_options(verb, *o);
  verb->add_flag(
      "--reputation", o->reputation,
      "replay the ledger's log: what it proves counts in the ranking, and buyers' reports "
      "of a provider that is slower than it says (marked 'claimed by buyers')");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_screen(context, *o); });
}

}  // namespace assay::cli
