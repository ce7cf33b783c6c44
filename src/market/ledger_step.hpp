// One operation at work: what it may touch, how money moves, what enters the state hash.
// A transition first checks everything on the const state, then moves; after its first write it
// cannot fail any more.
#pragma once
#include "market/ledger.hpp"

namespace assay::market {

class Step {
 public:
  Step(State& state, const Hash& id, std::uint64_t time);

  const Domain& domain() const { return state_.info.domain; }
  const Parameters& parameters() const { return state_.info.parameters; }
  const State& state() const { return state_; }
  const Hash& id() const { return undo_.id; }
  std::uint64_t time() const { return time_; }

  // Reading. Unknown accounts are empty.
  const Account& read(const Address& address) const;
  Result<const LeaseRecord*> read_lease(const Hash& id) const;

  // Writing: what is handed out becomes part of this operation's state hash.
  Account& account(const Address& address);
  LeaseRecord& lease(const Hash& id);
  DisputeView& dispute(const Hash& id);
  // Not hashed; see State::games.
  FileDispute& game(const Hash& id);
  void remove_game(const Hash& id);
  Evidence& demand(const Hash& id);
  void remove_demand(const Hash& id);
  void add_claim(const Hash& claim, const Hash& lease);
  void remove_claim(const Hash& claim);
  void add_live(const LiveLease& live);
  void remove_live(const LiveLease& live);
  AuditorView& auditor(const AuditorKey& key);
  AuditRecord& audit(const Hash& id);
  BeaconState& beacon();
  LatencyRecord& latency(const Hash& lease);
  // Indices, not hashed.
  void set_waiting(const Hash& audit, bool waits);
  void set_live(const LiveAudit& live, bool lives);
  void add_pass(const Hash& reveal, const PassPlace& place);
  void add_check(const Hash& check, CheckAsked asked);
  void remove_check(const Hash& check);

  // Money. The amounts were checked before: running short here is a programmer's error.
  void deposit(const Address& to, Micros amount);
  void withdraw(const Address& from, Micros amount);
  void move_available(const Address& from, const Address& to, Micros amount);
  void stake(const Address& who, Micros amount);
  void unbond(const Address& who, const Unbonding& entry);
  void release(const Address& who, std::size_t entry);
  void lock_escrow(const Hash& lease, Micros amount);  // buyer → escrow
  void pay_escrow(const Hash& lease, Micros amount);   // escrow → payout
  void refund_escrow(const Hash& lease);               // all of it → buyer
  void lock_bond(const Address& from, Micros amount);
  void return_bond(const Address& to, Micros amount);
  void hold_fees(const Hash& audit, Micros amount);                    // buyer → audit
  void pay_fees(const Hash& audit, const Address& to, Micros amount);  // audit → anyone
  void burn_fees(const Hash& audit, Micros amount);
  // Empties stake and unbonding of `who` into the three; together they are all of it. Whatever it
  // was registered to audit ends.
  void slash(const Address& who, Micros burned, const Address& buyer, Micros made_whole,
             const Address& challenger, Micros reward);

  // The next state hash over everything touched.
  Hash finish() const;
  Undo take_undo() { return std::move(undo_); }

