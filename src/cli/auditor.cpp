// assay auditor | auditor status | auditor leave
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/auditor_verbs.hpp"
#include "cli/cli.hpp"
#include "cli/kv_memory.hpp"
#include "cli/model_file.hpp"
#include "cli/option_checks.hpp"
#include "cli/settlement_flags.hpp"
#include "cli/signing_key.hpp"
#include "cli/stake.hpp"
#include "cli/tls_options.hpp"
#include "io/dev_chain.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "io/signals.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "services/auditor/auditor_service.hpp"
#include "verify/identity.hpp"

namespace assay::cli {
namespace {

struct AuditorOptions {
  services::AuditorOptions service;
  std::vector<std::string> models;
  SettlementFlags ledger;
  std::string fee = "0.01", stake, status_data;
  KeyOptions key;
  std::uint64_t kv_memory_mib = 0;
  unsigned threads = 0;
};

Result<services::AuditedModel> audited(const ModelFile& file, ThreadPool& pool) {
  TRY(const auto identity, file.identity(pool));
  const auto program =
      verify::program_of(*file.model, file.tokenizer, file.chat ? &*file.chat : nullptr, pool);
  return services::AuditedModel{.name = file.path,
                                .model = file.model,
                                .execution = verify::execution_id(identity),
                                .program = verify::program_bytes(program)};
}

// Blocks come seconds apart, and every look is asked of a node.
constexpr std::int64_t kChainTickMs = 2'000;

Result<int> serve_auditor(const Context& context, AuditorOptions options) {
  if (options.models.empty() || options.ledger.market.empty() || options.key.file.empty() ||
      options.service.data_dir.empty())
    return context.report(
        {Errc::invalid, "--model, --market, --key and --data are required (see --help)"}, kUsage);
  const io::StopSignal stop;
  CHECK_OK(io::setup_log("", "auditor"));
  TRY(const crypto::SecretKey key, load_key(options.key));
  TRY(options.service.fee, market::parse_money(options.fee));
  options.service.threads = thread_count(options.threads);
  options.service.kv_bytes = kv_memory_bytes(options.kv_memory_mib);
  std::vector<ModelFile> files;
  std::vector<services::AuditedModel> models;
  {
    ThreadPool pool(options.service.threads);
    for (const std::string& path : options.models) {
      TRY(auto file, ModelFile::open(path));
      files.push_back(std::move(file));
      TRY(auto model, audited(files.back(), pool));
      models.push_back(std::move(model));
    }
  }
  const io::SystemClock clock;
  const auto stopping = [&stop] { return stop.requested(); };
  TRY(auto open, OpenSettlement::open_boardless(options.ledger, key, options.service.data_dir,
                                                clock, stopping));
  TRY(const auto info, open.settlement().info());
  if (options.ledger.on_chain() && info.domain.chain_id != io::DevChain::kChainId)
    options.service.tick_ms = kChainTickMs;
  CHECK_OK(services::AuditorService::check_draws(info));
  CHECK_OK(raise_stake(open, key, options.stake, stopping));
  json::array executions;
  for (const auto& model : models)
    executions.emplace_back(to_hex(protocol::struct_hash(model.execution)));
  TRY(auto service, services::AuditorService::start(options.service, std::move(models), key,
                                                    open.settlement(), clock));
  if (context.json())
    context.print(json::object{{"ready", "auditor"},
                               {"url", service->url()},
                               {"port", service->port()},
                               {"address", service->address().to_string()},
                               {"executions", std::move(executions)},
                               {"data", options.service.data_dir}});
  else
    fmt::print("auditor ready on {} as {}, {} an audit\n", service->url(),
               service->address().to_string(), market::format_money(options.service.fee));
  std::fflush(stdout);
  stop.wait();
  service->stop();
  if (!context.json()) {
    TRY(const auto totals, service->totals());
    fmt::print("{} audits: {} passed, {} failed, {} unauditable\n", totals.audits, totals.passed,
               totals.failed, totals.unauditable);
    if (totals.open > 0)
      fmt::print("{} can still be checked or disputed: start it again in time\n", totals.open);
  }
  return kOk;
}

Result<int> auditor_status(const Context& context, const AuditorOptions& options) {
  TRY(const auto store, services::AuditStore::open_existing(options.status_data + "/auditor.db"));
  TRY(const auto t, store->totals());
  if (context.json()) {
    context.print(json::object{{"audits", t.audits},
                               {"open", t.open},
                               {"passed", t.passed},
                               {"failed", t.failed},
                               {"unauditable", t.unauditable},
                               {"disputes", t.disputes}});
    return kOk;
  }
  fmt::print(
      "audits       {}, {} of them open\npassed       {}\nfailed       {}\nunauditable  {}\n"
      "disputes     {}\n",
      t.audits, t.open, t.passed, t.failed, t.unauditable, t.disputes);
  return kOk;
}

Result<int> leave(const Context& context, const AuditorOptions& options) {
  TRY(const crypto::SecretKey key, load_key(options.key));
  const auto self = crypto::address_of(key);
  const io::StopSignal stop;
  const io::SystemClock clock;
  const auto stopping = [&stop] { return stop.requested(); };
  if (options.ledger.on_chain() && options.service.data_dir.empty())
    return context.report(
        {Errc::invalid,
         "--data is required: the auditor's folder, where this key's transactions are (while the "
         "auditor runs, leave through a relay: --market http://… of an `assay market --settlement "
         "evm`)"},
        kUsage);
  TRY(auto open, OpenSettlement::open_boardless(options.ledger, key, options.service.data_dir,
                                                clock, stopping));
  CHECK_OK(open.catch_up(stopping));
  auto& ledger = open.settlement();
  TRY(const auto info, ledger.info());
  ThreadPool pool(thread_count(options.threads));
  json::array left;
  for (const std::string& path : options.models) {
    TRY(const ModelFile file, ModelFile::open(path));
    TRY(const auto identity, file.identity(pool));
    const Hash execution = protocol::struct_hash(verify::execution_id(identity));
    TRY(const auto registered, ledger.auditors(execution));
    if (std::ranges::find(registered, self, &market::AuditorView::account) == registered.end())
      return fail(Errc::not_found,
                  "{} is not registered to audit {}: nothing was sent (it never was, it left "
                  "before, or a slash ended it)",
                  self.to_string(), path);
    CHECK_OK(ledger.submit(protocol::sign(info.domain,
                                          protocol::RegisterAuditor{.account = self,
                                                                    .execution = execution,
                                                                    .active = false,
                                                                    .endpoint = {},
                                                                    .fee = 0,
                                                                    .nonce = io::random_u64()},
                                          key)));
    left.emplace_back(to_hex(execution));
  }
  if (context.json())
    context.print(json::object{{"left", std::move(left)}});
  else
    fmt::print("{}  {} is drawn for no further audits; it must go on with those it was drawn for\n",
               green("ok"), self.to_string());
  return kOk;
}

}  // namespace

void add_auditor(CLI::App& app, Context& context) {
  CLI::App* verb =
      context.verb(app, "auditor", "audit what others bought, for money and with a stake",
                   "assay auditor --model models/tern-q8_0.gguf --market http://127.0.0.1:8790 \\\n"
                   "    --key auditor.json --data ./auditor --stake 5.00 --fee 0.01\n"
                   "  assay auditor --model models/tern-q8_0.gguf --settlement evm \\\n"
                   "    --rpc https://rpc.example --market ./deployment/manifest.json \\\n"
                   "    --key auditor.json --data ./auditor --stake 5.00 --fee 0.05");
  const auto o = std::make_shared<AuditorOptions>();
  auto& s = o->service;
  verb->add_option("--model", o->models, "GGUF file to audit with (may be given again)");
  add_boardless_flags(verb, o->ledger);
  add_key_options(verb, o->key, "the auditor's key");
  verb->add_option("--data", s.data_dir,
                   "folder of its database, which holds prompts and keys; made when missing");
  verb->add_option("--fee", o->fee, "of one audit (default 0.01)");
  verb->add_option("--stake", o->stake, "raise the stake to this amount, e.g. 5.00");
  verb->add_option("--address", s.address, "address to listen on (default 127.0.0.1)")
      ->check(listen_value());
  verb->add_option("--port", s.port, "port (default: a free one)");
  verb->add_option("--endpoint", s.public_endpoint,
                   "URL that buyers are told (default: where it listens)");
  add_tls_options(verb, s.tls);
  verb->add_option("--threads", o->threads, "engine threads (default: all)")
      ->check(CLI::Range(1, 1024));
  add_kv_memory(verb, o->kv_memory_mib, " of an audit; what takes more is not taken");
  context.json_flag(verb);

  CLI::App* report = context.verb(*verb, "status", "what an auditor's data folder says it did",
                                  "assay auditor status --data ./auditor");
  report->add_option("--data", o->status_data, "the auditor's folder")->required();
  context.json_flag(report);
  CLI::App* retire = context.verb(
      *verb, "leave", "be drawn for no further audits",
      "assay auditor leave --model models/tern-q8_0.gguf --market http://127.0.0.1:8790 \\\n"
      "    --key auditor.json\n"
      "  assay auditor leave --model models/tern-q8_0.gguf --settlement evm --rpc "
      "https://rpc.example "
      "\\\n"
      "    --market ./deployment/manifest.json --key auditor.json --data ./auditor");
  retire->add_option("--model", o->models, "GGUF file it audits with (may be given again)")
      ->required();
  add_boardless_flags(retire, o->ledger);
  retire->get_option("--market")->required();
  add_key_options(retire, o->key, "the auditor's key")->required();
  retire->add_option("--data", s.data_dir,
                     "the auditor's folder, which must not run meanwhile (on a chain)");
  context.json_flag(retire);
  const AuditorTrial trial = add_auditor_trials(*verb, context);
  context.on_run(verb, [&context, o, report, retire, trial]() -> Result<int> {
    if (auto tried = trial()) return std::move(*tried);
    if (report->parsed()) return auditor_status(context, *o);
    if (retire->parsed()) return leave(context, *o);
    return serve_auditor(context, *o);
  });
}

}  // namespace assay::cli
