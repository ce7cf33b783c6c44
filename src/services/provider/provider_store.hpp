// Everything a provider needs to get paid, in SQLite (WAL, synchronous=FULL): what a call returns
// from is on disk. Kept per request: the signed request, its salt, token ids, the signed receipt;
// states and traces are recomputed on demand.
//
// Safe to use from many threads. `provider.db` in the data directory.
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "io/sqlite.hpp"
#include "protocol/inference.hpp"
#include "protocol/rebates.hpp"

namespace assay::services {

struct StoredOutcome {
  std::vector<std::uint32_t> answer, logprobs;  // protocol/tokens.hpp
  protocol::Signed<protocol::Receipt> receipt;
};

// A rebate this provider has given (protocol/rebates.hpp).
struct StoredRebate {
  protocol::Signed<protocol::Rebate> rebate;
  protocol::Signed<protocol::RebateAcceptance> acceptance;
};

struct StoredRequest {
  Hash id{};
  protocol::Signed<protocol::Request> request;
  Hash salt_secret{};
  std::vector<std::uint32_t> prompt, stop_ids;
  Bytes automaton;                               // as in an InferenceCall
  std::optional<StoredOutcome> outcome;          // none: it was interrupted and may be sent again
  std::optional<protocol::AnswerTimes> times{};  // by this side's clock; none: not measured
  std::optional<StoredRebate> rebate{};
};

// A number of the provider's key: of a receipt, or of nothing.
struct NumberUsed {
  std::uint64_t number = 0;
  std::optional<protocol::Signed<protocol::Receipt>> receipt;  // none: a void
  Hash salt{};  // the request's salt secret, or the void's salt
};

enum class LeaseStanding : std::int64_t { open = 0, over = 1 };

struct StoredLease {
  Hash id{};
  protocol::Signed<protocol::Lease> lease;
  LeaseStanding stage = LeaseStanding::open;
  std::uint64_t used = 0;          // Unix seconds of the last request or receipt
  protocol::Micros receipted = 0;  // all its receipts together, less the rebates given
};

// A claim as it was submitted, and the requests whose receipts are its leaves, in order.
struct StoredClaim {
  Hash id{};
  protocol::Signed<protocol::Claim> claim;
  std::vector<Hash> leaves;
};

struct ProviderTotals {
  std::uint64_t requests = 0, receipts = 0, open_leases = 0;
  std::uint64_t tokens_out = 0;
  protocol::Micros receipted = 0, rebated = 0;
};

class ProviderStore {
 public:
  // Errors: conflict when the database belongs to another ledger or another key: its receipts could
  // not be claimed with this one.
  static Result<std::unique_ptr<ProviderStore>> open(const std::string& path,
                                                     const protocol::Domain& domain,
                                                     const protocol::Address& provider);

  // To look at, whoever it belongs to. Errors: not_found.
  static Result<std::unique_ptr<ProviderStore>> open_existing(const std::string& path);

  // The lease is remembered with its first request. conflict when another request has its lease and
  // sequence; the same request again is fine and changes nothing.
  Status add_request(const Hash& id, const protocol::InferenceCall& call, std::uint64_t now);
  Result<std::optional<StoredRequest>> request(const Hash& id);

  // Once and for ever: `sign` gets the next key sequence of this key and returns the receipt, which
  // is written with the answer in the same transaction. A request that has a receipt keeps it: then
  // the stored outcome comes back and `sign` is not called.
  using Sign = std::function<protocol::Signed<protocol::Receipt>(std::uint64_t key_sequence)>;
  Result<StoredOutcome> finish(const Hash& id, const Hash& lease,
                               std::span<const std::uint32_t> answer,
                               std::span<const std::uint32_t> logprobs,
                               const protocol::AnswerTimes& times, std::uint64_t now,
                               const Sign& sign);

  // Numbers of receipts and voids from `from` on, in order, at most `most`.
  Result<std::vector<NumberUsed>> numbers(std::uint64_t from, std::size_t most);
  // Each uses up the next number.
  Status add_voids(std::span<const Hash> salts);
  // Numbers below `next` were used, also if this database does not know for what.
  Status reserve_numbers(std::uint64_t next);

  Result<protocol::Micros> receipted(const Hash& lease);  // as StoredLease::receipted
  Result<std::optional<StoredLease>> lease(const Hash& id);
  // Once and for ever: a request that has a rebate keeps it, and that one comes back. conflict
  // where its receipt is in a claim already. From here on the receipt counts with so much less.
  Result<StoredRebate> add_rebate(const Hash& request, const StoredRebate& rebate);
  Result<std::vector<StoredLease>> open_leases();
  Status end_lease(const Hash& id);
  // Of one lease, those with a receipt, by sequence.
  Result<std::vector<StoredRequest>> receipts(const Hash& lease);

  // conflict where it does not ask for exactly what the lease's receipts come to: a rebate was
  // given since they were read.
  Status add_claim(const StoredClaim& claim);
  Result<std::optional<StoredClaim>> claim(const Hash& id);

  // The next offer sequence, used up when it returns.
  Result<std::uint64_t> next_offer_sequence();
  Result<ProviderTotals> totals();

 private:
  explicit ProviderStore(std::unique_ptr<io::Database> db) : db_(std::move(db)) {}
  // With the lock held; `id` for ?1, if the condition has one.
  Result<std::vector<StoredLease>> leases_where(std::string_view condition, ByteView id);

  std::mutex mutex_;
  std::unique_ptr<io::Database> db_;
};

}  // namespace assay::services
