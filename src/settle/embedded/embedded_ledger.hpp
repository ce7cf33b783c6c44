// The ledger hosted in this process: the pure state machine of market/ledger, made durable by
// SQLite (WAL, synchronous=FULL, STRICT). The log of signed operations is the only truth on disk;
// memory is rebuilt from it at start by replaying every signature and rule.
//
// Trust: whoever runs it keeps custody, decides what to take, and signs deposits. Disputes it only
// replays, as anybody can.
#pragma once
#include <functional>
#include <memory>
#include <shared_mutex>

#include "base/clock.hpp"
#include "market/board.hpp"
#include "market/settlement.hpp"
#include "settle/dispute_referee.hpp"
#include "settle/embedded/group_writer.hpp"
#include "settle/embedded/ledger_log.hpp"

namespace assay::settle {

class EmbeddedLedger : public market::Settlement, public market::Board {
 public:
  // Opens the ledger at `path`, or makes a new one with `fresh` when there is none. `clock` and
  // `referee` outlive it. Errors: mismatch when the log does not replay; conflict when `fresh`
  // names another host than the ledger's.
  static Result<std::unique_ptr<EmbeddedLedger>> open(
      const std::string& path, const market::LedgerInfo& fresh, const Clock& clock,
      const market::Referee& referee = dispute_referee());

  Result<market::LedgerInfo> info() override;
  Result<market::AccountView> account(const market::Address& address) override;
  Result<market::LeaseView> lease(const Hash& id) override;
  Result<market::DisputeView> dispute(const Hash& id) override;
  Result<market::Totals> totals() override;
  Result<market::Applied> submit(const market::Operation& operation) override;
  Result<market::FileDispute> game(const Hash& dispute) override;
  Result<market::Operation> operation(const Hash& id) override;
  Result<market::AuditView> audit(const Hash& id) override;
  Result<std::vector<market::AuditorView>> auditors(const Hash& execution) override;

  // For the host's beacon: the last round, and whether audits wait for the next.
  struct BeaconNeed {
    std::uint64_t round = 0;
    bool wanted = false;
  };
  BeaconNeed beacon_need() const;

  // The board of offers, in the same file.
  Result<std::vector<market::Signed<market::Offer>>> offers() override;
  Status publish(const market::Signed<market::Offer>& offer) override;
  // Offers that ended leave memory and disk.
  Status prune_offers();

  // Durable rows of the log from `from` on, until `take` returns an error.
  Status read_log(std::uint64_t from, const std::function<Status(const LogRow&)>& take);

 private:
  EmbeddedLedger(std::string path, market::State state, market::OfferBook book, Hash head,
                 const Clock& clock)
      : path_(std::move(path)),
        clock_(clock),
        state_(std::move(state)),
        book_(std::move(book)),
        head_(head) {}
  std::uint64_t now() const;

  std::string path_;
  const Clock& clock_;
  mutable std::shared_mutex guard_;  // state_, book_ and head_: see GroupWriter
  market::State state_;
  market::OfferBook book_;
  Hash head_;
  std::unique_ptr<GroupWriter> writer_;  // last: it stops before what it changes goes
};

}  // namespace assay::settle
