// assay ledger verify | show | account | lease | audit | auditors | log
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/ledger_verbs.hpp"
#include "market/money.hpp"
#include "settle/embedded/ledger_log.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

using market::format_money;

struct LedgerOptions {
  std::string source, market, id;
  std::uint64_t from = 1;
};

bool is_directory(const std::string& path) {
  std::error_code none;
  return std::filesystem::is_directory(path, none);
}

bool is_url(const std::string& s) { return s.starts_with("http://") || s.starts_with("https://"); }

Result<settle::LogReport> verify_url(const std::string& url) {
  settle::RemoteLedger remote(url);
  settle::LogReport report;
  TRY(report.info, remote.info());
  TRY(const std::string log, remote.log(1));
  TRY(auto replay, settle::LogReplay::start(report.info));
  Status status = replay.add_lines(log);
  if (!status) report.bad_row = replay.state().totals.operations + 1;
  if (status) status = replay.finish();
  report.ok = status.has_value();
  if (!status) report.problem = status.error().message;
  report.totals = replay.state().totals;
  report.head = replay.head();
  return report;
}

Result<int> verify_ledger(const Context& context, const LedgerOptions& options) {
  // A market's data folder stands for the ledger in it.
  const std::string file =
      is_directory(options.source) ? options.source + "/ledger.db" : options.source;
  TRY(const auto report, is_url(file) ? verify_url(file) : settle::verify_log(file));
  if (context.json()) {
    context.print(json::object{{"ok", report.ok},
                               {"problem", report.problem},
                               {"bad_row", report.bad_row},
                               {"operations", report.totals.operations},
                               {"conserved", report.totals.conserved()},
                               {"head", to_hex(report.head)},
                               {"info", market::to_json(report.info)},
                               {"totals", market::to_json(report.totals)}});
    return report.ok ? kOk : kFailed;
  }
  if (!report.ok) {
    fmt::print("{}  {}\n", red("BAD"), report.problem);
    return kFailed;
  }
  const auto& t = report.totals;
  fmt::print(
      "{}  {} operations replayed: every signature, rule, hash and sum is right\n"
      "    deposited {}  withdrawn {}  burned {}  state {}\n",
      green("ok"), t.operations, format_money(t.deposited), format_money(t.withdrawn),
      format_money(t.burned), to_hex(t.state));
  return kOk;
}

Result<int> show_ledger(const Context& context, const LedgerOptions& options) {
  settle::RemoteLedger remote(options.market);
  TRY(const auto info, remote.info());
  TRY(const auto t, remote.totals());
  if (context.json()) {
    context.print(json::object{{"info", market::to_json(info)},
                               {"totals", market::to_json(t)},
                               {"conserved", t.conserved()}});
    return kOk;
  }
  fmt::print(
      "ledger      {}\nhost        {}\noperations  {}\n"
      "deposited   {}\nwithdrawn   {}\navailable   {}\nstake       {}\nunbonding   {}\n"
      "escrow      {}\nbonds       {}\nburned      {}\n",
      to_hex(info.domain.ledger), info.host.to_string(), t.operations, format_money(t.deposited),
      format_money(t.withdrawn), format_money(t.available), format_money(t.stake),
      format_money(t.unbonding), format_money(t.escrow), format_money(t.bonds),
      format_money(t.burned));
  return kOk;
}

Result<int> run_account(const Context& context, const LedgerOptions& options) {
  settle::RemoteLedger remote(options.market);
  TRY(const auto address, market::Address::parse(options.id));
  TRY(const auto a, remote.account(address));
  if (context.json()) {
    context.print(market::to_json(a));
    return kOk;
  }
  fmt::print("account     {}\navailable   {}\nstake       {}\nexposure    {} of {}\n",
             a.address.to_string(), format_money(a.available), format_money(a.stake),
             format_money(a.exposure), format_money(a.exposure_limit));
  for (const auto& u : a.unbonding)
    fmt::print("unbonding   {} due at {}\n", format_money(u.amount), u.due);
  if (a.convictions > 0)
    fmt::print("convicted   {} times, {} slashed\n", a.convictions, format_money(a.slashed));
  return kOk;
}

Result<int> run_lease(const Context& context, const LedgerOptions& options) {
  settle::RemoteLedger remote(options.market);
  auto id = array_from_hex<32>(options.id);
  if (!id) return fail(Errc::invalid, "'{}' is not a lease id: {}", options.id, id.error().message);
  TRY(const auto v, remote.lease(*id));
  if (context.json()) {
    context.print(market::to_json(v));
    return kOk;
  }
  fmt::print(
      "lease       {}  {}\nbuyer       {}\nprovider    {}\nescrow      {}\npaid        {}\n"
      "expires     {}  window {} s\n",
      options.id, market::to_string(v.state), v.terms.buyer.to_string(),
      v.terms.provider.to_string(), format_money(v.escrow), format_money(v.paid), v.terms.expires,
      v.terms.window);
  if (v.claim)
    fmt::print("claim       {} for {} receipts, due at {}{}\n", format_money(v.claim->total),
               v.claim->count, v.claim->due,
               v.claim->contest == Hash{} ? ""
               : v.claim->opened          ? ", shown"
                                          : ", contested");
  for (const auto& d : v.open_disputes) fmt::print("dispute     {}\n", to_hex(d));
  return kOk;
}

