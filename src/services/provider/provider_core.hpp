// What the parts of a provider share.
#pragma once
#include "base/clock.hpp"
#include "market/board.hpp"
#include "market/settlement.hpp"
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
};

}  // namespace assay::services
