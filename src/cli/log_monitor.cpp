// assay log monitor
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/log_verbs.hpp"
#include "crypto/sha256.hpp"
#include "io/files.hpp"
#include "io/signals.hpp"
#include "settle/log_client.hpp"
#include "tlog/monitor.hpp"
#include "tlog/witness.hpp"

namespace assay::cli {
namespace {

struct LogMonitorOptions {
  std::string log, data;
  PolicyOptions policy;
  std::vector<std::string> witness_urls;
  std::int64_t every_ms = 10'000;
  bool once = false, any_entries = false;
};

Result<tlog::Monitor> load(const std::string& file, bool markets) {
  const auto text = io::read_file(file, 64u << 20);
  if (!text && text.error().code == Errc::not_found) return tlog::Monitor(markets);
  if (!text) return std::unexpected(text.error());
  TRY(const json::value v, json::parse(*text, 64u << 20));
  TRY(const json::object* o, json::as_object(v, file));
  return tlog::Monitor::from_json(*o);
}

// The two signed notes of a fork are the proof of it: kept beside the state.
Status keep(const std::string& data, const tlog::Alarm& alarm) {
  if (alarm.first.empty() && alarm.second.empty()) return {};
  const std::string text = alarm.first + "\n=====\n\n" + alarm.second;
  const auto name = to_hex_bare(ByteView(crypto::sha256(view(text))).subspan(0, 8));
  return io::write_file_atomic(fmt::format("{}/{}-{}.txt", data, to_string(alarm.kind), name),
                               view(text));
}

Result<std::vector<tlog::Alarm>> look(const LogMonitorOptions& options,
                                      const tlog::LogPolicy& policy, LogSource& source,
                                      tlog::Monitor& monitor) {
  TRY(const std::string note, source.checkpoint());
  TRY(auto alarms, monitor.follow(note, policy, *source.tiles));
  for (const auto& url : options.witness_urls) {
    settle::LogReader witness(url);
    const auto theirs = witness.get(tlog::origin_hash(policy.origin) + "/checkpoint");
    if (!theirs) return fail_in("witness", theirs.error());
    TRY(const auto compared, monitor.compare(*theirs, policy, *source.tiles));
    alarms.insert(alarms.end(), compared.begin(), compared.end());
  }
  return alarms;
}

Result<int> run_log_monitor(const Context& context, const LogMonitorOptions& options) {
  const io::StopSignal stop;
  TRY(const auto policy, policy_of(options.policy));
  CHECK_OK(io::make_directories(options.data, 0700));
  TRY(const auto lock, io::FileLock::acquire(options.data));
  const std::string file = options.data + "/monitor.json";
  TRY(auto monitor, load(file, !options.any_entries));
  LogSource source = open_source(options.log);
  bool alarmed = false;
  do {
    const std::uint64_t before = monitor.size();
    const auto alarms = look(options, policy, source, monitor);
    if (!alarms && options.once) return std::unexpected(alarms.error());
    if (!alarms) {
      fmt::print(stderr, "assay: {} (tries again)\n", alarms.error().message);
      continue;
    }
    for (const auto& alarm : *alarms) {
      alarmed = true;
      CHECK_OK(keep(options.data, alarm));
      if (context.json())
        context.print(json::object{{"alarm", to_string(alarm.kind)}, {"text", alarm.text}});
      else
        fmt::print("{}  {}: {}\n", red("ALARM"), to_string(alarm.kind), alarm.text);
    }
    // A crash before this line: the same entries are read again, and the same alarms given.
    if (monitor.size() != before || before == 0)
      CHECK_OK(io::write_file_atomic(file, view(json::dump(monitor.to_json())), 0600));
    if (monitor.size() != before || options.once) {
      if (context.json())
        context.print(json::object{{"entries", monitor.size()}, {"issuers", monitor.issuers()}});
      else
        fmt::print("{}  {} entries of {} issuers\n", green("ok"), monitor.size(),
                   monitor.issuers());
    }
    std::fflush(stdout);
  } while (!options.once && !stop.wait(options.every_ms));
  return alarmed ? kFailed : kOk;
}

}  // namespace

void add_log_monitor(CLI::App& log, Context& context) {
  auto* verb = context.verb(
      log, "monitor", "follow a log; alarm on a fork, a rollback, a gap or a number used twice",
      "assay log monitor http://127.0.0.1:8795 --vkey example.com/log+… --data ./monitor");
  verb->footer(
      "Exit code 1 when there was an alarm. The signed notes that prove a fork are kept in "
      "the data folder.\nExample:\n  assay log monitor http://127.0.0.1:8795 --vkey "
      "example.com/log+… --data ./monitor");
  const auto o = std::make_shared<LogMonitorOptions>();
  verb->add_option("LOG", o->log, "URL of the log, or its folder")->required();
  add_policy_options(verb, o->policy);
  verb->add_option("--data", o->data, "folder of what was seen; made when missing")->required();
  verb->add_option("--compare", o->witness_urls,
                   "URL of a witness whose view of the log must agree; repeat for more");
  verb->add_option("--every-ms", o->every_ms, "between looks, ms (default 10000)")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--once", o->once, "one look");
  verb->add_flag("--any-entries", o->any_entries, "a log of anything: only the tree is checked");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_log_monitor(context, *o); });
}

}  // namespace assay::cli
