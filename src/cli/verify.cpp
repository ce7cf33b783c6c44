// assay verify
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/model_file.hpp"
#include "cli/receipt_input.hpp"
#include "verify/receipt.hpp"

namespace assay::cli {
namespace {

struct Options {
  std::string receipt, opening, model;
  unsigned threads = 0;
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
      return "FAILED";
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

json::object document(const protocol::ReceiptFile& file, const verify::VerifyReport& report) {
  json::array findings;
  for (const auto& f : report.findings)
    findings.push_back(json::object{
        {"code", f.code},
        {"standing", f.standing == verify::Standing::failed ? "failed" : word(f.standing)},
        {"text", f.text}});
  return {{"ok", report.ok()},
          {"provider", file.lease.message.provider.to_string()},
          {"buyer", file.lease.message.buyer.to_string()},
          {"amount", std::to_string(file.receipt.message.amount)},
          {"findings", std::move(findings)}};
}

Result<int> run(const Context& context, const Options& options) {
  TRY(const protocol::ReceiptFile file, read_receipt(options.receipt));
  std::optional<protocol::Opening> opening;
  if (!options.opening.empty()) {
    TRY(opening, read_opening(options.opening));
  }
  std::optional<verify::ModelIdentity> identity;
  if (!options.model.empty()) {
    TRY(const ModelFile model, ModelFile::open(options.model));
    ThreadPool pool(thread_count(options.threads));
    TRY(identity, model.identity(pool));
  }
  const auto report =
      verify::verify_receipt(file, opening ? &*opening : nullptr, identity ? &*identity : nullptr);
  const int code = report.ok() ? kOk : kFailed;
  if (context.json()) {
    context.print(document(file, report));
    return code;
  }
  print_group(report, verify::Standing::failed, "Failed");
  print_group(report, verify::Standing::proven, "Proven by this file");
  print_group(report, verify::Standing::claimed, "Only claimed");
  print_group(report, verify::Standing::unchecked, "Not checked here");
  print_group(report, verify::Standing::caveat, "What this does not mean");
  fmt::print("\n{}\n", report.ok() ? green("The receipt holds.")
                                   : red("The receipt does not hold: see Failed above."));
  return code;
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  CLI::App* verb =
      context.verb(app, "verify", "what a receipt proves, only claims, or leaves open",
                   "assay verify receipt.json --opening opening.json --model tern.gguf");
  const auto options = std::make_shared<Options>();
  verb->add_option("RECEIPT", options->receipt, "the receipt file")->required();
  verb->add_option("--opening", options->opening, "the secrets beside it: prompt, answer, salt");
  verb->add_option("--model", options->model, "the GGUF file it should be about");
  verb->add_option("--threads", options->threads, "threads (default: all)")
      ->check(CLI::Range(1, 1024));
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return run(context, *options); });
}

}  // namespace assay::cli
