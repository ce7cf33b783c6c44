// Rebates of answers that came later than their provider promised (protocol/rebates.hpp): noted
// while the answer comes, asked for before it is settled, and watched afterwards.
//
// Whatever the provider says is final and written down; what it accepts is taken off the next
// cumulative total in the same transaction that signs it (Store::take_settlement), so a restart at
// any point asks the same question again, or pays what it would have paid.
#pragma once
#include "services/gateway/market_view.hpp"

namespace assay::services {

class Rebates {
 public:
  Rebates(Buyer& buyer, MarketView& market) : buyer_(buyer), market_(market) {}

  // Before the answer's receipt is filed. 0: not measured.
  Status note(const RequestRecord& record, const LeaseRecord& lease,
              const protocol::AnswerTimes& times, std::size_t tokens);
  // Of a request that is owed: asks for the rebate that is due. unavailable: ask again later, until
  // options.rebate_wait_s are over; else it may be settled.
  Status ask(const RequestRecord& record);
  // A claim above what the lease's receipts come to less what was accepted: the promise is broken,
  // and this provider is not asked for anything any more.
  Status look(const LeaseRecord& lease, const market::LeaseView& view);
  void show(io::Metrics& metrics);

 private:
  Status conclude(RebateRecord rebate, const Address& provider, RebateState state,
                  std::string reason);

  Buyer& buyer_;
  MarketView& market_;
};

// {"request", "lease", "provider", "state", "first_token_ms", "stream_ms", "amount", "reason",
// "rebate", "acceptance"}: what was asked for, and both signatures.
json::object rebate_object(Buyer& buyer, const RebateRecord& rebate);

}  // namespace assay::services
