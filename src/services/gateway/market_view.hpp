// Offers, accounts and this buyer's experience, screened for a request.
#pragma once
#include "market/screen.hpp"
#include "services/gateway/buyer.hpp"

namespace assay::services {

// A request reduced to what screening needs.
struct Wish {
  std::shared_ptr<const LocalModel> model;
  std::string name;  // as the client said it
  std::uint32_t prompt_tokens = 0, max_tokens = 0;
  Routing routing;
};

class MarketView {
 public:
  explicit MarketView(Buyer& buyer) : buyer_(buyer) {}

  // Where the lease's provider listens now: it may have moved since the lease was agreed.
  std::string endpoint_of(const LeaseRecord& lease);
  // Reads what earlier runs of this gateway learned about providers.
  Status recall();

  struct Screened {
    market::Screening screening;
    json::object relaxation;  // see cheapest_relaxation
  };
  // Only offers of exactly the local model's execution id fit. Providers that failed just now come
  // last; `routing.order` comes first.
  Result<Screened> screen(const Wish& wish);
  void forget_cache();

  // How often receipts of this provider are replayed, of 2^32 (market/audit_policy.hpp, or the
  // rate the gateway was started with).
  std::uint64_t audit_rate_q32(const Address& provider, Micros cap);

  void served(const Address& provider);
  void audited(const Address& provider);
  void failed(const Address& provider);
  void convicted(const Address& provider, const std::string& reason);

 private:
  Status refresh();
  void arrange(std::vector<market::Candidate>& fitting, std::span<const Address> order) const;
  market::ProviderFacts facts_of(const Address& provider, const Hash& execution,
                                 const market::AccountView& account);

  Buyer& buyer_;
  std::mutex mutex_;
  market::Reputation reputation_;
  struct Pause {
    std::uint32_t failures = 0;  // in a row
    std::int64_t until_ms = 0;   // steady
  };
  std::map<Address, Pause> pauses_;
  std::int64_t read_ms_ = 0;  // steady; 0: never
  std::vector<Signed<protocol::Offer>> offers_;
  std::map<Address, market::AccountView> accounts_;
};

// What the routing of a request gives where the gateway's own says nothing else.
Routing merged(const Routing& defaults, const Routing& request);

// What to change in the request so that one refused offer fits: of all offers the one with the
// fewest changes, then the cheapest. {"provider", "change": {"max_price_out": "2.00"}, "text"};
// empty when no change of the request helps.
json::object cheapest_relaxation(const market::Screening& screening, const Wish& wish,
                                 std::span<const Signed<protocol::Offer>> offers);

// {"fitting": […], "refused": [{"provider","endpoint","reasons":[{"code","text"}]}],
// "relaxation": {…} or null}
json::object screening_json(const MarketView::Screened& screened);

}  // namespace assay::services
