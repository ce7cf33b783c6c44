// A board of offers beside a ledger that lives elsewhere: offers of staked providers, in SQLite.
#pragma once
#include <memory>
#include <mutex>

#include "base/clock.hpp"
#include "io/sqlite.hpp"
#include "market/board.hpp"
#include "market/settlement.hpp"

namespace assay::settle {

class OfferBoard : public market::Board {
 public:
  // `settlement` and `clock` outlive it.
  static Result<std::unique_ptr<OfferBoard>> open(const std::string& path,
                                                  market::Settlement& settlement,
                                                  const Clock& clock);

  Result<std::vector<market::Signed<market::Offer>>> offers() override;
  // Errors: refused without the ledger's least stake.
  Status publish(const market::Signed<market::Offer>& offer) override;

 private:
  OfferBoard(std::unique_ptr<io::Database> database, market::Settlement& settlement,
             const market::LedgerInfo& info, const Clock& clock)
      : database_(std::move(database)),
        settlement_(settlement),
        info_(info),
        clock_(clock),
        book_(info.domain) {}
  std::uint64_t now() const { return static_cast<std::uint64_t>(clock_.now_s()); }
  Status load();
  Status prune();

  std::mutex mutex_;  // database_ and book_
  std::unique_ptr<io::Database> database_;
  market::Settlement& settlement_;
  const market::LedgerInfo info_;
  const Clock& clock_;
  market::OfferBook book_;
};

}  // namespace assay::settle
