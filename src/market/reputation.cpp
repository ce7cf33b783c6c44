#include "market/reputation.hpp"

namespace assay::market {

using protocol::Address;

Record Reputation::of(const Address& provider) const {
  const auto it = records_.find(provider);
  return it == records_.end() ? Record{} : it->second;
}

void Reputation::served(const Address& provider) { ++records_[provider].served; }
void Reputation::audited(const Address& provider) { ++records_[provider].audited; }
void Reputation::failed(const Address& provider) { ++records_[provider].failures; }

void Reputation::convicted(const Address& provider, std::string reason) {
  auto& record = records_[provider];
  ++record.convictions;
  record.last_conviction = std::move(reason);
}

std::uint32_t success_ppm(const Record& record) {
  // Counters of one buyer: far below 2^44, so the product cannot overflow.
  const auto total = record.served + record.failures;
  if (total == 0) return 500'000;
  return static_cast<std::uint32_t>(record.served * 1'000'000 / total);
}

}  // namespace assay::market
