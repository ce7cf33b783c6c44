// What the parts of a provider share.
#pragma once
#include "base/clock.hpp"
#include "market/board.hpp"
#include "market/money.hpp"
#include "market/settlement.hpp"
#include "protocol/rules.hpp"
#include "services/provider/provider_options.hpp"
#include "services/provider/provider_store.hpp"

namespace assay::services {

struct ProviderCore {
  ProviderOptions options;
  std::vector<ServedModel> models;
  crypto::SecretKey key;
  protocol::Address address{}, payout{};
  market::LedgerInfo ledger;
  market::Settlement& settlement;
  market::Board& board;
  const Clock& clock;
  std::unique_ptr<ProviderStore> store;

  std::uint64_t now() const { return static_cast<std::uint64_t>(clock.now_s()); }
  template <class M>
  protocol::Signed<M> sign(M message) const {
    return protocol::sign(ledger.domain, std::move(message), key);
  }
  template <class M>
  Hash id(const M& message) const {
    return protocol::digest(ledger.domain, message);
  }
  // The model served under this execution id; null: none.
  const ServedModel* serving(const Hash& execution) const {
    for (const ServedModel& m : models)
      if (protocol::struct_hash(protocol::ExecutionId{
              m.advertised.weights_root, m.advertised.program_hash, m.advertised.canon}) ==
          execution)
        return &m;
    return nullptr;
  }
  // What the offer says of it to batches; nullopt: nothing.
  std::optional<protocol::OfferModel> batch_offer(const ServedModel& served) const {
    if (options.batch_discount_bps == 0) return std::nullopt;
    protocol::OfferModel model = served.advertised;
    model.name += protocol::kBatchSuffix;
    model.price_in = market::discounted(model.price_in, options.batch_discount_bps);
    model.price_out = market::discounted(model.price_out, options.batch_discount_bps);
    return model;
  }
  // Leased at the prices for batches: it waits while others want the machine.
  bool may_wait(const protocol::Lease& terms, const ServedModel& served) const {
    const auto is_price_of = [&](const protocol::OfferModel& model) {
      return terms.price_in == model.price_in && terms.price_out == model.price_out;
    };
    const auto batch = batch_offer(served);
    return batch && is_price_of(*batch) && !is_price_of(served.advertised);
  }
};

}  // namespace assay::services
