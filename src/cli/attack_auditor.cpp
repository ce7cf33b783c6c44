// assay attack auditor-lazy | auditor-copy | auditor-sell: auditors that take fees without
// computing. Public parts only: a ledger's operations, and a port that says yes to everything.
#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <set>

#include "base/hex.hpp"
#include "cli/attacks.hpp"
#include "cli/cli.hpp"
#include "cli/signing_key.hpp"
#include "cli/stake.hpp"
#include "io/http_router.hpp"
#include "io/random.hpp"
#include "io/signals.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "protocol/audit_keys.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

enum class AuditorCheat {
  lazy,  // commits to noise
  copy,  // commits to what another auditor of the same audit committed to
  sell,  // commits to noise, and gives the nonce of its tree away before it is known
};

struct AttackAuditorOptions {
  std::string market, execution, fee = "0.01", stake;
  KeyOptions key;
};

struct Shirker {
  const Context& context;
  AuditorCheat cheat;
  crypto::SecretKey key;
  protocol::Address self{};
  market::LedgerInfo info;
  settle::RemoteLedger& ledger;
  std::map<Hash, Hash> keys{};
  std::set<Hash> sold{};

  template <class M>
  Status submit(M message) {
    CHECK_OK(ledger.submit(protocol::sign(info.domain, std::move(message), key)));
    return {};
  }
  void round(std::uint64_t now);
  Status act(const market::AuditView& view, std::uint64_t now);
  Status commit(const market::AuditView& view);
};

Status Shirker::commit(const market::AuditView& view) {
  protocol::CommitAudit commit{
      .account = self, .audit = view.id, .nonce_hash = {}, .root_hash = {}};
  if (cheat == AuditorCheat::copy) {
    const auto other = std::ranges::find_if(view.drawn, [&](const market::DrawnAuditor& a) {
      return a.account != self && a.nonce_hash != Hash{};
    });
    if (other == view.drawn.end()) return {};
    commit.nonce_hash = other->nonce_hash;
    commit.root_hash = other->root_hash;
    return submit(commit);
  }
  const Hash& secret = keys.try_emplace(view.id, io::random_hash()).first->second;
  const Hash nonce = protocol::key_nonce(view.beacon, view.id, self, secret);
  commit.nonce_hash = protocol::nonce_hash(nonce);
  commit.root_hash = protocol::keyed_root_hash(io::random_hash(), secret);
  CHECK_OK(submit(commit));
  if (cheat != AuditorCheat::sell || !sold.insert(view.id).second) return {};
  context.print(json::object{
      {"sold", to_hex(nonce)}, {"audit", to_hex(view.id)}, {"auditor", self.to_string()}});
  std::fflush(stdout);
  return {};
}

Status Shirker::act(const market::AuditView& view, std::uint64_t now) {
  const auto mine = std::ranges::find(view.drawn, self, &market::DrawnAuditor::account);
  if (mine == view.drawn.end() || mine->convicted || mine->verdict != 0) return {};
  if (mine->nonce_hash == Hash{}) return now < view.commit_due ? commit(view) : Status{};
  if (now < view.commit_due || now >= view.reveal_due) return {};
  return submit(
      protocol::RevealAudit{.account = self,
                            .audit = view.id,
                            .verdict = static_cast<std::uint32_t>(protocol::AuditVerdict::pass)});
}

void Shirker::round(std::uint64_t now) {
  const auto account = ledger.account(self);
  if (!account) return;
  for (const Hash& audit : account->audits)
    if (const auto view = ledger.audit(audit))
      if (const Status done = act(*view, now); !done)
        fmt::print(stderr, "assay: {}\n", done.error().message);
}

Result<int> run_attack_auditor(const Context& context, const AttackAuditorOptions& options,
                               AuditorCheat cheat) {
  const io::StopSignal stop;
  TRY(const crypto::SecretKey key, load_key(options.key));
  TRY(const Hash execution, array_from_hex<32>(options.execution));
  TRY(const market::Micros fee, market::parse_money(options.fee));
  settle::RemoteLedger ledger(options.market);
  TRY(const auto info, ledger.info());
  CHECK_OK(raise_stake(ledger, key, options.stake));
  io::Router router;
  const auto yes = [](io::HttpRequest&, io::HttpResponse& response) {
    response.send_json(200, json::object{{"stage", "handed"}});
  };
  router.post("/v1/audit", yes).post("/v1/secret", yes);
  TRY(const auto server, io::HttpServer::start({}, router.handler()));
  const auto self = crypto::address_of(key);
  Shirker shirker{context, cheat, key, self, info, ledger};
  CHECK_OK(shirker.submit(protocol::RegisterAuditor{.account = self,
                                                    .execution = execution,
                                                    .active = true,
                                                    .endpoint = server->url(),
                                                    .fee = fee,
                                                    .nonce = io::random_u64()}));
  fmt::print(stderr,
             "assay: this auditor cheats on purpose: it computes nothing. It loses its stake when "
             "it is found out.\n");
  if (context.json())
    context.print(
        json::object{{"ready", "attack"}, {"url", server->url()}, {"address", self.to_string()}});
  std::fflush(stdout);
  const io::SystemClock clock;
  while (!stop.wait(200)) shirker.round(static_cast<std::uint64_t>(clock.now_s()));
  return kOk;
}

}  // namespace

void add_auditor_attacks(CLI::App& attack, Context& context) {
  const auto add = [&](const std::string& name, const char* purpose, AuditorCheat cheat) {
    CLI::App* verb = context.verb(
        attack, name, purpose,
        fmt::format("assay attack {} --execution 0x… --market http://127.0.0.1:8790 \\\n"
                    "    --key key.json --stake 5.00",
                    name));
    const auto o = std::make_shared<AttackAuditorOptions>();
    verb->add_option("--market", o->market, "the ledger")->required();
    verb->add_option("--execution", o->execution,
                     "hash of the execution id it registers for (`assay model id` shows it)")
        ->required();
    verb->add_option("--fee", o->fee, "of one audit (default 0.01)");
    verb->add_option("--stake", o->stake, "raise the stake to this amount, e.g. 5.00");
    add_key_options(verb, o->key, "the auditor's key")->required();
    context.json_flag(verb);
    context.on_run(verb, [&context, o, cheat] { return run_attack_auditor(context, *o, cheat); });
  };
  add("auditor-lazy", "an auditor that commits to noise and passes everything", AuditorCheat::lazy);
  add("auditor-copy", "an auditor that copies another's commitment", AuditorCheat::copy);
  add("auditor-sell", "an auditor that gives the nonce of its keyed tree away", AuditorCheat::sell);
}

}  // namespace assay::cli
