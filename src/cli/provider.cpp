// assay provider, assay provider status
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/provider_verb.hpp"
#include "market/money.hpp"
#include "services/provider/provider_store.hpp"

namespace assay::cli {
namespace {

struct ProviderOptions {
  ProviderFlags flags;
  std::vector<std::string> models;
  std::string status_data;
};

Result<int> serve_provider(const Context& context, const ProviderOptions& options) {
  if (options.models.empty())
    return context.report({Errc::invalid, "--model is required (see --help)"}, kUsage);
  if (options.models.size() > 1 && !options.flags.name.empty())
    return context.report({Errc::invalid, "--name names one model: give it with one --model"},
                          kUsage);
  std::vector<ModelFile> files;
  for (const auto& path : options.models) {
    TRY(auto file, ModelFile::open(path));
    files.push_back(std::move(file));
  }
  std::vector<Offered> offered;
  for (const ModelFile& file : files) offered.push_back({&file, &file});
  return run_provider(context, options.flags, offered);
}

Result<int> provider_status(const Context& context, const ProviderOptions& options) {
  TRY(const auto store,
      services::ProviderStore::open_existing(options.status_data + "/provider.db"));
  TRY(const auto totals, store->totals());
  if (context.json()) {
    context.print(json::object{{"requests", totals.requests},
                               {"receipts", totals.receipts},
                               {"answer_tokens", totals.tokens_out},
                               {"receipted", std::to_string(totals.receipted)},
                               {"open_leases", totals.open_leases}});
    return kOk;
  }
  fmt::print("requests       {}\nreceipts       {} over {}\nanswer tokens  {}\nopen leases    {}\n",
             totals.requests, totals.receipts, market::format_money(totals.receipted),
             totals.tokens_out, totals.open_leases);
  return kOk;
}

}  // namespace

void add_provider(CLI::App& app, Context& context) {
  CLI::App* verb = context.verb(
      app, "provider", "serve models for money: offers, receipts, claims",
      "assay provider --model models/tern-q8_0.gguf --price-in 0.30 --price-out 1.20 \\\n"
      "    --market http://127.0.0.1:8790 --key key.json --data ./provider --stake 5.00");
  const auto options = std::make_shared<ProviderOptions>();
  verb->add_option("--model", options->models, "GGUF file to serve (may be given again)");
  add_provider_flags(verb, options->flags);
  context.json_flag(verb);
  CLI::App* report = context.verb(*verb, "status", "what a provider's data folder says it earned",
                                  "assay provider status --data ./provider");
  report->add_option("--data", options->status_data, "the provider's folder")->required();
  context.json_flag(report);
  context.on_run(verb, [&context, options, report] {
    return report->parsed() ? provider_status(context, *options)
                            : serve_provider(context, *options);
  });
}

}  // namespace assay::cli
