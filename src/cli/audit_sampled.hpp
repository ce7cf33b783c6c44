// assay audit --layers: the sampled audit, and what both kinds of audit share.
#pragma once
#include <string>
#include <vector>

#include "cli/cli.hpp"
#include "engine/isa.hpp"
#include "protocol/files.hpp"
#include "services/gateway/provider_client.hpp"
#include "verify/sampled.hpp"

namespace assay::cli {

// The provider's states over HTTP.
class ProviderStates : public verify::StateSource {
 public:
  ProviderStates(services::ProviderClient& client, const std::string& endpoint)
      : client_(client), endpoint_(endpoint) {}
  Status states(const protocol::StatesCall& call, const Take& take) override {
    return client_.states(endpoint_, call, take);
  }

 private:
  services::ProviderClient& client_;
  const std::string& endpoint_;
};

json::object difference_json(const verify::Difference& difference, std::uint32_t layers);

struct SampledFlags {
  std::uint32_t layers = 0;           // how many are drawn
  std::vector<std::uint32_t> chosen;  // these instead
  std::string link, provider, tensors;
  bool asked() const { return layers > 0 || !chosen.empty(); }
};
void add_sampled_flags(CLI::App* verb, SampledFlags& flags);

struct SampledInput {
  const protocol::ReceiptFile& file;
  const protocol::Opening& opening;
  std::string state_path, model_path;
  engine::Isa isa;
  unsigned threads;
};
// The exit code: kOk when nothing differs, kFailed otherwise.
Result<int> audit_sampled(const Context& context, const SampledFlags& flags,
                          const SampledInput& input);

}  // namespace assay::cli
