// assay gateway keys add | list | revoke
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/gateway_verbs.hpp"
#include "cli/option_checks.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "services/gateway/store.hpp"

namespace assay::cli {
namespace {

struct GatewayKeysOptions {
  std::string data, name, budget, per = "month", key;
  bool make = false;
  std::optional<std::uint32_t> requests_per_min, tokens_per_min;
};

Result<int> add(const Context& context, const GatewayKeysOptions& options) {
  services::ApiKey key;
  key.id = services::new_api_key_id();
  key.name = options.name;
  key.created_s = io::SystemClock().now_s();
  TRY(key.period, services::parse_period(options.per));
  if (!options.budget.empty()) {
    const auto budget = market::parse_money(options.budget);
    if (!budget) return fail_in("--budget", budget.error());
    key.budget = *budget;
  }
  key.requests_per_min = options.requests_per_min;
  key.tokens_per_min = options.tokens_per_min;
  auto opened = services::Store::open_beside(options.data, options.make);
  if (!opened && opened.error().code == Errc::not_found)
    return fail(Errc::not_found,
                "no gateway was ever run in {}: give its --data folder, or say --new to make a key "
                "before its first run",
                options.data);
  if (!opened) return std::unexpected(opened.error());
  const auto store = std::move(*opened);
  TRY(const bool others, store->uses_api_keys());
  const std::string secret = services::new_api_key();
  CHECK_OK(store->add_api_key(key, services::api_key_hash(secret)));
  if (context.json()) {
    json::object out = services::to_json(key);
    out["secret"] = secret;
    context.print(out);
    return kOk;
  }
  fmt::print("{}\n", secret);
  fmt::print(stderr, "{} '{}': shown once, only its hash is kept{}\n", key.id, key.name,
             others ? "" : "; from now on this gateway answers nobody without a key");
  return kOk;
}

Result<int> list_keys(const Context& context, const GatewayKeysOptions& options) {
  TRY(const auto store, services::Store::open_beside(options.data));
  TRY(const auto keys, store->api_keys());
  const std::int64_t now = io::SystemClock().now_s();
  json::array rows;
  for (const services::ApiKey& key : keys) {
    const services::Spender spender{.api_key = key.id,
                                    .budget = key.budget,
                                    .since_s = services::period_start(key.period, now)};
    TRY(const auto spent, store->spent(spender));
    json::object row = services::to_json(key);
    row["spent"] = market::format_money(spent);
    rows.push_back(row);
    if (context.json()) continue;
    const auto limit = [](const std::optional<std::uint32_t>& n) {
      return n ? std::to_string(*n) : std::string("any");
    };
    fmt::print("{}  {:<16} {:<8} spent {}{}  requests/min {}  tokens/min {}\n", key.id, key.name,
               key.revoked_s ? "revoked" : "in use", market::format_money(spent),
               key.budget ? fmt::format(" of {} per {}", market::format_money(*key.budget),
                                        to_string(key.period))
                          : std::string(),
               limit(key.requests_per_min), limit(key.tokens_per_min));
  }
  if (context.json()) {
    context.print(json::object{{"keys", std::move(rows)}});
  } else if (keys.empty()) {
    fmt::print("no keys: whoever reaches the port may ask (`assay gateway keys add` makes one)\n");
  }
  return kOk;
}

Result<int> revoke(const Context& context, const GatewayKeysOptions& options) {
  TRY(const auto store, services::Store::open_beside(options.data));
  CHECK_OK(store->revoke_api_key(options.key, io::SystemClock().now_s()));
  if (context.json()) {
    context.print(json::object{{"revoked", options.key}});
  } else {
    fmt::print("revoked {}: refused from now on, also by a gateway that is running\n", options.key);
  }
  return kOk;
}

}  // namespace

void add_gateway_keys(CLI::App& gateway, Context& context) {
  CLI::App* keys = context.verb(gateway, "keys", "who may ask this gateway, and spend how much",
                                "assay gateway keys add --data ./buyer --name ci --budget 5.00");
  keys->require_subcommand(1);
  const auto o = std::make_shared<GatewayKeysOptions>();
  const auto verb = [&](const char* name, const char* purpose, const char* example,
                        Result<int> (*run)(const Context&, const GatewayKeysOptions&)) {
    CLI::App* out = context.verb(*keys, name, purpose, example);
    out->add_option("--data", o->data, "the gateway's data folder")->required();
    context.json_flag(out);
    context.on_run(out, [&context, o, run] { return run(context, *o); });
    return out;
  };
  CLI::App* making = verb("add", "make a key; printed once",
                          "assay gateway keys add --data ./buyer --name ci --budget 5.00 --per day "
                          "--requests-per-minute 60",
                          add);
  making->add_option("--name", o->name, "what to call it")
      ->required()
      ->check(parsed_by([](const std::string& name) -> Status {
        if (name.find_first_not_of(" \t\r\n") != std::string::npos) return {};
        return fail(Errc::invalid, "a key has a name");
      }));
  making->add_flag("--new", o->make, "before the gateway's first run: makes its folder");
  making->add_option("--budget", o->budget, "most it may spend (default: what the account has)")
      ->check(money_value());
  making->add_option("--per", o->per, "within one day, month, or ever (default month; UTC)")
      ->check(CLI::IsMember({"day", "month", "ever"}));
  making->add_option("--requests-per-minute", o->requests_per_min, "(default any)")
      ->check(CLI::Range(1, 1'000'000));
  making->add_option("--tokens-per-minute", o->tokens_per_min, "prompt and answer (default any)")
      ->check(CLI::Range(1, 1'000'000'000));
  verb("list", "every key, its limits and what it spent", "assay gateway keys list --data ./buyer",
       list_keys);
  verb("revoke", "refuse a key from now on", "assay gateway keys revoke ci --data ./buyer", revoke)
      ->add_option("KEY", o->key, "its id or name")
      ->required();
}

}  // namespace assay::cli
