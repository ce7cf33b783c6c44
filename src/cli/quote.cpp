// assay quote: what a job would cost, verified, before anything is spent. Reads the board and the
// ledger only. A gateway quotes a request itself, by its own rules: POST /assay/quote.
#include "market/quote.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "cli/job_options.hpp"
#include "cli/option_checks.hpp"
#include "market/money.hpp"
#include "market/relaxation.hpp"
#include "services/gateway/api_request.hpp"

namespace assay::cli {
namespace {

using market::format_money;

struct QuoteOptions {
  JobOptions job;
  std::string verification = "stream-then-verify", audit_fee = "0.10", escrow;
  std::uint32_t auditors = 0;
  double audit_rate = -1;
};

Result<market::QuoteTerms> terms_of(const QuoteOptions& options, const services::Proof& proof,
                                    const market::LedgerInfo& info) {
  market::QuoteTerms terms;
  terms.replicas = proof.replicas;
  terms.always_audited = proof.always_audited || proof.replicas > 1 ||
                         proof.delivery == services::Delivery::verify_before_stream;
  terms.auditors = options.auditors;
  if (options.audit_rate >= 0)
    terms.audit_rate_q32 =
        static_cast<std::uint64_t>(options.audit_rate * static_cast<double>(market::kAuditAlways));
  const auto fee = market::parse_money(options.audit_fee);
  if (!fee) return fail_in("--audit-fee", fee.error());
  terms.audit_fee = *fee;
  if (!options.escrow.empty()) {
    const auto escrow = market::parse_money(options.escrow);
    if (!escrow) return fail_in("--escrow", escrow.error());
    terms.escrow = *escrow;
  }
  terms.parameters = info.parameters;
  return terms;
}

void print_quote(const market::Quote& q, std::span<const market::Candidate> chosen,
                 const market::Job& job, const market::QuoteTerms& terms) {
  for (const auto& c : chosen)
    fmt::print("provider   {}  at most {}{}\n", c.offer.message.provider.to_string(),
               format_money(c.expected_price),
               c.offer.message.rebate_ppm == 0
                   ? std::string()
                   : fmt::format(", {:g} % less if slower than it promises",
                                 static_cast<double>(c.offer.message.rebate_ppm) / 1e4));
  fmt::print("answer     {} to {} ({} prompt tokens, 1 to {} answer tokens{})\n",
             format_money(q.first), format_money(q.answer), job.prompt_tokens, job.max_tokens,
             terms.replicas > 1 ? fmt::format(", {} times", chosen.size()) : "");
  const double percent =
      100.0 * static_cast<double>(q.audit_rate_q32) / static_cast<double>(market::kAuditAlways);
  if (terms.auditors == 0)
    fmt::print("audits     {:.1f} % of answers, replayed on your machine: no fee\n", percent);
  else
    fmt::print("audits     {:.1f} % of answers, {} hired auditors at {}: {} expected, at most {}\n",
               percent, terms.auditors, format_money(terms.audit_fee), format_money(q.audits),
               format_money(q.audits_most));
  fmt::print("{}   {} expected, at most {}\n", bold("together"), format_money(q.expected),
             format_money(q.most));
  fmt::print(
      "held       {} meanwhile: escrow{}, and a dispute's bond of {}; what is not spent comes "
      "back\n",
      format_money(q.held), terms.replicas > 1 ? " of each lease" : "",
      format_money(terms.parameters.dispute_bond));
}

Result<int> run_quote(const Context& context, const QuoteOptions& options) {
  TRY(market::Job job, job_of(options.job));
  const auto proof = services::parse_proof(options.verification, "--verification");
  if (!proof) return fail(Errc::invalid, "{}", proof.error().message);
  TRY(const MarketReading reading, read_market(options.job.market));
  TRY(const market::QuoteTerms terms, terms_of(options, *proof, reading.info));
  job.evidence = proof->evidence;
  job.escrow = terms.escrow;
  const auto screening = market::screen(reading.offers, job, reading.facts, reading.now);
  const OfferedModels there = offered_models(reading, job);
  warn_of_name(there, job);
  if (screening.fitting.size() < terms.replicas) {
    if (context.json()) {
      json::object out = market::to_json(screening);
      out["executions"] = executions_json(there);
      out["replicas"] = terms.replicas;
      const auto best =
          market::cheapest_relaxation(reading.offers, job, reading.facts, reading.now);
      out["relaxation"] = best ? json::value(market::to_json(*best)) : json::value();
      context.print(out);
    } else {
      fmt::print("{} of {} providers fit\n", screening.fitting.size(), terms.replicas);
      print_refused(screening);
      if (screening.fitting.empty()) print_relaxation(reading, job);
      if (screening.fitting.size() == 1)
        fmt::print("one provider cannot be compared: use --verification audit\n");
      if (screening.fitting.size() > 1)
        fmt::print("use --verification replicate:{}, or limits that more of them meet\n",
                   screening.fitting.size());
    }
    return kFailed;
  }
  const auto chosen = std::span(screening.fitting).first(terms.replicas);
  TRY(const market::Quote q, market::quote(chosen, job, terms));
  if (!context.json()) {
    print_quote(q, chosen, job, terms);
    return kOk;
  }
  json::object out = market::to_json(q);
  out["executions"] = executions_json(there);
  json::array providers;
  for (const auto& c : chosen) providers.push_back(market::to_json(c));
  out["providers"] = std::move(providers);
  context.print(out);
  return kOk;
}

}  // namespace

void add_quote(CLI::App& app, Context& context) {
  auto* verb = context.verb(
      app, "quote", "what a job would cost, verified, before spending (exit 1: nobody fits)",
      "assay quote --market http://127.0.0.1:8790 --model tern-q8_0 --prompt-tokens 200 "
      "--max-tokens 100 --verification replicate:2");
  const auto o = std::make_shared<QuoteOptions>();
  add_job_options(verb, o->job);
  verb->add_option("--verification", o->verification,
                   "stream-then-verify (audits are drawn), audit, verify-before-stream, "
                   "replicate:K or tee")
      ->check(proof_value());
  verb->add_option("--audit-rate", o->audit_rate,
                   "share of answers audited, 0 to 1 (default: by price and stake, for a buyer "
                   "without history: all)")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--auditors", o->auditors, "hired for one audit (default 0: your own replay)")
      ->check(CLI::Range(0, 4));
  verb->add_option("--audit-fee", o->audit_fee, "most that each is paid (default 0.10)")
      ->check(money_value());
  verb->add_option("--escrow", o->escrow, "held in a new lease (default: what the job needs)")
      ->check(money_value());
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_quote(context, *o); });
}

}  // namespace assay::cli
