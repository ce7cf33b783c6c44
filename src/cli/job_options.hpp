// What a job asks for, as flags; and the market it is screened against, read without a key.
#pragma once
#include <string>

#include "market/screen.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

struct JobOptions {
  std::string market, model, execution, max_price_in, max_price_out, min_stake, min_rebate,
      sort = "balanced";
  std::vector<std::string> only, ignore;
  market::Job job;
};
void add_job_options(CLI::App* verb, JobOptions& options);
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

// Nobody fits: each refusal a line, and what would help.
void print_refused(const market::Screening& screening);
void print_relaxation(const MarketReading& reading, const market::Job& job);

}  // namespace assay::cli
