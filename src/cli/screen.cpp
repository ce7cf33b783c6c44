// assay screen: who would answer, at what price, and why the others would not. Reads the board and
// the ledger only; no key, no gateway.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/job_options.hpp"
#include "market/money.hpp"
#include "market/relaxation.hpp"

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
    fmt::print("{}  {}  {:<14} in {:>8} out {:>8} per million  stake {}  {}\n", green("fits   "),
               offer.provider.to_string(), model.name, market::format_money(model.price_in),
               market::format_money(model.price_out), market::format_money(c.stake),
               offer.endpoint);
  }
  print_refused(screening);
}

Result<int> run(const Context& context, const JobOptions& options) {
  TRY(const market::Job job, job_of(options));
  TRY(const MarketReading reading, read_market(options.market));
  const auto screening = market::screen(reading.offers, job, reading.facts, reading.now);
  const bool none = screening.fitting.empty();
  if (context.json()) {
    json::object out = market::to_json(screening);
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
  const auto o = std::make_shared<JobOptions>();
  add_job_options(verb, *o);
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run(context, *o); });
}

}  // namespace assay::cli
