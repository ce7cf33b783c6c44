// assay screen: who would answer, at what price, and why the others would not. Reads the board and
// the ledger only; no key, no gateway.
#include "market/screen.hpp"

#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

struct Options {
  std::string market, execution, max_price_in, max_price_out, min_stake;
  market::Job job;
};

Result<market::Job> job_of(const Options& options) {
  market::Job job = options.job;
  const auto price = [](const std::string& text, const char* flag,
                        std::optional<market::Micros>& limit) -> Status {
    if (text.empty()) return {};
    const auto parsed = market::parse_money(text);
    if (!parsed) return fail_in(flag, parsed.error());
    limit = *parsed;
    return {};
  };
  CHECK_OK(price(options.max_price_in, "--max-price-in", job.max_price_in));
  CHECK_OK(price(options.max_price_out, "--max-price-out", job.max_price_out));
  std::optional<market::Micros> stake;
  CHECK_OK(price(options.min_stake, "--min-stake", stake));
  job.min_stake = stake.value_or(0);
  if (!options.execution.empty()) {
    TRY(job.execution, array_from_hex<32>(options.execution));
  }
  return job;
}

Result<market::Screening> screen(const Options& options) {
  TRY(const market::Job job, job_of(options));
  settle::RemoteLedger ledger(options.market);
  TRY(const market::LedgerInfo info, ledger.info());
  TRY(const auto listed, ledger.offers());
  const auto now = static_cast<std::uint64_t>(io::SystemClock().now_s());
  std::vector<market::Signed<market::Offer>> offers;
  std::map<market::Address, market::ProviderFacts> facts;
  for (const auto& offer : listed) {
    if (!market::check_offer(info.domain, offer, now)) continue;
    if (auto account = ledger.account(offer.message.provider))
      facts[offer.message.provider].account = *account;
    offers.push_back(offer);
  }
  return market::screen(offers, job, facts, now);
}

json::object document(const market::Screening& screening) {
  json::array fitting, refused;
  for (const auto& c : screening.fitting) {
    const auto& offer = c.offer.message;
    const auto& model = offer.models[c.model];
    fitting.push_back(json::object{{"provider", offer.provider.to_string()},
                                   {"endpoint", offer.endpoint},
                                   {"model", model.name},
                                   {"price_in", market::format_money(model.price_in)},
                                   {"price_out", market::format_money(model.price_out)},
                                   {"expected_price", market::format_money(c.expected_price)},
                                   {"stake", market::format_money(c.stake)},
                                   {"region", offer.region},
                                   {"vram_mib", offer.vram_mib}});
  }
  for (const auto& r : screening.refused) {
    json::array reasons;
    for (const auto& reason : r.reasons)
      reasons.push_back(
          json::object{{"code", market::to_string(reason.code)}, {"text", reason.text}});
    refused.push_back(json::object{{"provider", r.provider.to_string()},
                                   {"endpoint", r.endpoint},
                                   {"reasons", std::move(reasons)}});
  }
  return {{"fitting", std::move(fitting)}, {"refused", std::move(refused)}};
}

void print_table(const market::Screening& screening) {
  if (screening.fitting.empty() && screening.refused.empty()) {
    fmt::print("no offers on this board\n");
    return;
  }
  for (const auto& c : screening.fitting) {
    const auto& offer = c.offer.message;
    const auto& model = offer.models[c.model];
    fmt::print("{}  {}  {:<14} in {:>8} out {:>8} per million  stake {}  {}\n", green("fits   "),
               offer.provider.to_string(), model.name, market::format_money(model.price_in),
               market::format_money(model.price_out), market::format_money(c.stake),
               offer.endpoint);
  }
  for (const auto& r : screening.refused) {
    std::string why;
    for (const auto& reason : r.reasons) why += (why.empty() ? "" : "; ") + reason.text;
    fmt::print("{}  {}  {}\n", red("refused"), r.provider.to_string(), why);
  }
}

Result<int> run(const Context& context, const Options& options) {
  TRY(const market::Screening screening, screen(options));
  if (context.json())
    context.print(document(screening));
  else
    print_table(screening);
  return screening.fitting.empty() ? kFailed : kOk;
}

}  // namespace

void add_screen(CLI::App& app, Context& context) {
  auto* verb =
      context.verb(app, "screen", "which offers fit, and why the others do not (exit 1: none)",
                   "assay screen --market http://127.0.0.1:8790 --model tern-q8_0 "
                   "--max-price-out 1.00");
  const auto o = std::make_shared<Options>();
  auto& job = o->job;
  job.prompt_tokens = job.max_tokens = 64;
  verb->add_option("--market", o->market, "URL of the ledger and board")->required();
  verb->add_option("--model", job.model, "name in the offer (default: any)");
  verb->add_option("--execution", o->execution, "execution id it must be, hex (`assay model id`)");
  verb->add_option("--prompt-tokens", job.prompt_tokens, "expected (default 64)");
  verb->add_option("--max-tokens", job.max_tokens, "of the answer (default 64)");
  verb->add_option("--max-price-in", o->max_price_in, "ceiling per million prompt tokens");
  verb->add_option("--max-price-out", o->max_price_out, "ceiling per million answer tokens");
  verb->add_option("--min-vram", job.min_vram_mib, "least GPU memory, MiB");
  verb->add_option("--max-latency", job.max_first_token_ms, "most ms to the first token");
  verb->add_option("--min-stake", o->min_stake, "least stake of a provider");
  verb->add_option("--regions", job.regions, "only these regions: eu,us")->delimiter(',');
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run(context, *o); });
}

}  // namespace assay::cli
