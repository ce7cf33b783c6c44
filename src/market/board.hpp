// The board of offers: verified, unexpired, one per provider, the highest sequence wins.
#pragma once
#include <map>

#include "protocol/typed.hpp"

namespace assay::market {

using protocol::Address;
using protocol::Offer;
using protocol::Signed;

// Longest time an offer may be valid, so that a forgotten one dies.
inline constexpr std::uint64_t kOfferLifetimeMax = 7 * 86400;
inline constexpr std::size_t kOfferModelsMax = 64;
inline constexpr std::size_t kOfferTextMax = 256;  // bytes of each text in it

// Where offers are read and published: OfferBook behind a service, or settle/remote.
struct Board {
  virtual ~Board() = default;
  virtual Result<std::vector<Signed<Offer>>> offers() = 0;
  virtual Status publish(const Signed<Offer>& offer) = 0;
};

// Signature by offer.provider, at least one model, no negative price, not expired, lifetime,
// http(s) endpoint, no repeated model name.
Status check_offer(const protocol::Domain& domain, const Signed<Offer>& offer, std::uint64_t now);

// The pure core of a board; the owner persists it and serializes calls.
class OfferBook {
 public:
  explicit OfferBook(protocol::Domain domain) : domain_(domain) {}

  // true: stored (new or higher sequence); false: exactly this offer was there already. conflict
  // when the provider has a higher sequence, or another offer under this sequence.
  Result<bool> put(const Signed<Offer>& offer, std::uint64_t now);
  // Unexpired offers by provider address. A provider withdraws by publishing a short-lived one.
  std::vector<Signed<Offer>> list(std::uint64_t now) const;
  // Forgets what has expired and returns whose. The sequence is forgotten with it: an expired offer
  // cannot come back.
  std::vector<Address> prune(std::uint64_t now);

 private:
  protocol::Domain domain_;
  std::map<Address, Signed<Offer>> offers_;
};

}  // namespace assay::market
