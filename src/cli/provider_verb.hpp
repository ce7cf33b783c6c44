// What `assay provider` and `assay attack model-swap` share: flags, and running the service.
#pragma once
#include "cli/model_file.hpp"
#include "cli/settlement_flags.hpp"
#include "cli/signing_key.hpp"
#include "services/provider/provider_options.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

class Context;

struct ProviderFlags {
  services::ProviderOptions service;
  KeyOptions key;
  std::string price_in, price_out;  // decimal units per million tokens
  SettlementFlags ledger;
  std::string stake, payout, name;
  unsigned threads = 0;
  double bid_discount_percent = 0;
  std::string rebate;               // percent
  std::uint64_t kv_memory_mib = 0;  // of all models; 0: chosen by the machine's memory
  bool no_prefix_cache = false;
};
void add_provider_flags(CLI::App* verb, ProviderFlags& flags);

// One model to offer: what computes, the file the offer and every receipt are about, and how it is
// computed (null: by the canonical engine).
struct Offered {
  const ModelFile* serves;
  const ModelFile* claims;
  std::shared_ptr<services::Computer> computer = nullptr;
};
// Serves until Ctrl-C. The first line on stdout says that it is ready and where.
Result<int> run_provider(const Context& context, ProviderFlags flags,
                         std::span<const Offered> offered);

}  // namespace assay::cli
