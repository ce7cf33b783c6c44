// assay verify
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/evidence_trust.hpp"
#include "cli/model_file.hpp"
#include "cli/receipt_input.hpp"
#include "cli/verify_batch.hpp"

namespace assay::cli {
namespace {

struct VerifyOptions {
  std::vector<std::string> files, require;
  std::string opening, model;
  TrustOptions trust;
  unsigned threads = 0;
  bool batch = false;
};

void print_group(const verify::VerifyReport& report, verify::Standing standing,
                 std::string_view title) {
  bool first = true;
  for (const auto& finding : report.findings) {
    if (finding.standing != standing) continue;
    if (first) fmt::print("{}\n", bold(title));
    first = false;
    const std::string mark = standing == verify::Standing::proven   ? green("✓")
                             : standing == verify::Standing::failed ? red("✗")
                                                                    : dim("·");
    fmt::print("  {} {:<18} {}\n", mark, finding.code, finding.text);
  }
}

// The four things people ask first.
void print_summary(const verify::VerifyReport& report) {
  fmt::print("{}\n", bold("In short"));
  for (const auto& question : verify::kQuestions) {
    const auto* finding = report.find(question.code);
    const auto standing = finding == nullptr ? verify::Standing::unchecked : finding->standing;
    const std::string word(standing == verify::Standing::unchecked ? "unknown"
                                                                   : to_string(standing));
    fmt::print("  {:<15} {}\n", question.text,
               standing == verify::Standing::proven   ? green(word)
               : standing == verify::Standing::failed ? red(word)
                                                      : word);
  }
}

void print_words(const verify::VerifyReport& report, const std::vector<std::string>& missing) {
  using verify::Standing;
  print_summary(report);
  print_group(report, Standing::failed, "Failed");
  print_group(report, Standing::proven, "Proven by this file");
  print_group(report, Standing::claimed, "Only claimed");
  print_group(report, Standing::unchecked, "Unknown: not checked here");
  print_group(report, Standing::caveat, "What this does not mean");
  if (!report.ok())
    fmt::print("\n{}\n", red("The receipt does not hold: see Failed above."));
  else if (!missing.empty())
    fmt::print("\n{}\n", red(fmt::format("The receipt holds, but not proven was: {}.",
                                         fmt::join(missing, ", "))));
  else
    fmt::print("\n{}\n", green("The receipt holds."));
}

Result<int> run_one(const Context& context, const VerifyOptions& options, verify::Given given) {
  TRY(const verify::Exhibit evidence, read_evidence(options.files[0]));
  std::optional<protocol::Opening> opening;
  if (!options.opening.empty()) {
    TRY(opening, read_opening(options.opening));
    given.opening = &*opening;
  }
  std::optional<verify::ModelIdentity> identity;
  if (!options.model.empty()) {
    TRY(const ModelFile model, ModelFile::open(options.model));
    ThreadPool pool(thread_count(options.threads));
    TRY(identity, model.identity(pool));
    given.identity = &*identity;
  }
  const auto report = verify::verify_evidence(evidence, given);
  const auto missing = not_proven(report, options.require);
  if (context.json()) {
    json::object out = to_json(evidence, report);
    out["ok"] = report.ok() && missing.empty();
    out["not_proven"] = json::array(missing.begin(), missing.end());
    context.print(out);
  } else {
    print_words(report, missing);
  }
  return report.ok() && missing.empty() ? kOk : kFailed;
}

Result<int> run_verify(const Context& context, const VerifyOptions& options) {
  TRY(const Trust trust, Trust::load(options.trust));
  if (options.batch) {
    if (!options.opening.empty() || !options.model.empty())
      return fail(Errc::invalid, "--opening and --model are for one file, not for --batch");
    return verify_batch(context, options.files, options.require, trust.given(),
                        thread_count(options.threads));
  }
  if (options.files.size() != 1)
    return fail(Errc::invalid, "{} files: give one, or --batch for many", options.files.size());
  return run_one(context, options, trust.given());
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  CLI::App* verb =
      context.verb(app, "verify", "what a receipt proves, only claims, or leaves open",
                   "assay verify receipt.json --opening opening.json --model tern.gguf\n"
                   "  assay verify evidence.json --log-key example.com/log+… --witness-key "
                   "example.org/w1+… --require who,when,weights,output\n"
                   "  assay verify --batch receipts/\n\n"
                   "Offline. FILE is a receipt file, its COSE or DSSE export, or a bundle. Exit 0 "
                   "only when nothing\n"
                   "failed and all that --require asks for is proven.");
  const auto options = std::make_shared<VerifyOptions>();
  verb->add_option("FILE", options->files, "receipt, COSE, DSSE or bundle; --batch: also folders")
      ->required();
  verb->add_option("--opening", options->opening, "the secrets beside it: prompt, answer, salt");
  verb->add_option("--model", options->model, "the GGUF file it should be about");
  add_log_trust_options(verb, options->trust);
  add_model_trust_options(verb, options->trust);
  verb->add_option("--require", options->require,
                   "what must be proven: who, when, weights, output, or the name of a finding "
                   "(log, prompt, model, file.signed, …); separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_flag("--batch", options->batch, "verify many files, and name those that fail");
  verb->add_option("--threads", options->threads, "threads (default: all)")
      ->check(CLI::Range(1, 1024));
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return run_verify(context, *options); });
}

}  // namespace assay::cli
