// assay gateway report
#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "cli/gateway_verbs.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "services/gateway/store.hpp"

namespace assay::cli {
namespace {

struct GatewayReportOptions {
  std::string data;
  std::vector<std::string> by{"model", "provider", "key"};
  std::uint32_t days = 30;
};

Result<int> run_gateway_report(const Context& context, const GatewayReportOptions& options) {
  TRY(const auto store, services::Store::open_beside(options.data));
  TRY(const auto keys, store->api_keys());
  std::map<std::string, std::string> names;
  for (const services::ApiKey& key : keys) names[key.id] = key.name;
  const std::int64_t since = io::SystemClock().now_s() - std::int64_t{86'400} * options.days;
  json::object out{{"days", options.days}};
  if (!context.json())
    fmt::print(
        "Receipts of the last {} days. Verified: replayed, and every bit matched; the others "
        "were covered by the draw.\n",
        options.days);
  for (const std::string& name : options.by) {
    TRY(const auto by, services::parse_spending_by(name));
    TRY(const auto rows, store->spending(by, since));
    json::array list;
    if (!context.json())
      fmt::print("\n{:<44} {:>8} {:>8} {:>8} {:>10} {:>10} {:>12} {:>12} {:>10} {:>8}\n",
                 "by " + name, "answers", "verified", "refunded", "tokens in", "out", "spent",
                 "per verified", "rebates", "refused");
    for (const services::Spending& row : rows) {
      json::object shown = services::to_json(row);
      std::string of = row.of;
      if (by == services::SpendingBy::key) {
        const auto known = names.find(row.of);
        of = row.of.empty() ? "(no key)" : known == names.end() ? row.of : known->second;
        shown["name"] = row.of.empty() ? json::value() : json::value(of);
      }
      list.push_back(std::move(shown));
      const auto price = services::per_verified(row);
      if (!context.json())
        fmt::print("{:<44} {:>8} {:>8} {:>8} {:>10} {:>10} {:>12} {:>12} {:>10} {:>8}\n", of,
                   row.answers, row.verified, row.refunded, row.tokens_in, row.tokens_out,
                   market::format_money(row.settled + row.owed),
                   price ? market::format_money(*price) : "-", market::format_money(row.rebated),
                   row.rebates_refused);
    }
    out[name] = std::move(list);
  }
  if (context.json()) context.print(out);
  return kOk;
}

}  // namespace

void add_gateway_report(CLI::App& gateway, Context& context) {
  CLI::App* verb = context.verb(
      gateway, "report", "what was spent, by model, provider and key, and per verified answer",
      "assay gateway report --data ./buyer --days 7 --json");
  const auto o = std::make_shared<GatewayReportOptions>();
  verb->add_option("--data", o->data, "the gateway's data folder")->required();
  verb->add_option("--by", o->by, "model, provider, key (default all)")
      ->delimiter(',')
      ->check(CLI::IsMember({"model", "provider", "key"}));
  verb->add_option("--days", o->days, "how far back (default 30)")->check(CLI::Range(1, 36'500));
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_gateway_report(context, *o); });
}

}  // namespace assay::cli
