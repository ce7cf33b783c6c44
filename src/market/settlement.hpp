// What provider, gateway and command line need of a ledger, wherever it is hosted. Declared here,
// implemented by settle/embedded (in the host's process) and settle/remote (over HTTP).
//
// Trust: an embedded ledger's host keeps custody and is trusted for liveness. Everything else is
// signed or follows from what is, disputes included, and can be replayed from the published log
// (`assay ledger verify`).
//
// Errors: refused (a rule said no, with the two numbers), not_found, conflict (stale), mismatch
// (a signature or hash), unavailable (host not reachable: retry with the same operation), invalid.
#pragma once
#include <optional>

#include "market/referee.hpp"

namespace assay::market {

struct Parameters {
  std::uint32_t exposure_factor = 3;  // unpaid escrow per provider ≤ factor × stake
  std::uint64_t unbonding_s = 7 * 86400;
  std::uint64_t window_min_s = 3600;  // challenge window a lease may ask for
  std::uint64_t window_max_s = 7 * 86400;
  std::uint64_t lease_max_s = 30 * 86400;  // expiry ≤ opening + this
  // To make one move of a dispute: at least 10 × the longest honest recompute (one prefill of the
  // largest context leased here) plus an allowance for an outage. Windows are no shorter.
  std::uint64_t move_s = 3600;
  Micros stake_min = 1'000'000;     // to be leased from at all
  Micros dispute_bond = 100'000;    // smallest bond
  Micros reward_max = 1'000'000;    // most a challenger gains by one conviction
  std::uint32_t burned_bps = 5000;  // share of a slash that is burned; at least 5000
  bool operator==(const Parameters&) const = default;
};
// invalid unless every rule above can hold (burn ≥ half, unbonding ≥ window_max, …).
Status check(const Parameters& parameters);

struct LedgerInfo {
  Domain domain;
  Address host{};  // signs deposits and beacons
  Parameters parameters;
  Hash beacon{};  // value 0 of the beacon's chain; zero: this ledger draws no auditors
  // Of the fee that a pass earns its auditor, the share that is burned instead: what makes passes
  // that one buys from oneself cost something (spec/reputation.md).
  std::uint32_t audit_burned_bps = 2000;
};
inline constexpr std::uint32_t kAuditBurnedBpsMax = 5000;
// invalid unless the parameters are, and the auditor keeps at least half of its fee.
Status check(const LedgerInfo& info);
// Of a ledger on a chain; 0 elsewhere. How long after a deadline what was taken before it may not
// show yet: blocks name a time of their own, and are believed when others lie on them.
std::uint64_t chain_lag_s(const LedgerInfo& info);
// And how long each waits for whom an operation concerns more, so that not all send the same.
std::uint64_t settling_turn_s(const LedgerInfo& info);

struct Unbonding {
  Micros amount = 0;
  std::uint64_t requested = 0;
  std::uint64_t due = 0;  // and not before every older lease is past dispute
  bool operator==(const Unbonding&) const = default;
};

struct AccountView {
  Address address{};
  Micros available = 0, stake = 0;
  std::vector<Unbonding> unbonding;
  Micros exposure = 0;        // unpaid escrow of open leases where it is the provider
  Micros exposure_limit = 0;  // factor × stake; 0 when stake is under stake_min
  std::uint32_t convictions = 0;
  Micros slashed = 0;  // over its life
  // About statements it signed as a provider (disputes, and demands for answers), or passed as an
  // auditor: it has to defend.
  std::vector<Hash> open_disputes;
  std::vector<Hash> audits;  // for which it is drawn and can still be convicted
};

enum class LeaseState : std::uint32_t { open = 0, closed = 1, convicted = 2 };

struct PendingClaim {
  Hash id{};
  Micros total = 0;
  std::uint32_t count = 0;
  Hash root{};
  std::uint64_t due = 0;  // finalize from this second on
  Hash contest{};         // the last dispute demanding leaves; zero: none
  bool opened = false;    // every leaf it asked for was shown and checked
  // A chain shows leaves by blocks of so many, one contest for each; 0: one contest asks for all.
  std::uint32_t block = 0;
  std::vector<Hash> contests{};  // where there are blocks: all of this claim, oldest first
  bool operator==(const PendingClaim&) const = default;
};

// Open caps are not the ledger's business, payments are.
struct LeaseView {
  Hash id{};
  protocol::Lease terms;
  LeaseState state = LeaseState::open;
  Micros escrow = 0;                     // still held
  Micros paid = 0;                       // to the payout address so far
  std::uint64_t opened = 0, closed = 0;  // Unix seconds; closed 0 while open
  std::uint64_t disputable_until = 0;    // 0 while open: no end yet
  bool may_claim = true;                 // false once a contested claim was not opened in time
  std::optional<PendingClaim> claim;
  std::vector<Hash> open_disputes;
};

enum class DisputeState : std::uint32_t { open = 0, decided = 1 };

// A statement: it is wrong. A claim: show its receipts. A delivery: show the answer signed for.
enum class DisputeAbout : std::uint32_t { statement = 0, claim = 1, delivery = 2 };

struct DisputeView {
  Hash id{};
  Hash lease{}, subject{};
  Address challenger{};
  Address defender{};  // the lease's provider, or the auditor that passed the statement
  Hash audit{};        // whose pass it is about; zero: about the provider
  Micros bond = 0;
  DisputeAbout about = DisputeAbout::statement;
  Micros amount = 0;  // of the statement, or the claim
  std::uint64_t filed = 0;
  DisputeState state = DisputeState::open;
  protocol::Outcome outcome = protocol::Outcome::not_judged;  // once decided
  std::string reason;  // for people: not part of the ledger's state hash
  // While open: who must act before `due`. A contest waits for the provider, a game for either, a
  // demand for the provider to deliver, then for the buyer to report what it got.
  Turn turn = Turn::over;
  std::uint64_t due = 0;  // Unix seconds; 0 once decided
  // Of the game so far, and the hash over them. Of a contest or a demand: 1 once it was answered,
  // and the id of the operation that did.
  std::uint32_t moves = 0;
  Hash game{};
  // What a conviction did; slashed = burned + refunded from the slash + reward.
  Micros slashed = 0, burned = 0, made_whole = 0, reward = 0;
  Micros escrow_refunded = 0;
};

// One account's offer to audit one execution.
struct AuditorView {
  Address account{};
  Hash execution{};
  bool active = false;
  std::string endpoint;
  Micros fee = 0;
  // Stake at registration, which unbonding does not go below while active; counts in the draw.
  Micros weight = 0;
  std::uint64_t since = 0;                            // drawn only for leases opened later
  std::uint32_t drawn = 0, revealed = 0, missed = 0;  // audits, over its life
  bool operator==(const AuditorView&) const = default;
};

// waiting: for its beacon round. settled: fees are paid; passes can still be convicted.
enum class AuditState : std::uint32_t { waiting = 0, drawn = 1, settled = 2 };

struct DrawnAuditor {
  Address account{};
  std::string endpoint;  // of its registration, when asked
  Micros fee = 0;
  bool fee_held = false;           // neither paid nor returned yet
  Hash nonce_hash{}, root_hash{};  // zero: not committed
  std::uint32_t verdict = 0;       // AuditVerdict
  Hash pass{};                     // digest of the RevealAudit that passed: subject of a dispute
  bool convicted = false;
  bool operator==(const DrawnAuditor&) const = default;
};

struct OpenCheck {
  Hash id{};  // digest of the AuditCheck
  Address challenger{}, auditor{};
  Micros bond = 0;
  std::uint64_t due = 0;
  bool operator==(const OpenCheck&) const = default;
};

struct AuditView {
  Hash id{};
  Address buyer{};
  Hash lease{}, subject{};
  std::uint32_t auditors = 0;  // asked for
  Micros fee_max = 0, held = 0;
  std::uint64_t requested = 0;
  std::uint64_t round = 0;  // that draws
  Hash beacon{};            // its value; zero while waiting
  AuditState state = AuditState::waiting;
  // Commits come before commit_due, verdicts from then on before reveal_due, checks from then on
  // before check_due. While waiting only check_due is set: from then on everything is returned.
  std::uint64_t commit_due = 0, reveal_due = 0, check_due = 0;
  std::vector<DrawnAuditor> drawn;  // in order of the draw
  std::vector<OpenCheck> checks;    // as they were asked; their proofs are in the operations
  std::vector<Hash> open_disputes;  // about passes
  // Of the subject, when asked.
  bool subject_convicted = false, subject_canary = false;
};

// The first check that the audit's fees wait for: those of the convicted ask nothing any more.
const OpenCheck* pending_check(const AuditView& audit);

struct Totals {
  Micros deposited = 0, withdrawn = 0;
  Micros available = 0, stake = 0, unbonding = 0, escrow = 0, bonds = 0, burned = 0;
  Micros audit_fees = 0;  // held for audits
  std::uint64_t operations = 0;
  std::uint64_t time = 0;  // of the last operation
  Hash state{};            // state hash after it
  // available + stake + unbonding + escrow + bonds + audit_fees + burned == deposited − withdrawn
  bool conserved() const;
};

struct Applied {
  Hash id{};
  std::uint64_t sequence = 0;  // place in the log, from 1
  bool already = false;        // it was there before; nothing changed now
};

struct Settlement {
  virtual ~Settlement() = default;
  virtual Result<LedgerInfo> info() = 0;
  virtual Result<AccountView> account(const Address& address) = 0;  // unknown: all zero
  virtual Result<LeaseView> lease(const Hash& id) = 0;
  virtual Result<DisputeView> dispute(const Hash& id) = 0;
  virtual Result<Totals> totals() = 0;
  // Success means durable. Safe to repeat: the first outcome comes back with already = true.
  virtual Result<Applied> submit(const Operation& operation) = 0;
  // An open dispute about a statement as it was filed, its transcript grown by the moves since.
  // not_found once it is decided: then the log has them.
  virtual Result<FileDispute> game(const Hash& dispute) = 0;
  // An operation the ledger applied, as it lies in its log.
  virtual Result<Operation> operation(const Hash& id) = 0;
  virtual Result<AuditView> audit(const Hash& id) = 0;
  // Active ones, in order of their addresses.
  virtual Result<std::vector<AuditorView>> auditors(const Hash& execution) = 0;
};

json::object to_json(const Parameters& v);
json::object to_json(const LedgerInfo& v);
json::object to_json(const AccountView& v);
json::object to_json(const LeaseView& v);
json::object to_json(const DisputeView& v);
json::object to_json(const Totals& v);
json::object to_json(const AuditView& v);
json::object to_json(const std::vector<AuditorView>& v);  // {"auditors": […]}
json::object to_json(const Applied& v);
Result<Parameters> parameters_from_json(const json::object& o);
Result<LedgerInfo> ledger_info_from_json(const json::object& o);
Result<AccountView> account_view_from_json(const json::object& o);
Result<LeaseView> lease_view_from_json(const json::object& o);
Result<DisputeView> dispute_view_from_json(const json::object& o);
Result<Totals> totals_from_json(const json::object& o);
Result<AuditView> audit_view_from_json(const json::object& o);
Result<std::vector<AuditorView>> auditors_from_json(const json::object& o);
Result<Applied> applied_from_json(const json::object& o);

// "open" / "closed" / "convicted"; "provider_right" / "provider_wrong" / "not_judged" /
// "invalid_model"; "provider" / "challenger" / "over".
std::string_view to_string(LeaseState state);
std::string_view to_string(protocol::Outcome outcome);
std::string_view to_string(Turn turn);
std::string_view to_string(DisputeAbout about);  // "statement" / "claim" / "delivery"
// "waiting" / "drawn" / "settled"; "none" / "pass" / "fail" / "unauditable".
std::string_view to_string(AuditState state);
std::string_view to_string(protocol::AuditVerdict verdict);

}  // namespace assay::market
