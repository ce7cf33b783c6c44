// Publishes every number of this provider's key to the market's log, in order: receipts as salted
// commitments, and voids. At fixed moments, `delay_ms` apart, and then at least `pad` numbers at a
// time (voids make them up), so that neither when nor how often somebody asked can be read from the
// log more closely than that. Everything comes from the database: after a crash it goes on where
// the log says.
#pragma once
#include "base/repeating.hpp"
#include "services/provider/provider_core.hpp"
#include "settle/log_client.hpp"

namespace assay::services {

class ReceiptPublisher {
 public:
  // `core` outlives it. `url`: what LogWriter speaks to. Asks the log, where it answers, which
  // numbers it has, before it returns.
  ReceiptPublisher(ProviderCore& core, const std::string& url);

 private:
  Result<std::uint64_t> reserve();  // the number that the log has next
  Status publish();

  ProviderCore& core_;
  settle::LogWriter log_;
  Repeating rounds_;
};

}  // namespace assay::services
