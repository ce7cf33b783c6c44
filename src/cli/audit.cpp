// assay audit
#include "verify/audit.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/audit_sampled.hpp"
#include "cli/cli.hpp"
#include "cli/file_journal.hpp"
#include "cli/kv_memory.hpp"
#include "cli/model_file.hpp"
#include "cli/progress.hpp"
#include "cli/receipt_input.hpp"
#include "io/pinned_url.hpp"
#include "io/system_clock.hpp"
#include "verify/locate.hpp"
#include "verify/receipt.hpp"

namespace assay::cli {
namespace {

struct AuditOptions {
  std::string receipt, opening, model, isa, state;
  unsigned threads = 0;
  std::uint64_t kv_memory_mib = 0;
  SampledFlags sampled;
};

template <class T>
json::value or_null(const std::optional<T>& v) {
  return v ? json::value(*v) : json::value(nullptr);
}

// share: how much of the verb's time was re-execution.
json::object audit_document(const protocol::ReceiptFile& file, const verify::AuditReport& report,
                            std::uint32_t layers, double share) {
  json::object o{{"mode", "full"},
                 {"match", report.match},
                 {"provider", file.lease.message.provider.to_string()},
                 {"reason", report.reason},
                 {"trace_root", to_hex(file.receipt.message.trace_root)},
                 {"expected_trace_root", to_hex(report.expected_trace_root)},
                 {"positions", report.positions},
                 {"seconds", report.seconds},
                 {"arithmetic_share", share},
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

// Both sides' first differing value, where the provider serves its states.
Result<std::optional<verify::Difference>> locate(const AuditOptions& options,
                                                 const protocol::ReceiptFile& file,
                                                 const protocol::Opening& opening,
                                                 const verify::AuditReport& report,
                                                 std::shared_ptr<const engine::Model> model,
                                                 ThreadPool& pool, engine::Isa isa) {
  const protocol::Request& request = file.request.message;
  const protocol::Receipt& receipt = file.receipt.message;
  if (report.match || !report.trace) return std::nullopt;
  if (receipt.finish == static_cast<std::uint32_t>(protocol::Finish::fault)) return std::nullopt;
  services::ProviderClient client({});
  const std::string endpoint =
      options.sampled.provider.empty()
          ? io::pinned(file.offer.message.endpoint, file.offer.message.tls_key)
          : options.sampled.provider;
  ProviderStates source(client, endpoint);
  TRY(engine::Sampling sampling, verify::sampling_of(request, opening.automaton, *model));
  const verify::Execution execution{std::move(sampling), opening.salt_secret,  opening.prompt,
                                    opening.answer,      request.continuation, false,
                                    request.logprobs};
  return verify::locate_difference(*report.trace, execution, opening.request, receipt.trace_root,
                                   std::move(model), source, pool, isa);
}

Result<int> run_audit(const Context& context, const AuditOptions& options) {
  const std::int64_t started = io::steady_ms();
  verify::AuditOptions audit;
  audit.kv_bytes_max = kv_memory_bytes(options.kv_memory_mib);
  if (!options.isa.empty()) {
    TRY(audit.isa, engine::parse_isa(options.isa));
    if (!engine::isa_available(audit.isa))
      return fail(Errc::unsupported, "this machine cannot run {}: leave out --isa", options.isa);
  }
  TRY(const protocol::ReceiptFile file, read_receipt(options.receipt));
  TRY(const protocol::Opening opening, read_opening(options.opening));
  CHECK_OK(check_file(file, opening));
  const std::string state = options.state.empty() ? options.opening + ".audit" : options.state;
  if (options.sampled.asked())
    return audit_sampled(context, options.sampled,
                         {.file = file,
                          .opening = opening,
                          .state_path = state,
                          .model_path = options.model,
                          .isa = audit.isa,
                          .threads = thread_count(options.threads)});
  TRY(const ModelFile model, ModelFile::open(options.model));
  ThreadPool pool(thread_count(options.threads));
  Progress bar("re-executing");
  audit.progress = [&](double fraction) {
    bar.update(static_cast<std::uint64_t>(fraction * 1000), 1000);
    return true;
  };
  FileJournal journal(state);
  audit.journal = &journal;
  const io::SystemClock clock;
  auto report = verify::replay_audit(file.request.message, file.receipt.message, opening,
                                     model.model, pool, audit, clock);
  if (!report && report.error().code == Errc::mismatch)
    return fail_in(options.model, report.error());
  if (!report && report.error().code == Errc::conflict)
    return fail_in(journal.path(), report.error());
  if (!report) return std::unexpected(report.error());
  journal.remove();
  const auto located = locate(options, file, opening, *report, model.model, pool, audit.isa);
  const auto layers = model.model->hyper().layers;

  const int code = report->match ? kOk : kFailed;
  if (context.json()) {
    const auto total = static_cast<double>(io::steady_ms() - started + 1) / 1000;
    json::object out = audit_document(file, *report, layers, report->seconds / total);
    out["difference"] = nullptr;
    if (located && *located) out["difference"] = difference_json(**located, layers);
    context.print(out);
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
  if (!located)
    fmt::print("{}\n", dim("what differs first is known once the provider serves its states: " +
                           located.error().message));
  else if (*located)
    fmt::print("first difference: {}\n", verify::words(**located, layers));
  return code;
}

}  // namespace

void add_audit(CLI::App& app, Context& context) {
  CLI::App* verb =
      context.verb(app, "audit", "re-execute what a receipt is about and compare every bit",
                   "assay audit receipt.json --opening opening.json --model tern.gguf");
  const auto options = std::make_shared<AuditOptions>();
  verb->add_option("RECEIPT", options->receipt, "the receipt file")->required();
  verb->add_option("--opening", options->opening, "the secrets beside it: prompt, answer, salt")
      ->required();
  verb->add_option("--model", options->model, "the GGUF file it is about")->required();
  verb->add_option("--threads", options->threads, "threads (default: all)")
      ->check(CLI::Range(1, 1024));
  add_kv_memory(verb, options->kv_memory_mib, "");
  verb->add_option("--isa", options->isa, "scalar, avx2, avx512 or neon (default: the best)");
  verb->add_option("--state", options->state,
                   "what is done so far, to go on after a crash (default: OPENING.audit); removed "
                   "with the verdict");
  add_sampled_flags(verb, options->sampled);
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return run_audit(context, *options); });
}

}  // namespace assay::cli
