// Offers, accounts and this buyer's experience, screened for a request.
#pragma once
#include "market/offer_index.hpp"
#include "market/relaxation.hpp"
#include "market/standing.hpp"
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
    std::optional<market::Relaxation> relaxation;  // where nobody fits
  };
  // Only offers of exactly the local model's execution id fit. Providers that failed just now come
  // last; `routing.order` comes first. Looks at every offer.
  Result<Screened> screen(const Wish& wish);
  // The kShortlist to ask, spread as market/ranking.hpp says by a number drawn here; reasons only
  // where nobody fits.
  Result<Screened> choose(const Wish& wish);
  static constexpr std::size_t kShortlist = 16;
  // An offer that is not on the board, as a candidate. refused: why it does not fit.
  Result<market::Candidate> admit(const Signed<protocol::Offer>& offer, const Wish& wish);
  market::Job job_of(const Wish& wish) const;
  void forget_cache();

  // How often receipts of this provider are replayed, of 2^32 (market/audit_policy.hpp, or the
  // rate the gateway was started with).
  std::uint64_t audit_rate_q32(const Address& provider, Micros cap);

  void served(const Address& provider);
  void audited(const Address& provider);
  void failed(const Address& provider);
  void convicted(const Address& provider, const std::string& reason);
  void rebate(const Address& provider, market::Reputation::RebateEnd end);
  // What the ledger's log proves.
  void learn(std::span<const market::Standing> standings);
  // Of one answer, as it arrived here.
  void measured(const Address& provider, std::uint32_t first_token_ms, std::uint32_t per_token_ms);

 private:
  Status refresh();
  Result<Screened> screen_locked(const Wish& wish);
  void arrange(std::vector<market::Candidate>& fitting, std::span<const Address> order) const;
  market::ProviderFacts facts_of(const Address& provider, const Hash& execution);
  market::ProviderFacts roomy_facts_of(const Address& provider) const;
  market::Record record_of(const Address& provider) const;
  void note(const Address& provider);

  Buyer& buyer_;
  std::mutex mutex_;
  market::Reputation reputation_;
  std::map<Address, market::Standing> standings_;
  struct Pause {
    std::uint32_t failures = 0;  // in a row
    std::int64_t until_ms = 0;   // steady
  };
  std::map<Address, Pause> pauses_;
  std::int64_t read_ms_ = 0;  // steady; 0: never
  std::vector<Signed<protocol::Offer>> offers_;
  std::map<Address, market::AccountView> accounts_;
  std::set<Address> leased_;  // providers this buyer has an open lease with
  market::OfferIndex index_;
};

market::Reputation::RebateEnd end_of(RebateState state);

// What the routing of a request gives where the gateway's own says nothing else.
Routing merged(const Routing& defaults, const Routing& request);

// {"fitting": […], "refused": [{"provider","endpoint","reasons":[{"code","text"}]}],
// "relaxation": {…} or null}. Latency is "measured" by this gateway or "claimed" in the offer.
json::object screening_json(const MarketView::Screened& screened);

}  // namespace assay::services
