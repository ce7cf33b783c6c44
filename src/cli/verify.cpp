// assay verify
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/model_file.hpp"
#include "cli/receipt_input.hpp"
#include "cli/verify_batch.hpp"

namespace assay::cli {
namespace {

struct Options {
  std::vector<std::string> files, require;
  std::string opening, model, model_signer, model_certificates;
  unsigned threads = 0;
  bool batch = false;
};

std::string_view word(verify::Standing standing) {
  switch (standing) {
    case verify::Standing::proven:
      return "proven";
    case verify::Standing::claimed:
      return "claimed";
    case verify::Standing::unchecked:
      return "unchecked";
    case verify::Standing::failed:
      return "failed";
    case verify::Standing::caveat:
      return "caveat";
  }
  return "unknown";
}

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

json::object document(const verify::Evidence& evidence, const verify::VerifyReport& report,
                      const std::vector<std::string>& missing) {
  json::array findings;
  for (const auto& f : report.findings)
    findings.push_back(
        json::object{{"code", f.code}, {"standing", word(f.standing)}, {"text", f.text}});
  const auto& file = evidence.file;
  return {{"ok", report.ok() && missing.empty()},
          {"form", evidence.form},
          {"provider", file.lease.message.provider.to_string()},
          {"buyer", file.lease.message.buyer.to_string()},
          {"amount", std::to_string(file.receipt.message.amount)},
          {"not_proven", json::array(missing.begin(), missing.end())},
          {"findings", std::move(findings)}};
}

void print_words(const verify::VerifyReport& report, const std::vector<std::string>& missing) {
  using verify::Standing;
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

Result<int> run_one(const Context& context, const Options& options) {
  TRY(const verify::Evidence evidence, read_evidence(options.files[0]));
  verify::Given given;
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
  TRY(const verify::ModelTrust trust,
      read_model_trust(options.model_signer, options.model_certificates));
  if (!trust.public_key_pem.empty() || !trust.certificates_pem.empty()) given.model_signer = &trust;

  const auto report = verify::verify_evidence(evidence, given);
  std::vector<std::string> missing;
  for (const auto& code : options.require)
    if (!report.proven(code)) missing.push_back(code);
  if (context.json())
    context.print(document(evidence, report, missing));
  else
    print_words(report, missing);
  return report.ok() && missing.empty() ? kOk : kFailed;
}

Result<int> run(const Context& context, const Options& options) {
  if (options.batch)
    return verify_batch(context, options.files, options.require, thread_count(options.threads));
  if (options.files.size() != 1)
    return fail(Errc::invalid, "{} files: give one, or --batch for many", options.files.size());
  return run_one(context, options);
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  CLI::App* verb =
      context.verb(app, "verify", "what a receipt proves, only claims, or leaves open",
                   "assay verify receipt.json --opening opening.json --model tern.gguf\n"
                   "  assay verify evidence.bundle.json --require answer\n"
                   "  assay verify --batch receipts/\n\n"
                   "Offline. FILE is a receipt file, its COSE or DSSE export, or a bundle. Exit 0 "
                   "only when nothing\n"
                   "failed and all that --require asks for is proven.");
  const auto options = std::make_shared<Options>();
  verb->add_option("FILE", options->files, "receipt, COSE, DSSE or bundle; --batch: also folders")
      ->required();
  verb->add_option("--opening", options->opening, "the secrets beside it: prompt, answer, salt");
  verb->add_option("--model", options->model, "the GGUF file it should be about");
  verb->add_option("--model-signer", options->model_signer,
                   "public key (PEM) of who is to have signed the model's files");
  verb->add_option("--model-certificates", options->model_certificates,
                   "certificates (PEM) that may end the chain of who signed the model's files");
  verb->add_option("--require", options->require,
                   "findings that must be proven: answer, prompt, model, file.signed, …")
      ->delimiter(',');
  verb->add_flag("--batch", options->batch, "verify many files, and name those that fail");
  verb->add_option("--threads", options->threads, "threads (default: all)")
      ->check(CLI::Range(1, 1024));
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return run(context, *options); });
}

}  // namespace assay::cli
