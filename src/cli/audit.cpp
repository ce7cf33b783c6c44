// assay audit
#include "verify/audit.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/model_file.hpp"
#include "cli/progress.hpp"
#include "cli/receipt_input.hpp"
#include "io/system_clock.hpp"
#include "verify/receipt.hpp"

namespace assay::cli {
namespace {

struct Options {
  std::string receipt, opening, model, isa;
  unsigned threads = 0;
};

template <class T>
json::value or_null(const std::optional<T>& v) {
  return v ? json::value(*v) : json::value(nullptr);
}

json::object document(const protocol::ReceiptFile& file, const verify::AuditReport& report,
                      std::uint32_t layers) {
  json::object o{{"match", report.match},
                 {"provider", file.lease.message.provider.to_string()},
                 {"reason", report.reason},
                 {"trace_root", to_hex(file.receipt.message.trace_root)},
                 {"expected_trace_root", to_hex(report.expected_trace_root)},
                 {"positions", report.positions},
                 {"seconds", report.seconds},
                 {"divergence", nullptr}};
  if (const auto& d = report.divergence) {
    o["divergence"] = {{"position", d->position},
                       {"layer", or_null(d->layer)},
                       {"head", d->layer && *d->layer == layers},
                       {"expected_token", or_null(d->expected_token)},
                       {"claimed_token", or_null(d->claimed_token)},
                       {"logprobs", d->logprobs}};
  }
  return o;
}

// A re-execution says nothing about a receipt nobody signed.
Status check_file(const protocol::ReceiptFile& file, const protocol::Opening& opening) {
  for (const auto& finding : verify::verify_receipt(file, &opening, nullptr).findings)
    if (finding.standing == verify::Standing::failed)
      return fail(Errc::mismatch,
                  "the receipt does not hold before any audit: {} (`assay verify` shows all)",
                  finding.text);
  return {};
}

Result<int> run(const Context& context, const Options& options) {
  verify::AuditOptions audit;
  if (!options.isa.empty()) {
    TRY(audit.isa, engine::parse_isa(options.isa));
    if (!engine::isa_available(audit.isa))
      return fail(Errc::unsupported, "this machine cannot run {}: leave out --isa", options.isa);
  }
  TRY(const protocol::ReceiptFile file, read_receipt(options.receipt));
  TRY(const protocol::Opening opening, read_opening(options.opening));
  CHECK_OK(check_file(file, opening));
  TRY(const ModelFile model, ModelFile::open(options.model));
  ThreadPool pool(thread_count(options.threads));
  Progress bar("re-executing");
  audit.progress = [&](double fraction) {
    bar.update(static_cast<std::uint64_t>(fraction * 1000), 1000);
    return true;
  };
  const io::SystemClock clock;
  auto report = verify::replay_audit(file.request.message, file.receipt.message, opening,
                                     model.model, pool, audit, clock);
  if (!report && report.error().code == Errc::mismatch)
    return fail_in(options.model, report.error());
  if (!report) return std::unexpected(report.error());

  const int code = report->match ? kOk : kFailed;
  if (context.json()) {
    context.print(document(file, *report, model.model->hyper().layers));
    return code;
  }
  if (report->match)  // the reason begins with the verdict
    fmt::print("{}\n", green(report->reason));
  else
    fmt::print("{}  {}\n", red("MISMATCH"), report->reason);
  fmt::print("provider        {}\n", file.lease.message.provider.to_string());
  fmt::print("receipt's root  {}\n", to_hex(file.receipt.message.trace_root));
  fmt::print("replay's root   {}\n", to_hex(report->expected_trace_root));
  fmt::print("{} positions in {:.2f} s ({})\n", report->positions, report->seconds,
             engine::isa_name(audit.isa));
  if (report->divergence && !report->divergence->layer && !report->divergence->logprobs)
    fmt::print("{}\n", dim("the layer is known once the provider's leaves of that position are in "
                           "the opening (the gateway asks for them)"));
  return code;
}

}  // namespace

void add_audit(CLI::App& app, Context& context) {
  CLI::App* verb =
      context.verb(app, "audit", "re-execute what a receipt is about and compare every bit",
                   "assay audit receipt.json --opening opening.json --model tern.gguf");
  const auto options = std::make_shared<Options>();
  verb->add_option("RECEIPT", options->receipt, "the receipt file")->required();
  verb->add_option("--opening", options->opening, "the secrets beside it: prompt, answer, salt")
      ->required();
  verb->add_option("--model", options->model, "the GGUF file it is about")->required();
  verb->add_option("--threads", options->threads, "threads (default: all)")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--isa", options->isa, "scalar, avx2, avx512 or neon (default: the best)");
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return run(context, *options); });
}

}  // namespace assay::cli
