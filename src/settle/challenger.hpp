// A challenger of statements and of auditors that passed them, whoever it is: a buyer whose replay
// differs, or an auditor. From a
// mismatch over the commitment to a filed dispute, and its moves on the ledger until it is decided.
#pragma once
#include "base/clock.hpp"
#include "market/settlement.hpp"
#include "settle/parties.hpp"

namespace assay::settle {

struct DisputedCase {
  Hash subject{};  // digest of the statement, or of the RevealAudit that passed it
  protocol::Address defender{};
  protocol::Lease lease;
  DisputedSources sources;
};

class Challenger {
 public:
  // settlement and clock outlive it. kv_bytes_max holds for every recomputation.
  Challenger(const market::LedgerInfo& ledger, const crypto::SecretKey& key,
             market::Settlement& settlement, const Clock& clock, unsigned threads,
             std::size_t kv_bytes_max, verify::ReplayProgress progress = {});

  // A signed dispute of its own about the statement: to be written down before it is filed, so that
  // a bond is never put up twice for one statement.
  Result<market::FileDispute> draft(market::Evidence evidence, const DisputedCase& about) const;

  // Durably replaces the dispute that draft() gave.
  using Keep = std::function<Status(const market::FileDispute&)>;
  // The provider's next move in a dispute that is not filed. Empty: it is not asked.
  using AskProvider = std::function<Result<market::SignedMove>(const market::FileDispute&)>;
  enum class Filed {
    filed,
    pointless,  // nothing that the provider opened differs from this side's replay
    too_late,   // the ledger will not take it any more
  };
  // Commits to the dispute, plays it as far as the provider answers, files it. Who cannot make its
  // own moves puts up no bond. Safe to repeat with what was kept. Errors: may pass later.
  Result<Filed> file(market::FileDispute dispute, const DisputedCase& about, const Keep& keep,
                     const AskProvider& ask);

  // The next step of an open dispute: this side's move, or the end of the other's time.
  // unavailable: the provider has time left.
  Status move(const market::DisputeView& view, const DisputedCase& about);

 private:
  // true: pointless. What the provider does not answer is played on the ledger. Errors are this
  // side's own.
  Result<bool> play(market::FileDispute& dispute, const DisputedCase& about,
                    const AskProvider& ask);
  Status time_out(const Hash& dispute);
  bool over(const market::FileDispute& dispute, const DisputedCase& about);
  std::uint64_t now() const { return static_cast<std::uint64_t>(clock_.now_s()); }

  market::LedgerInfo ledger_;
  crypto::SecretKey key_;
  protocol::Address address_;
  market::Settlement& settlement_;
  const Clock& clock_;
  Parties parties_;
};

}  // namespace assay::settle