Result<int> audit_ledger(const Context& context, const LedgerOptions& options) {
  settle::RemoteLedger remote(options.market);
  auto id = array_from_hex<32>(options.id);
  if (!id)
    return fail(Errc::invalid, "'{}' is not an audit id: {}", options.id, id.error().message);
  TRY(const auto v, remote.audit(*id));
  if (context.json()) {
    context.print(market::to_json(v));
    return kOk;
  }
  fmt::print("audit       {}  {}\nbuyer       {}\nlease       {}\nreceipt     {}{}\n", options.id,
             market::to_string(v.state), v.buyer.to_string(), to_hex(v.lease), to_hex(v.subject),
             v.subject_canary      ? ", a canary"
             : v.subject_convicted ? ", convicted"
                                   : "");
  if (v.commit_due > 0)
    fmt::print("deadlines   commit {}  reveal {}  check {}\n", v.commit_due, v.reveal_due,
               v.check_due);
  for (const auto& a : v.drawn)
    fmt::print("auditor     {}  fee {}  {}{}{}\n", a.account.to_string(), format_money(a.fee),
               a.nonce_hash == Hash{} ? "not committed, " : "",
               market::to_string(static_cast<protocol::AuditVerdict>(a.verdict)),
               a.convicted ? ", convicted" : "");
  for (const auto& c : v.checks)
    fmt::print("check       {} has until {}\n", c.auditor.to_string(), c.due);
  return kOk;
}

Result<int> run_auditors(const Context& context, const LedgerOptions& options) {
  settle::RemoteLedger remote(options.market);
  auto execution = array_from_hex<32>(options.id);
  if (!execution)
    return fail(Errc::invalid, "'{}' is not an execution's hash: {}", options.id,
                execution.error().message);
  TRY(const auto auditors, remote.auditors(*execution));
  if (context.json()) {
    context.print(market::to_json(auditors));
    return kOk;
  }
  if (auditors.empty()) fmt::print("nobody audits this execution here\n");
  for (const auto& a : auditors)
    fmt::print("{}  fee {}  stake {}  drawn {}  missed {}  {}\n", a.account.to_string(),
               format_money(a.fee), format_money(a.weight), a.drawn, a.missed, a.endpoint);
  return kOk;
}

Result<int> run_log(const Context&, const LedgerOptions& options) {
  settle::RemoteLedger remote(options.market);
  TRY(const std::string log, remote.log(options.from));
  std::fwrite(log.data(), 1, log.size(), stdout);
  return kOk;
}

}  // namespace

void add_ledger_reading(CLI::App& ledger, Context& context) {
  using Run = Result<int> (*)(const Context&, const LedgerOptions&);
  const auto add = [&](const char* name, const char* purpose, const char* example, Run run) {
    CLI::App* verb = context.verb(ledger, name, purpose, example);
    const auto options = std::make_shared<LedgerOptions>();
    context.json_flag(verb);
    context.on_run(verb, [&context, options, run] { return run(context, *options); });
    return std::pair(verb, options);
  };
  const auto remote = [&](const char* name, const char* purpose, const char* example, Run run) {
    auto added = add(name, purpose, example, run);
    added.first->add_option("--market", added.second->market, "the host's address")->required();
    return added;
  };
  {
    const auto [verb, o] = add("verify", "replay the whole log: signatures, rules, hashes, money",
                               "assay ledger verify market/ledger.db", verify_ledger);
    verb->add_option("SOURCE", o->source, "ledger.db, a market's data folder, or a host's address")
        ->required();
  }
  remote("show", "the ledger's rules and sums", "assay ledger show --market http://127.0.0.1:8790",
         show_ledger);
  {
    const auto [verb, o] =
        remote("account", "what an address has",
               "assay ledger account 0xAb… --market http://127.0.0.1:8790", run_account);
    verb->add_option("ADDRESS", o->id, "account")->required();
  }
  {
    const auto [verb, o] =
        remote("lease", "one lease: escrow, payments, claim, disputes",
               "assay ledger lease 0x12… --market http://127.0.0.1:8790", run_lease);
    verb->add_option("ID", o->id, "digest of the lease")->required();
  }
  {
    const auto [verb, o] =
        remote("audit", "one audit by hired auditors: who is drawn and what they said",
               "assay ledger audit 0x12… --market http://127.0.0.1:8790", audit_ledger);
    verb->add_option("ID", o->id, "digest of the audit request")->required();
  }
  {
    const auto [verb, o] =
        remote("auditors", "who offers to audit an execution",
               "assay ledger auditors 0x12… --market http://127.0.0.1:8790", run_auditors);
    verb->add_option("EXECUTION", o->id, "hash of the execution id (`assay model id`)")->required();
  }
  {
    const auto [verb, o] = remote("log", "the signed operations, one JSON document a line",
                                  "assay ledger log --market http://127.0.0.1:8790", run_log);
    verb->add_option("--from", o->from, "first row (default 1)");
  }
}

void add_ledger(CLI::App& app, Context& context) {
  CLI::App* ledger = context.verb(app, "ledger", "read, verify and use a ledger",
                                  "assay ledger verify http://127.0.0.1:8790");
  ledger->require_subcommand(1);
  add_ledger_reading(*ledger, context);
  add_ledger_signing(*ledger, context);
  add_ledger_demand(*ledger, context);
}

}  // namespace assay::cli
