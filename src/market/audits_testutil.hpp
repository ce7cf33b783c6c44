// World (ledger_testutil.hpp) with people who audit.
#pragma once
#include "market/ledger_testutil.hpp"
#include "protocol/audit_keys.hpp"

namespace assay::market::test {

inline constexpr Micros kFee = 50'000;
// Of it, what a pass leaves to its auditor.
inline constexpr Micros kEarned = 40'000;

class AuditWorld : public World {
 public:
  using World::World;

  Party auditor(std::uint8_t number) const { return party(static_cast<std::uint8_t>(60 + number)); }
  // With 2.00 of stake each, registered; then a lease and one receipt of it.
  void hire(std::uint8_t auditors);
  Hash lease_id{};
  ClaimLeaf leaf_one;

  Signed<protocol::RegisterAuditor> registration(const Party& who, Micros fee = kFee,
                                                 bool active = true);
  RequestAudit request_audit(const Hash& lease, const ClaimLeaf& leaf, std::uint32_t auditors,
                             Micros fee_max, const Party& by);
  RequestAudit request_audit(std::uint32_t auditors = 1, Micros fee_max = kFee) {
    return request_audit(lease_id, leaf_one, auditors, fee_max, buyer);
  }
  Signed<protocol::Beacon> beacon() const;
  // An auditor's secret is its address.
  Hash key_of(const Party& who) const;
  Hash nonce_of(const Hash& audit, const Party& who) const;
  Signed<protocol::CommitAudit> audit_commitment(const Hash& audit, const Party& who) const;
  Signed<protocol::RevealAudit> verdict(const Hash& audit, const Party& who,
                                        protocol::AuditVerdict verdict) const;
  CheckAudit check(const Hash& audit, const Party& auditor, const Party& challenger, Micros bond,
                   std::string_view proof = "opens");
  AnswerCheck reply(const Hash& check, const Party& who, std::string_view proof = "shows") const;
  Signed<protocol::ReportKey> report(const Hash& audit, const Party& auditor,
                                     const Party& challenger) const;
  ShowCanary canary(const Hash& lease, const ClaimLeaf& leaf, const Party& buyer,
                    const Party& provider);
  Signed<protocol::SettleAudit> settlement(const Hash& audit, const Party& who) const;
  // Against a pass: subject is the digest of the verdict.
  FileDispute pass_dispute(const Hash& lease, const ClaimLeaf& leaf, const Hash& pass,
                           const Party& challenger, Micros bond);

  // Operations that must succeed.
  Hash must(const Operation& operation);
  // Asked for, drawn, committed by everybody drawn.
  Hash start(std::uint32_t auditors = 1);
  Hash reveal(const Hash& audit, const Party& who, protocol::AuditVerdict verdict);
  // Convicts the statement by a game.
  void convict(const Hash& lease, const ClaimLeaf& leaf);

  AuditView audit_of(const Hash& id) const { return *audit_view(state, id); }
  Party drawn(const Hash& audit, std::size_t index = 0) const;
  Party drawn_party(const Address& address) const;
  AuditorView record_of(const Party& who) const;
};

}  // namespace assay::market::test
