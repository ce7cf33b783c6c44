// What every part of the gateway works with: the buyer's key, state, files and connections.
#pragma once
#include <algorithm>
#include <memory>
#include <mutex>
#include <set>

#include "base/clock.hpp"
#include "io/metrics.hpp"
#include "market/board.hpp"
#include "market/settlement.hpp"
#include "services/gateway/gateway_options.hpp"
#include "services/gateway/model_catalog.hpp"
#include "services/gateway/store.hpp"
#include "services/gateway/vault.hpp"

namespace assay::services {

// Requests an answer is being made of right now: background work leaves them alone.
class ActiveRequests {
 public:
  void add(const Hash& request) {
    const std::lock_guard lock(mutex_);
    active_.insert(request);
  }
  void remove(const Hash& request) {
    const std::lock_guard lock(mutex_);
    active_.erase(request);
  }
  bool contains(const Hash& request) {
    const std::lock_guard lock(mutex_);
    return active_.contains(request);
  }

 private:
  std::mutex mutex_;
  std::set<Hash> active_;
};

struct Buyer {
  GatewayOptions options;
  crypto::SecretKey key;
  Address address{};
  market::LedgerInfo ledger;
  market::Settlement& settlement;
  market::Board& board;
  const Clock& clock;
  ModelCatalog models;
  std::unique_ptr<Store> store;
  Vault vault;
  ProviderClient providers;
  ActiveRequests active{};
  io::Metrics metrics{};

  // What a hired audit takes and a dispute needs after it: to commit, to reveal, to check, to
  // answer, to file.
  std::uint64_t audit_s() const {
    return options.audit_by == AuditBy::hire ? 5 * ledger.parameters.move_s : 0;
  }
  std::uint64_t now() const { return static_cast<std::uint64_t>(clock.now_s()); }
  // Until then a provider may bring the receipt of a request nobody heard of any more.
  std::uint64_t receipt_until(const RequestRecord& record) const {
    return std::max(record.request.message.expires,
                    static_cast<std::uint64_t>(record.created_s) + options.request_s);
  }
  template <class M>
  Signed<M> sign(const M& message) const {
    return protocol::sign(ledger.domain, message, key);
  }
  template <class M>
  Hash id(const M& message) const {
    return protocol::digest(ledger.domain, message);
  }
};

}  // namespace assay::services