 private:
  std::uint64_t time_;
  State& state_;
  Undo undo_;  // its keys are what was touched
};

// "1.00 is not more than zero" and the like.
Status positive(Micros amount, std::string_view what);
Status check_available(const Step& step, const Address& account, Micros amount);
// Would `more` unpaid escrow still fit this provider's stake?
Status check_exposure(const Step& step, const Address& provider, Micros more);
bool past_dispute(const LeaseRecord& lease, std::uint64_t time);
// May a statement of this lease still be disputed, or its answer demanded?
Status check_disputable(const Step& step, const LeaseRecord& lease, const Hash& subject);
// What holds a lease open by a deadline of its own, disputes and demands, is filed while it runs,
// or once it is closed: else whoever is on both sides could keep it open for ever, with the
// escrow, and the stake of whoever answers for it.
Status check_not_over(const Step& step, const LeaseRecord& lease);
// At least dispute_bond, and there to be held.
Status check_bond(const Step& step, const Address& from, Micros bond);
// The operation's id becomes an open dispute, its bond is held.
// About an auditor's pass: `audit` is not zero, and the auditor the defender.
DisputeView& add_dispute(Step& step, DisputeAbout about, const Hash& lease, const Hash& subject,
                         const Address& challenger, const Address& defender, const Hash& audit,
                         Micros bond, Micros amount);
// When an earlier operation committed to this one.
Result<std::uint64_t> committed_at(const Step& step, const Address& challenger, const Hash& hash);
void consume_commitment(Step& step, const Address& challenger, const Hash& hash);
// The operation's program and execution are those of the lease.
Status check_program(const protocol::Lease& terms, const protocol::ExecutionId& execution,
                     ByteView program);
// What happens to stake and unbonding of a convicted account: `owed` goes to a buyer as far as the
// burned share lets it, then the reward.
struct Shares {
  Micros pool = 0, burned = 0, made_whole = 0, reward = 0;
};
Shares shares_of(const Step& step, const Address& convicted, Micros owed);
// The escrow ends: refund to the buyer, pending claim dropped (its contest's bond goes back).
void end_lease(Step& step, const Hash& id, LeaseState state, std::string_view reason);
void drop_claim(Step& step, const Hash& lease, protocol::Outcome contest, std::string_view reason);

// ledger_accounts.cpp
Status on(Step& step, const Signed<protocol::Deposit>& op);
Status on(Step& step, const Signed<protocol::Withdraw>& op);
Status on(Step& step, const Signed<protocol::Transfer>& op);
Status on(Step& step, const Signed<protocol::Stake>& op);
Status on(Step& step, const Signed<protocol::Unbond>& op);
Status on(Step& step, const Signed<protocol::Release>& op);
// ledger_leases.cpp
Status on(Step& step, const OpenLease& op);
Status on(Step& step, const Signed<protocol::TopUp>& op);
Status on(Step& step, const Signed<protocol::Settlement>& op);
Status on(Step& step, const Signed<protocol::Close>& op);
// ledger_claims.cpp
Status on(Step& step, const Signed<protocol::Claim>& op);
Status on(Step& step, const ContestClaim& op);
Status on(Step& step, const OpenClaim& op);
Status on(Step& step, const Signed<protocol::Finalize>& op);
// What the referee is asked about.
DisputeCase case_of(const Step& step, const protocol::Lease& terms, const Hash& id,
                    const FileDispute& filed);
// An open game: whose turn it is now, and until when.
void continue_game(Step& step, DisputeView& d, const GameStatus& status);
// How a dispute about a statement or a pass ends: bond, conviction or the end of the lease.
void decide(Step& step, const Hash& dispute, protocol::Outcome outcome, std::string reason);

// ledger_delivery.cpp
Status on(Step& step, const DemandDelivery& op);
Status on(Step& step, const Deliver& op);
Status on(Step& step, const ReportDelivery& op);
// ledger_disputes.cpp
Status on(Step& step, const Signed<protocol::CommitDispute>& op);
Status on(Step& step, const FileDispute& op);
Status on(Step& step, const ReportEquivocation& op);
// ledger_games.cpp
Status on(Step& step, const DisputeMove& op);
Status on(Step& step, const Signed<protocol::Timeout>& op);

// ledger_auditors.cpp
Status on(Step& step, const Signed<protocol::RegisterAuditor>& op);
Status on(Step& step, const Signed<protocol::Beacon>& op);
// ledger_audits.cpp
Status on(Step& step, const RequestAudit& op);
Status on(Step& step, const Signed<protocol::CommitAudit>& op);
Status on(Step& step, const Signed<protocol::RevealAudit>& op);
Status on(Step& step, const Signed<protocol::SettleAudit>& op);
// ledger_checks.cpp
Status on(Step& step, const CheckAudit& op);
Status on(Step& step, const AnswerCheck& op);
Status on(Step& step, const Signed<protocol::ReportKey>& op);
Status on(Step& step, const ShowCanary& op);
// ledger_latency.cpp
Status on(Step& step, const Signed<protocol::LatencyReport>& op);
// No answer in time; `check` is open.
Status expire_check(Step& step, const Hash& check);

// ledger_liability.cpp
struct DrawnPlace {
  const AuditRecord* record;
  const DrawnAuditor* auditor;
};
// not_found: no such audit, or this account was not drawn for it.
Result<DrawnPlace> find_drawn(const Step& step, const Hash& audit, const Address& account);
// Of a record that is being written; `account` was drawn for it.
DrawnAuditor& drawn(AuditView& audit, const Address& account);
// Slashes an auditor that is not convicted yet; its fee goes back to the buyer, the reward to the
// challenger.
Shares convict_auditor(Step& step, const Hash& audit, const Address& account,
                       const Address& challenger);
// Until when passes of a statement that is known to be false can be disputed: not before its lease
// has ended.
std::uint64_t pass_disputable_until(const LeaseRecord& lease, const Hash& subject);

}  // namespace assay::market
