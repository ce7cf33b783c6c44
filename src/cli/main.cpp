#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <sys/stat.h>

#include "cli/cli.hpp"
#include "cli/option_checks.hpp"
#include "io/process.hpp"

namespace assay::cli {
namespace {

// Every verb, in the order --help lists them.
constexpr void (*kVerbs[])(CLI::App&, Context&) = {
    add_generate, add_tokenize, add_model, add_perplexity, add_bench,    add_keys,
    add_market,   add_ledger,   add_chain, add_log,        add_provider, add_gateway,
    add_auditor,  add_screen,   add_quote, add_reputation, add_job,      add_attack,
    add_verify,   add_receipt,  add_audit, add_up,         add_demo,
};

constexpr const char* kAbout =
    "An open market for AI inference where every answer can be re-run, bit for bit.";
constexpr const char* kFooter =
    "Exit codes: 0 it worked; 1 it failed or a check said no; 2 wrong usage.\n"
    "`assay VERB --help` shows a verb's options and an example.";

// The verb the command line had reached: "assay model id".
std::string verb_of(const CLI::App& app) {
  std::string out = app.get_name();
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    out += " " + at->get_name();
  }
  return out;
}

int run(int argc, char** argv) {
  Context context;
  CLI::App app(kAbout, "assay");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("assay ") + ASSAY_VERSION);
  app.require_subcommand(1);
  for (const auto add : kVerbs) add(app, context);
  refuse_negative_counts(app);
  if (argc <= 1) {
    std::fputs(app.help().c_str(), stderr);
    return kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    const bool json = std::any_of(
        argv + 1, argv + argc, [](const char* arg) { return std::string_view(arg) == "--json"; });
    if (json) context.assume_json();
    std::string line = error.what();
    std::ranges::replace(line, '\n', ' ');
    if (app.get_subcommands().empty() && argv[1][0] != '-')
      line = fmt::format("there is no verb '{}'", argv[1]);
    return context.report({Errc::invalid, fmt::format("{} (see `{} --help`)", line, verb_of(app))},
                          kUsage);
  }
  return context.run();
}

}  // namespace
}  // namespace assay::cli

int main(int argc, char** argv) {
  // Databases, their journals and logs may hold prompts, salts and seeds: for their owner alone.
  ::umask(077);
  assay::io::allow_many_files();
  return assay::cli::run(argc, argv);
}
