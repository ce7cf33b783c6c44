// The ledger state machine: pure. apply() is the only way a state changes; time comes in as an
// argument, disputes are decided by a pure referee, nothing is read or written elsewhere. Normative
// text: spec/ledger.md.
//
// Invariants, in every reachable state:
//   available + stake + unbonding + escrow + bonds + audit_fees + burned == deposited − withdrawn
//   no amount is negative
//   an operation that is refused changes nothing; one that was applied is never applied again
//   exposure of a provider == escrow of the open leases that name it
// Errors: invalid (malformed), mismatch (signature, digest), refused (a rule), not_found,
// conflict (stale or already decided).
#pragma once
#include <map>
#include <set>
#include <unordered_map>

#include "market/settlement.hpp"

namespace assay::market {

// Somebody will dispute something; what, only the message to come tells.
struct Commitment {
  Hash hash{};  // sha256 of the digest of a Dispute or an Equivocation
  std::uint64_t made = 0;
  bool operator==(const Commitment&) const = default;
};

struct Account {
  Micros available = 0, stake = 0;
  std::vector<Unbonding> unbonding;
  Micros exposure = 0;
  std::uint32_t convictions = 0;
  Micros slashed = 0;
  std::vector<Commitment> commitments;  // oldest first
  std::vector<Hash> auditing;           // executions it is registered to audit, ascending
};

struct LeaseRecord {
  LeaseView view;            // disputable_until is derived when asked
  Micros made_whole = 0;     // paid money that slashes gave back to the buyer
  std::set<Hash> convicted;  // subjects that need no second conviction
  std::set<Hash> demanded;   // subjects whose answer was demanded: once is enough for ever
  // Subjects known to be false and since when: convicted, or shown to be canaries.
  std::map<Hash, std::uint64_t> wrong;
  std::set<Hash> canaries;  // a conviction of these slashes no provider
  std::set<Hash> audits;    // every audit about this lease
};

struct AuditRecord {
  AuditView view;
  Evidence evidence;  // not hashed: the operation that brought it is
};

// What the buyer of a lease last said about its speed: its word.
struct LatencyRecord {
  std::uint32_t answers = 0, first_token_ms = 0, per_token_ms = 0;
  std::uint64_t since = 0, until = 0, made = 0;
  Micros paid = 0;  // over the lease when it was made
};

// The last published value of the beacon's chain.
struct BeaconState {
  std::uint64_t round = 0;
  Hash value{};
};

// An auditor that may still be convicted for an audit: it holds its unbonding back. Oldest first.
struct LiveAudit {
  Address auditor{};
  std::uint64_t drawn = 0;
  Hash audit{};
  auto operator<=>(const LiveAudit&) const = default;
};

// Execution, account.
using AuditorKey = std::pair<Hash, Address>;
struct PassPlace {
  Hash audit{};
  Address auditor{};
};

// What an auditor has to answer, and in which audit.
struct CheckAsked {
  Hash audit{};
  Bytes proof;
};

struct HashOfHash {
  std::size_t operator()(const Hash& h) const { return load_le<std::size_t>(h.data()); }
};

// A lease whose provider may still be convicted: it holds unbonding back. Oldest first.
struct LiveLease {
  Address provider{};
  std::uint64_t opened = 0;
  Hash lease{};
  auto operator<=>(const LiveLease&) const = default;
};

struct State {
  LedgerInfo info;
  const Referee* referee = nullptr;
  Totals totals;  // operations, time and state hash included
  std::map<Address, Account> accounts;
  std::map<Hash, LeaseRecord> leases;
  std::map<Hash, DisputeView> disputes;
  // Open disputes about statements, as filed, with every move since. Not hashed: the dispute's own
  // record holds the hash over its moves, the operations hold the rest.
  std::map<Hash, FileDispute> games;
  // Open demands for an answer: what they are about. Not hashed either.
  std::map<Hash, Evidence> demands;
  std::map<Hash, Hash> claims;  // pending claim → lease
  std::set<LiveLease> live_leases;
  BeaconState beacon;
  std::map<AuditorKey, AuditorView> auditors;
  std::map<Hash, AuditRecord> audits;
  std::set<Hash> waiting_audits;      // for the next beacon
  std::map<Hash, PassPlace> passes;   // RevealAudit that passed → whose
  std::map<Hash, CheckAsked> checks;  // open ones; not hashed: the operations hold the proofs
  std::set<LiveAudit> live_audits;
  std::map<Hash, LatencyRecord> latencies;                      // by lease
  std::unordered_map<Hash, std::uint64_t, HashOfHash> applied;  // operation id → place in the log
};

// An empty ledger. invalid when the parameters break a rule. `referee` outlives the state.
Result<State> genesis(const LedgerInfo& info, const Referee& referee);

// What one operation changed, as it was before; nullopt: there was no such record.
struct Undo {
  Hash id{};
  Totals totals;
  std::map<Address, std::optional<Account>> accounts;
  std::map<Hash, std::optional<LeaseRecord>> leases;
  std::map<Hash, std::optional<DisputeView>> disputes;
  std::map<Hash, std::optional<FileDispute>> games;
  std::map<Hash, std::optional<Evidence>> demands;
  std::map<Hash, std::optional<Hash>> claims;
  std::map<LiveLease, bool> live_leases;
  std::optional<BeaconState> beacon;
  std::map<AuditorKey, std::optional<AuditorView>> auditors;
  std::map<Hash, std::optional<AuditRecord>> audits;
  std::map<Hash, bool> waiting_audits;
  std::map<Hash, std::optional<PassPlace>> passes;
  std::map<Hash, std::optional<CheckAsked>> checks;
  std::map<LiveAudit, bool> live_audits;
  std::map<Hash, std::optional<LatencyRecord>> latencies;
};

// Applies one operation at `time` (Unix seconds, never before the last operation's). `undo`, where
// given, is filled when something changed.
Result<Applied> apply(State& state, const Operation& operation, std::uint64_t time,
                      Undo* undo = nullptr);
// Takes the last applied operation back, for a host whose disk refused it. Latest first.
void revert(State& state, Undo undo);

AccountView account_view(const State& state, const Address& address);
Result<LeaseView> lease_view(const State& state, const Hash& id);
Result<DisputeView> dispute_view(const State& state, const Hash& id);
Result<FileDispute> game_view(const State& state, const Hash& id);
Result<AuditView> audit_view(const State& state, const Hash& id);
std::vector<AuditorView> auditors_view(const State& state, const Hash& execution);

// Whether an auditor drawn for this audit can still be convicted for it.
bool liable(const State& state, const Hash& audit, const Address& auditor, std::uint64_t time);

// Of an amount, `bps` in ten thousand, rounded up: what is burned of it.
Micros burned_of(Micros amount, std::uint32_t bps);

// Most unpaid escrow this stake carries.
Micros exposure_limit(const Parameters& parameters, Micros stake);

// Adds everything up again from the records; equals state.totals unless the program is wrong.
Totals recount(const State& state);
// SHA-256 over every record: two states are equal when these are.
Hash snapshot_hash(const State& state);

}  // namespace assay::market
