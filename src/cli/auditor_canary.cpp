// assay auditor canary | auditor report: what keeps auditors honest, for whoever wants to try them.
#include <CLI/CLI.hpp>
#include <memory>
#include <thread>

#include "base/hex.hpp"
#include "cli/auditor_verbs.hpp"
#include "cli/canary.hpp"
#include "cli/cli.hpp"
#include "cli/signing_key.hpp"
#include "cli/stake.hpp"
#include "io/log.hpp"
#include "io/random.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "settle/challenger.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

struct AuditorCanaryOptions {
  std::string market, serve, claim, stake, audit, auditor, nonce;
  std::string prompt = "What is 27 + 48?", fee_max = "0.10", escrow = "0.10";
  KeyOptions key, provider_key;
  std::uint32_t auditors = 1, tokens = 16;
  unsigned threads = 0;
};

constexpr std::uint64_t kLeaseS = 86'400;

// Buyer and provider of a lease of their own, on somebody's ledger.
class Canary {
 public:
  Canary(settle::RemoteLedger& ledger, const market::LedgerInfo& info, const CanaryParties& parties,
         const AuditorCanaryOptions& options)
      : ledger_(ledger),
        info_(info),
        parties_(parties),
        options_(options),
        buyer_(crypto::address_of(parties.buyer)),
        provider_(crypto::address_of(parties.provider)),
        escort_(info, parties.buyer, clock_),
        challenger_(info, parties.buyer, ledger, clock_, thread_count(options.threads),
                    verify::kReplayKvBytes) {}

  // Everything from the lease to the verdicts of the ledger about those who passed.
  Result<market::AuditView> run(const ModelFile& serve, const settle::DisputedModel& claim,
                                ThreadPool& pool);
  json::array results(const market::AuditView& view) const;

 private:
  template <class M>
  Status submit(const M& message, const crypto::SecretKey& key) {
    CHECK_OK(ledger_.submit(protocol::sign(info_.domain, message, key)));
    return {};
  }
  std::uint64_t now() const { return static_cast<std::uint64_t>(clock_.now_s()); }
  Status open_lease(const protocol::ExecutionId& execution);
  Status ask(const settle::AuditedReceipt& lie);
  Result<market::AuditView> await_verdicts(const settle::AuditedReceipt& lie);
  Status dispute(const settle::AuditedReceipt& lie, const market::DrawnAuditor& auditor,
                 const settle::DisputedModel& claim);

  settle::RemoteLedger& ledger_;
  const market::LedgerInfo info_;
  const CanaryParties& parties_;
  const AuditorCanaryOptions& options_;
  const protocol::Address buyer_, provider_;
  const io::SystemClock clock_;
  settle::AuditEscort escort_;
  settle::Challenger challenger_;
  protocol::Lease lease_;
  Hash lease_id_{}, audit_{};
  market::Operation show_;  // the ShowCanary that is committed to
};

Status Canary::open_lease(const protocol::ExecutionId& execution) {
  protocol::Offer offer;
  offer.provider = provider_;
  offer.payout = provider_;
  offer.sequence = 1;
  offer.endpoint = "http://127.0.0.1:9";  // nobody answers: the answer is laid already
  offer.expires = now() + kLeaseS;
  protocol::OfferModel& model = offer.models.emplace_back();
  model.name = "canary";
  model.weights_root = execution.weights_root;
  model.program_hash = execution.program_hash;
  model.canon = execution.canon;
  model.quantization = "Q8_0";
  model.context = 512;
  model.price_in = model.price_out = 100'000;
  const auto signed_offer = protocol::sign(info_.domain, offer, parties_.provider);
  lease_.buyer = buyer_;
  lease_.provider = provider_;
  lease_.payout = provider_;
  lease_.offer = protocol::digest(info_.domain, offer);
  lease_.execution = protocol::struct_hash(execution);
  lease_.price_in = lease_.price_out = model.price_in;
  TRY(lease_.escrow, market::parse_money(options_.escrow));
  lease_.audit_chain = io::random_hash();
  lease_.disclosure = static_cast<std::uint32_t>(protocol::Disclosure::referee);
  lease_.window = info_.parameters.window_min_s;
  lease_.expires = now() + std::min(kLeaseS, info_.parameters.lease_max_s - 60);
  lease_.nonce = io::random_u64();
  lease_id_ = protocol::digest(info_.domain, lease_);
  CHECK_OK(ledger_.submit(market::OpenLease{
      .lease = protocol::sign(info_.domain, lease_, parties_.buyer), .offer = signed_offer}));
  return {};
}

