// Rebates asked for (protocol/rebates.hpp), compared with what this provider's own clock saw.
#pragma once
#include <atomic>

#include "io/metrics.hpp"
#include "services/provider/provider_core.hpp"

namespace assay::services {

class RebateDesk {
 public:
  explicit RebateDesk(ProviderCore& core) : core_(core) {}

  // On disk when it returns; the same for the same rebate, however often it is asked for. refused:
  // by this clock, and with the options' allowance for the network, the answer was in time;
  // conflict: the request has another rebate, or its receipt is in a claim; not_found: no receipt;
  // mismatch, invalid: the call is at fault.
  Result<protocol::Signed<protocol::RebateAcceptance>> answer(const protocol::RebateCall& call);
  void show(io::Metrics& metrics) const;

 private:
  Result<protocol::Signed<protocol::RebateAcceptance>> decide(const protocol::RebateCall& call);

  ProviderCore& core_;
  std::atomic<std::uint64_t> given_ = 0, refused_ = 0;  // by this process
};

}  // namespace assay::services
