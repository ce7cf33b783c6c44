// What a job asks for, as flags; and the market it is screened against, read without a key.
#pragma once
#include <map>
#include <string>

#include "market/screen.hpp"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace assay::cli {

struct JobOptions {
  std::string market, model, execution, max_price_in, max_price_out, min_stake, min_rebate,
      sort = "balanced";
  std::vector<std::string> only, ignore;
  market::Job job;
};
void add_job_options(CLI::App* verb, JobOptions& options);
CLI::Validator proof_value();  // --verification
Result<market::Job> job_of(const JobOptions& options);

Result<std::vector<market::Address>> parse_addresses(const std::vector<std::string>& texts,
                                                     const char* flag);

struct MarketReading {
  market::LedgerInfo info;
  std::vector<market::Signed<market::Offer>> offers;  // that pass check_offer
  std::map<market::Address, market::ProviderFacts> facts;
  std::uint64_t now = 0;
};
Result<MarketReading> read_market(const std::string& url);

// What is offered under the job's name, or where it names nothing under any.
struct OfferedModels {
  std::vector<std::string> names;            // of all models offered, in order
  std::map<Hash, std::size_t> executions{};  // of those meant, and how often each
};
OfferedModels offered_models(const MarketReading& reading, const market::Job& job);
// On stderr: nothing is called so; or more than one execution is, so that a price is of any.
void warn_of_name(const OfferedModels& offered, const market::Job& job);
json::array executions_json(const OfferedModels& offered);

// Nobody fits: each refusal a line, and what would help.
void print_refused(const market::Screening& screening);
void print_relaxation(const MarketReading& reading, const market::Job& job);

}  // namespace assay::cli
