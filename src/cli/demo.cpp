// assay demo
#include <CLI/CLI.hpp>
#include <sys/stat.h>

#include "cli/cli.hpp"
#include "cli/demo_story.hpp"
#include "io/dev_chain.hpp"
#include "io/files.hpp"
#include "io/signals.hpp"

namespace assay::cli {
namespace {

struct DemoOptions {
  std::string data, models = "models", settlement = "embedded", anvil;
};

// A folder that stays, so that its receipts can be looked at afterwards.
Result<std::string> demo_folder(const std::string& asked) {
  if (!asked.empty()) {
    if (io::path_exists(asked))
      return fail(Errc::conflict, "{} exists: a demo starts in a folder of its own", asked);
    CHECK_OK(io::make_directories(asked, 0700));
    return asked;
  }
  TRY(io::TempDirectory made, io::TempDirectory::create("assay-demo"));
  const std::string path = made.path();
  made.keep();
  return path;
}

Result<int> run_demo(const Context& context, const DemoOptions& options) {
  const io::StopSignal stop;
  std::string anvil = options.anvil;
  if (options.settlement == "evm" && anvil.empty()) {
    TRY(anvil, io::find_anvil());
  }
  if (!anvil.empty() && !io::path_exists(anvil))
    return fail(Errc::not_found, "--anvil: there is no {}", anvil);
  TRY(const std::string folder, demo_folder(options.data));
  DemoStory story(folder, options.models, !context.json(), [&] { return stop.requested(); });
  if (options.settlement == "evm") story.settle_on_chain(anvil);
  const auto told = story.tell();
  if (!told) {
    if (told.error().code == Errc::cancelled)
      return fail(Errc::cancelled, "stopped; what the demo wrote is in {}", folder);
    return std::unexpected(told.error());
  }
  if (context.json()) context.print(story.document());
  return story.all_happened() ? kOk : kFailed;
}

}  // namespace

void add_demo(CLI::App& app, Context& context) {
  auto* verb =
      context.verb(app, "demo", "a whole market on this machine, with a cheat that is caught",
                   "assay demo --models models");
  const auto o = std::make_shared<DemoOptions>();
  verb->add_option("--models", o->models, "folder with tern-q8_0.gguf (default ./models)");
  verb->add_option("--data", o->data,
                   "folder to create and leave behind (default: a new one in /tmp)");
  verb->add_option("--settlement", o->settlement,
                   "embedded, or evm: contracts on a chain of its own (default embedded)")
      ->check(CLI::IsMember({"embedded", "evm"}));
  verb->add_option("--anvil", o->anvil,
                   "the chain's program (default: where `make setup` puts it)");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_demo(context, *o); });
}

}  // namespace assay::cli
