// assay attack: adversaries for one's own market. They are documented and open, need no secret
// knowledge, and exist so that what the market catches can be watched (`assay demo`) and tested.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/attack_delivery.hpp"
#include "cli/attacks.hpp"
#include "cli/cli.hpp"
#include "cli/provider_verb.hpp"

namespace assay::cli {
namespace {

struct Options {
  ProviderFlags flags;
  std::string serve, claim;
};

// The service computes with one file what its offer and receipts say about another; nothing in it
// knows.
Result<int> model_swap(const Context& context, const Options& options) {
  TRY(const ModelFile serve, ModelFile::open(options.serve));
  TRY(const ModelFile claim, ModelFile::open(options.claim));
  if (serve.model->hyper().vocab != claim.model->hyper().vocab)
    return fail(Errc::invalid, "{} has {} tokens, {} has {}: nobody would be fooled", options.serve,
                serve.model->hyper().vocab, options.claim, claim.model->hyper().vocab);
  const Offered offered[] = {{&serve, &claim}};
  fmt::print(stderr,
             "assay: this provider cheats on purpose: it computes with {} and signs for {}. It "
             "loses its stake when it is audited.\n",
             options.serve, options.claim);
  return run_provider(context, options.flags, offered);
}

}  // namespace

void add_attack(CLI::App& app, Context& context) {
  CLI::App* attack =
      context.verb(app, "attack", "adversaries to try on your own market",
                   "assay attack model-swap --serve worse.gguf --claim better.gguf …");
  attack->require_subcommand(1);
  add_attack_delivery(*attack, context);
  CLI::App* verb = context.verb(
      *attack, "model-swap", "a provider that runs a worse model under a better one's name",
      "assay attack model-swap --serve models/tern-worse-q8_0.gguf --claim models/tern-q8_0.gguf "
      "\\\n    --price-in 0.10 --price-out 0.40 --market http://127.0.0.1:8790 --key key.json \\\n"
      "    --data ./cheat --stake 5.00");
  const auto options = std::make_shared<Options>();
  verb->add_option("--serve", options->serve, "GGUF file that computes")->required();
  verb->add_option("--claim", options->claim, "GGUF file it says it is")->required();
  add_provider_flags(verb, options->flags);
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return model_swap(context, *options); });
  add_auditor_attacks(*attack, context);
}

}  // namespace assay::cli
