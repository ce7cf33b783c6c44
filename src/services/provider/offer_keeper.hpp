// Signs and publishes the offer, renews it at half of its life, withdraws it at the end.
#pragma once
#include <atomic>

#include "services/provider/provider_core.hpp"

namespace assay::services {

class OfferKeeper {
 public:
  OfferKeeper(ProviderCore& core, std::string endpoint, const Hash& tls_key)
      : core_(core), endpoint_(std::move(endpoint)), tls_key_(tls_key) {}

  // Milliseconds to the first token and per token, as measured; claimed in the next offer, unless
  // the options say what is claimed.
  void set_speed(std::uint32_t first_token_ms, std::uint32_t per_token_ms);
  // The first one. A board may read the ledger a little later than this provider, which has staked
  // just now: refused although the stake is there, it is offered again for half a minute.
  Status introduce();
  // Publishes when the last one is past half of its life, or none is out.
  Status renew();
  // What it offers now, under a sequence of its own, to be signed.
  Result<protocol::Offer> draft(std::uint64_t expires);
  // Replaces the offer by one that expires at once.
  Status withdraw();

 private:
  Status publish(std::uint64_t lifetime_s);

  ProviderCore& core_;
  std::string endpoint_;
  Hash tls_key_;
  std::atomic<std::uint32_t> first_token_ms_{0}, per_token_ms_{0};
  std::uint64_t renew_at_ = 0;
};

}  // namespace assay::services