Status Canary::ask(const settle::AuditedReceipt& lie) {
  const protocol::Canary canary{.provider = provider_,
                                .lease = lease_id_,
                                .subject = protocol::digest(info_.domain, lie.receipt.message),
                                .nonce = io::random_u64()};
  show_ = market::ShowCanary{
      .shown = protocol::sign(
          info_.domain,
          protocol::CanaryShown{.buyer = buyer_, .canary = protocol::digest(info_.domain, canary)},
          parties_.buyer),
      .canary = protocol::sign(info_.domain, canary, parties_.provider)};
  CHECK_OK(submit(protocol::CommitDispute{.account = buyer_,
                                          .commitment = market::commitment_of(info_.domain, show_),
                                          .nonce = io::random_u64()},
                  parties_.buyer));
  // The ledger counts seconds, and the commitment has to be older than what it is about.
  std::this_thread::sleep_for(std::chrono::milliseconds(2'100));
  TRY(const market::Micros fee_max, market::parse_money(options_.fee_max));
  const protocol::AuditRequest request{.buyer = buyer_,
                                       .lease = lease_id_,
                                       .subject = canary.subject,
                                       .auditors = options_.auditors,
                                       .fee_max = fee_max,
                                       .nonce = io::random_hash()};
  audit_ = protocol::digest(info_.domain, request);
  CHECK_OK(ledger_.submit(
      market::RequestAudit{.request = protocol::sign(info_.domain, request, parties_.buyer),
                           .evidence = {.request = lie.request, .statement = lie.receipt}}));
  return {};
}

Result<market::AuditView> Canary::await_verdicts(const settle::AuditedReceipt& lie) {
  while (true) {
    TRY(market::AuditView view, ledger_.audit(audit_));
    if (view.state != market::AuditState::waiting && escort_.accompany(view, lie)) return view;
    if (view.state == market::AuditState::waiting && now() >= view.check_due) return view;
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
}

Status Canary::dispute(const settle::AuditedReceipt& lie, const market::DrawnAuditor& auditor,
                       const settle::DisputedModel& claim) {
  const settle::DisputedCase about{
      .subject = auditor.pass,
      .defender = auditor.account,
      .lease = lease_,
      .sources = {.model = [&]() -> Result<settle::DisputedModel> { return claim; },
                  .opening = [&]() -> Result<protocol::Opening> { return lie.opening; }}};
  TRY(const market::FileDispute draft,
      challenger_.draft({.request = lie.request, .statement = lie.receipt}, about));
  const Hash id = protocol::digest(info_.domain, draft.dispute.message);
  TRY(const auto filed,
      challenger_.file(draft, about, [](const market::FileDispute&) { return Status{}; }, {}));
  if (filed != settle::Challenger::Filed::filed)
    return fail(Errc::refused, "the ledger takes no dispute about the pass of {}",
                auditor.account.to_string());
  while (true) {
    TRY(const market::DisputeView view, ledger_.dispute(id));
    if (view.state == market::DisputeState::decided) return {};
    if (const Status moved = challenger_.move(view, about);
        !moved && moved.error().code != Errc::unavailable)
      io::log_warn("{}", moved.error().message);
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
}

Result<market::AuditView> Canary::run(const ModelFile& serve, const settle::DisputedModel& claim,
                                      ThreadPool& pool) {
  CHECK_OK(open_lease(claim.execution));
  TRY(const settle::AuditedReceipt lie,
      lay_canary(info_.domain, parties_, lease_, lease_id_, claim.execution, serve, options_.prompt,
                 options_.tokens, lease_.expires, pool));
  CHECK_OK(ask(lie));
  TRY(const market::AuditView view, await_verdicts(lie));
  const auto passed = [](const market::DrawnAuditor& a) { return a.pass != Hash{}; };
  if (std::ranges::any_of(view.drawn, passed)) {
    CHECK_OK(ledger_.submit(show_));
    for (const market::DrawnAuditor& auditor : view.drawn)
      if (passed(auditor)) CHECK_OK(dispute(lie, auditor, claim));
  }
  // The escrow comes back; refused while others still dispute the lie.
  (void)submit(protocol::Close{.account = provider_, .lease = lease_id_}, parties_.provider);
  return ledger_.audit(audit_);
}

json::array Canary::results(const market::AuditView& view) const {
  json::array out;
  for (const market::DrawnAuditor& a : view.drawn)
    out.push_back(
        json::object{{"auditor", a.account.to_string()},
                     {"verdict", market::to_string(static_cast<protocol::AuditVerdict>(a.verdict))},
                     {"convicted", a.convicted}});
  return out;
}

Result<int> run_canary(const Context& context, const AuditorCanaryOptions& options) {
  CHECK_OK(io::setup_log("", "canary"));
  CanaryParties parties;
  TRY(parties.buyer, load_key(options.key));
  TRY(parties.provider, load_key(options.provider_key));
  TRY(const ModelFile serve, ModelFile::open(options.serve));
  TRY(const ModelFile claim, ModelFile::open(options.claim));
  if (serve.model->hyper().vocab != claim.model->hyper().vocab)
    return fail(Errc::invalid, "{} has {} tokens, {} has {}: nobody would be fooled", options.serve,
                serve.model->hyper().vocab, options.claim, claim.model->hyper().vocab);
  ThreadPool pool(thread_count(options.threads));
  TRY(const auto identity, claim.identity(pool));
  const auto program =
      verify::program_of(*claim.model, claim.tokenizer, claim.chat ? &*claim.chat : nullptr, pool);
  const settle::DisputedModel claimed{.model = claim.model,
                                      .execution = verify::execution_id(identity),
                                      .program = verify::program_bytes(program)};
  settle::RemoteLedger ledger(options.market);
  TRY(const auto info, ledger.info());
  CHECK_OK(raise_stake(ledger, parties.provider, options.stake));
  Canary canary(ledger, info, parties, options);
  TRY(const market::AuditView view, canary.run(serve, claimed, pool));
  const auto rows = canary.results(view);
  if (context.json()) {
    context.print(json::object{{"audit", to_hex(view.id)}, {"auditors", rows}});
    return kOk;
  }
  if (rows.empty()) fmt::print("nobody was drawn\n");
  for (const market::DrawnAuditor& a : view.drawn)
    fmt::print("{}  {}{}\n", a.account.to_string(),
               market::to_string(static_cast<protocol::AuditVerdict>(a.verdict)),
               a.convicted ? ", convicted" : "");
  return kOk;
}

Result<int> run_report(const Context& context, const AuditorCanaryOptions& options) {
  TRY(const crypto::SecretKey key, load_key(options.key));
  const auto self = crypto::address_of(key);
  protocol::ReportKey report{.challenger = self, .audit = {}, .auditor = {}, .key_nonce = {}};
  TRY(report.audit, array_from_hex<32>(options.audit));
  TRY(report.auditor, protocol::Address::parse(options.auditor));
  TRY(report.key_nonce, array_from_hex<32>(options.nonce));
  settle::RemoteLedger ledger(options.market);
  TRY(const auto info, ledger.info());
  const auto operation = protocol::sign(info.domain, report, key);
  CHECK_OK(ledger.submit(protocol::sign(
      info.domain,
      protocol::CommitDispute{.account = self,
                              .commitment = market::commitment_of(info.domain, operation),
                              .nonce = io::random_u64()},
      key)));
  TRY(const auto applied, ledger.submit(operation));
  if (context.json())
    context.print(market::to_json(applied));
  else
    fmt::print("{}  {} is convicted\n", green("ok"), report.auditor.to_string());
  return kOk;
}

}  // namespace

AuditorTrial add_auditor_trials(CLI::App& auditor, Context& context) {
  const auto o = std::make_shared<AuditorCanaryOptions>();
  CLI::App* canary = context.verb(
      auditor, "canary", "have auditors look at a receipt that is false on purpose",
      "assay auditor canary --serve models/tern-worse-q8_0.gguf --claim models/tern-q8_0.gguf \\\n"
      "    --market http://127.0.0.1:8790 --key buyer.json --provider-key provider.json "
      "--stake 1.00");
  canary->add_option("--serve", o->serve, "GGUF file that computes")->required();
  canary->add_option("--claim", o->claim, "GGUF file it is sold as")->required();
  canary->add_option("--market", o->market, "the ledger")->required();
  add_key_options(canary, o->key, "the buyer's key")->required();
  canary
      ->add_option("--provider-key", o->provider_key.file,
                   "the provider's key, under the same passphrase")
      ->required();
  canary->add_option("--stake", o->stake, "raise the provider's stake to this; it is not slashed");
  canary->add_option("--auditors", o->auditors, "to be drawn, 1 to 4 (default 1)")
      ->check(CLI::Range(1, 4));
  canary->add_option("--fee-max", o->fee_max, "most that each is paid (default 0.10)");
  canary->add_option("--escrow", o->escrow, "held in the lease meanwhile (default 0.10)");
  canary->add_option("--prompt", o->prompt, "what is asked");
  canary->add_option("--tokens", o->tokens, "of the answer (default 16)")
      ->check(CLI::Range(1, 4096));
  canary->add_option("--threads", o->threads, "engine threads (default: all)");
  context.json_flag(canary);
  CLI::App* report =
      context.verb(auditor, "report", "show that an auditor gave the nonce of its keyed tree away",
                   "assay auditor report --audit 0x… --auditor 0xAb… --nonce 0x… \\\n"
                   "    --market http://127.0.0.1:8790 --key me.json");
  report->add_option("--audit", o->audit, "the audit's id")->required();
  report->add_option("--auditor", o->auditor, "its address")->required();
  report->add_option("--nonce", o->nonce, "what it gave away, before commitments were due")
      ->required();
  report->add_option("--market", o->market, "the ledger")->required();
  add_key_options(report, o->key, "the reporter's key")->required();
  context.json_flag(report);
  return [&context, o, canary, report]() -> std::optional<Result<int>> {
    o->provider_key.passphrase = o->key.passphrase;
    if (canary->parsed()) return run_canary(context, *o);
    if (report->parsed()) return run_report(context, *o);
    return std::nullopt;
  };
}

}  // namespace assay::cli
