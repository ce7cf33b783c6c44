#include "cli/job_options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/option_checks.hpp"
#include "io/http_client.hpp"
#include "io/system_clock.hpp"
#include "market/money.hpp"
#include "market/relaxation.hpp"
#include "services/gateway/api_request.hpp"
#include "settle/remote.hpp"

namespace assay::cli {
namespace {

Result<std::optional<market::Micros>> money(const std::string& text, const char* flag) {
  if (text.empty()) return std::nullopt;
  const auto parsed = market::parse_money(text);
  if (!parsed) return fail_in(flag, parsed.error());
  return *parsed;
}

// What answers there may say itself what it is.
std::unexpected<Error> not_a_market(const std::string& url, const Error& error) {
  io::HttpClient client;
  const auto health = client.get(url + "/health");
  const auto said =
      health ? json::parse(health->body) : Result<json::value>(fail(Errc::invalid, ""));
  if (!said || !said->is_object()) return std::unexpected(error);
  const auto service = json::get_string(said->get_object(), "service");
  if (!service || *service == "market") return std::unexpected(error);
  return fail(Errc::invalid, "{} is a {}, not a market: give the URL of `assay market`", url,
              *service);
}

}  // namespace

Result<std::vector<market::Address>> parse_addresses(const std::vector<std::string>& texts,
                                                     const char* flag) {
  std::vector<market::Address> out;
  for (const auto& text : texts) {
    const auto address = market::Address::parse(text);
    if (!address) return fail_in(flag, address.error());
    out.push_back(*address);
  }
  return out;
}

void add_job_options(CLI::App* verb, JobOptions& options) {
  auto& job = options.job;
  job.prompt_tokens = job.max_tokens = 64;
  job.plain_http = false;
  verb->add_option("--market", options.market, "URL of the ledger and board")->required();
  verb->add_option("--model", options.model, "name in the offer (default: any)");
  verb->add_option("--execution", options.execution,
                   "execution id it must be, hex (`assay model id`)")
      ->check(digest_value());
  verb->add_option("--prompt-tokens", job.prompt_tokens, "expected (default 64)");
  verb->add_option("--max-tokens", job.max_tokens, "of the answer (default 64)");
  verb->add_option("--max-price-in", options.max_price_in, "ceiling per million prompt tokens")
      ->check(money_value());
  verb->add_option("--max-price-out", options.max_price_out, "ceiling per million answer tokens")
      ->check(money_value());
  verb->add_option("--min-vram", job.min_vram_mib, "least GPU memory, MiB");
  verb->add_option("--max-latency", job.max_first_token_ms,
                   "most ms to the first token, as offered");
  verb->add_option("--max-per-token", job.max_per_token_ms, "most ms per token, as offered");
  verb->add_option("--min-stake", options.min_stake, "least stake of a provider")
      ->check(money_value());
  verb->add_option("--min-rebate", options.min_rebate,
                   "least percent taken off an answer slower than promised")
      ->check(rebate_value());
  verb->add_flag("--allow-plain-http", job.plain_http, "also endpoints elsewhere without TLS");
  verb->add_option("--regions", job.regions, "only these regions: eu,us")->delimiter(',');
  verb->add_option("--quantizations", job.quantizations, "only these: Q8_0,Q6_K")->delimiter(',');
  verb->add_option("--only", options.only, "only these providers")
      ->delimiter(',')
      ->check(address_value());
  verb->add_option("--ignore", options.ignore, "not these providers")
      ->delimiter(',')
      ->check(address_value());
  verb->add_option("--sort", options.sort,
                   "balanced (price, speed, reliability), price, throughput or latency")
      ->check(sort_value());
}

CLI::Validator proof_value() {
  return parsed_by([](const std::string& text) -> Status {
    const auto proof = services::parse_proof(text, "--verification");
    return proof ? Status{} : fail(Errc::invalid, "{}", proof.error().message);
  });
}

Result<market::Job> job_of(const JobOptions& options) {
  market::Job job = options.job;
  if (!options.model.empty()) job.names = {options.model};
  TRY(job.max_price_in, money(options.max_price_in, "--max-price-in"));
  TRY(job.max_price_out, money(options.max_price_out, "--max-price-out"));
  TRY(const auto stake, money(options.min_stake, "--min-stake"));
  job.min_stake = stake.value_or(0);
  if (!options.min_rebate.empty()) {
    const auto rebate = market::parse_rebate(options.min_rebate);
    if (!rebate) return fail_in("--min-rebate", rebate.error());
    job.min_rebate_ppm = *rebate;
  }
  TRY(job.only, parse_addresses(options.only, "--only"));
  TRY(job.ignore, parse_addresses(options.ignore, "--ignore"));
  TRY(job.sort, market::parse_sort(options.sort));
  if (!options.execution.empty()) {
    auto execution = array_from_hex<32>(options.execution);
    if (!execution) return fail_in("--execution", execution.error());
    job.execution = *execution;
  }
  return job;
}

Result<MarketReading> read_market(const std::string& url) {
  settle::RemoteLedger ledger(url);
  MarketReading out;
  auto info = ledger.info();
  if (!info) return not_a_market(url, info.error());
  out.info = std::move(*info);
  TRY(auto listed, ledger.offers());
  out.now = static_cast<std::uint64_t>(io::SystemClock().now_s());
  for (auto& offer : listed) {
    if (!market::check_offer(out.info.domain, offer, out.now)) continue;
    if (auto account = ledger.account(offer.message.provider))
      out.facts[offer.message.provider].account = *account;
    out.offers.push_back(std::move(offer));
  }
  return out;
}

OfferedModels offered_models(const MarketReading& reading, const market::Job& job) {
  OfferedModels out;
  std::set<std::string> names;
  for (const auto& offer : reading.offers)
    for (const auto& model : offer.message.models) {
      names.insert(model.name);
      const bool is_meant =
          job.names.empty() || std::ranges::find(job.names, model.name) != job.names.end();
      if (is_meant)
        ++out.executions[protocol::struct_hash(
            protocol::ExecutionId{model.weights_root, model.program_hash, model.canon})];
    }
  out.names.assign(names.begin(), names.end());
  return out;
}

void warn_of_name(const OfferedModels& offered, const market::Job& job) {
  if (job.execution || job.names.empty() || offered.names.empty()) return;
  const std::string& name = job.names.front();
  if (offered.executions.empty())
    return fmt::print(stderr, "assay: nothing is offered as '{}'; offered are {}\n", name,
                      fmt::join(offered.names, ", "));
  if (offered.executions.size() < 2) return;
  fmt::print(stderr,
             "assay: {} executions are offered as '{}', which are not the same model: say with "
             "--execution which you mean (`assay model id FILE` prints yours)\n",
             offered.executions.size(), name);
  for (const auto& [execution, offers] : offered.executions)
    fmt::print(stderr, "       {}  {} offer{}\n", to_hex(execution), offers,
               offers == 1 ? "" : "s");
}

json::array executions_json(const OfferedModels& offered) {
  json::array out;
  for (const auto& [execution, offers] : offered.executions)
    out.push_back(json::object{{"execution", to_hex(execution)}, {"offers", offers}});
  return out;
}

void print_refused(const market::Screening& screening) {
  for (const auto& r : screening.refused) {
    std::string why;
    for (const auto& reason : r.reasons) why += (why.empty() ? "" : "; ") + reason.text;
    fmt::print("{}  {}  {}\n", red("refused"), r.provider.to_string(), why);
  }
}

void print_relaxation(const MarketReading& reading, const market::Job& job) {
  if (const auto best =
          market::cheapest_relaxation(reading.offers, job, reading.facts, reading.now))
    fmt::print("to find {} at {}: {}\n", best->provider.to_string(),
               market::format_money(best->price), best->text);
  else if (!reading.offers.empty())
    fmt::print("no change of these limits finds a provider\n");
}

}  // namespace assay::cli
