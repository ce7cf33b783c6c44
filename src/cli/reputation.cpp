// assay reputation: what the ledger's log proves about providers. The whole log is replayed first,
// so nobody has to be believed.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/ledger_replay.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "market/standing.hpp"

namespace assay::cli {
namespace {

using market::format_money;

struct ReputationOptions {
  std::string source, provider;
};

// Its buyers' word, and called so.
std::string claimed(const market::ClaimedLatency& l) {
  if (l.buyers == 0) return "no buyer says";
  return fmt::format("{} ms + {} ms a token, claimed by {} buyers", l.first_token_ms,
                     l.per_token_ms, l.buyers);
}

void print_reputation(const market::Standing& s) {
  fmt::print(
      "{}  proven {:5.1f} %  audited {:>5} by {:>3} buyers  convicted {:>2}  stake {:>8}  {}\n",
      s.provider.to_string(), static_cast<double>(s.proven_ppm) / 1e4, s.audited, s.buyers,
      s.convictions, format_money(s.stake), claimed(s.latency));
}

void print_whole(const market::Standing& s) {
  fmt::print(
      "provider     {}\nproven       {:.1f} % (from {:.3f} good and {:.3f} bad observations)\n"
      "audited      {} receipts of {} buyers, {} for drawn auditors, {} of it burned\n"
      "convicted    {} times, {} slashed\n"
      "disputes     {} won, {} open (not counted)\n"
      "earned       {} (not counted)\nstake        {}\n"
      "latency      {} (nine in ten answers; {} measured; not proven)\n",
      s.provider.to_string(), static_cast<double>(s.proven_ppm) / 1e4,
      static_cast<double>(s.good_milli) / 1e3, static_cast<double>(s.bad_milli) / 1e3, s.audited,
      s.buyers, format_money(s.fees), format_money(s.burned), s.convictions,
      format_money(s.slashed), s.disputes_won, s.disputes_open, format_money(s.earned),
      format_money(s.stake), claimed(s.latency), s.latency.answers);
}

Result<int> run_reputation(const Context& context, const ReputationOptions& options) {
  std::optional<market::Address> wanted;
  if (!options.provider.empty()) {
    TRY(wanted, market::Address::parse(options.provider));
  }
  TRY(const auto replayed, replay_ledger(options.source));
  const auto& state = replayed.state();
  const auto now =
      std::max(static_cast<std::uint64_t>(io::SystemClock().now_s()), state.totals.time);
  auto all = market::standings(state, now);
  if (wanted) {
    std::erase_if(all, [&](const market::Standing& s) { return s.provider != *wanted; });
    if (all.empty())
      return fail(Errc::not_found, "{} was never the provider of a lease on this ledger",
                  wanted->to_string());
  }
  if (context.json()) {
    json::array rows;
    for (const auto& s : all) rows.push_back(market::to_json(s));
    context.print(json::object{
        {"operations", state.totals.operations}, {"time", now}, {"providers", std::move(rows)}});
  } else if (wanted) {
    print_whole(all.front());
  } else {
    fmt::print("{} operations replayed\n", state.totals.operations);
    if (all.empty()) fmt::print("nobody was leased from yet\n");
    for (const auto& s : all) print_reputation(s);
  }
  return kOk;
}

}  // namespace

void add_reputation(CLI::App& app, Context& context) {
  auto* verb = context.verb(app, "reputation",
                            "what a ledger's log proves about its providers: audits by drawn "
                            "auditors, convictions",
                            "assay reputation http://127.0.0.1:8790");
  const auto o = std::make_shared<ReputationOptions>();
  verb->add_option("SOURCE", o->source, "ledger.db, a market's data folder, or a host's address")
      ->required();
  verb->add_option("PROVIDER", o->provider, "only this one, in full");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_reputation(context, *o); });
}

}  // namespace assay::cli
