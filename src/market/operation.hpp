// Everything a ledger accepts, with what must travel beside the signed message (spec/ledger.md).
//
// JSON: {"kind": "open_lease", "message": {…}, "signature": "0x…", attachments…}; one line, keys in
// the order written here. An operation's id is the digest of its own message (never of an
// attachment), so submitting the same message again is the same operation.
#pragma once
#include <optional>
#include <variant>

#include "protocol/demands.hpp"
#include "protocol/reports.hpp"
#include "protocol/typed.hpp"

namespace assay::market {

using protocol::Address;
using protocol::Domain;
using protocol::Micros;
using protocol::Signed;

// The offer is the provider's standing consent: the lease names it by digest.
struct OpenLease {
  Signed<protocol::Lease> lease;
  Signed<protocol::Offer> offer;
};

// What a provider signed about one request.
using Statement = std::variant<Signed<protocol::Receipt>, Signed<protocol::Progress>>;

struct Evidence {
  Signed<protocol::Request> request;
  Statement statement;
};

// A move as it stands in a transcript. What its signature is over follows from its place there
// (spec/dispute.md section 6).
struct SignedMove {
  Bytes payload;
  protocol::Signature signature;
};
inline constexpr std::size_t kMovesMax = 64;           // of one dispute; games end before
inline constexpr std::size_t kPayloadMax = 16 * 1024;  // of one move, or a proof
inline constexpr std::size_t kProgramBytesMax = 4 * 1024;

// "This receipt is not what the execution gives." Committed to before (CommitDispute). Subject is
// the digest of the statement, or of an auditor's RevealAudit that passed a statement convicted
// since: then the auditor defends it, in the provider's place.
struct FileDispute {
  Signed<protocol::Dispute> dispute;
  Evidence evidence;
  protocol::ExecutionId execution;     // its struct hash is in lease and request
  Bytes program;                       // hashes to execution.program_hash
  std::vector<SignedMove> transcript;  // what was played before the ledger was asked; may be empty
  // Instead of a game, a proof that needs none: how the answer ends, what it answers.
  std::optional<Bytes> finish;
};

// The next move, where the transcript ended. By the side whose turn it is, sent by anyone.
struct DisputeMove {
  Signed<protocol::Move> move;
  Bytes payload;
};

// "Show the receipts behind this claim": subject is the digest of the pending claim. Buyer only.
struct ContestClaim {
  Signed<protocol::Dispute> dispute;
};

// One leaf of a claim: the request the buyer signed and the receipt it led to. Read back from a
// chain the request is without its biases, and `receipt.request` is its id.
struct ClaimLeaf {
  Signed<protocol::Request> request;
  Signed<protocol::Receipt> receipt;
};

// The answer to a contest: every leaf, in sequence order. A wrong or missing leaf is refused; a
// contest that stays unanswered voids the claim.
struct OpenClaim {
  Signed<protocol::Answer> answer;
  std::vector<ClaimLeaf> leaves;
  // Of one read back from a chain, whose contests ask for a block of the leaves each: which leaf is
  // the first here, and what the claim's root says that those before it come to.
  std::uint32_t first = 0;
  Micros before = 0;
};

// Two statements that contradict each other about one (request, count).
struct ReportEquivocation {
  Signed<protocol::Equivocation> report;
  Signed<protocol::Request> request;
  Statement first, second;
};

// "Show me the answer behind this statement", by the lease's buyer, under bond.
struct DemandDelivery {
  Signed<protocol::Demand> demand;
  Evidence evidence;
};

// The provider's answer to a demand, sealed for the buyer (protocol/delivery.hpp).
struct Deliver {
  Signed<protocol::Delivery> delivery;
  Bytes answer;
};
inline constexpr std::size_t kSealedBytesMax = 3 * 1024 * 1024;
// Of answers that a contract is shown in one transaction: Deliveries.sol, SEALED_BYTES_MAX.
inline constexpr std::size_t kSealedBytesOnChainMax = 64 * 1024;
// Tokens of the longest answer with this request's log-probabilities that can be demanded there.
std::uint32_t demandable_tokens(const Domain& domain, const protocol::Request& request);

// "What was delivered is not what was signed for": the salt secret shows it to everyone.
struct ReportDelivery {
  Signed<protocol::DeliveryReport> report;
  Deliver delivered;  // as it lies in the log
};

// "Let auditors drawn by the beacon look at this statement."
struct RequestAudit {
  Signed<protocol::AuditRequest> request;
  Evidence evidence;  // subject: digest of the statement
};

// Of a pass: the values at one place the provider committed to (verify/keyed.hpp has the bytes).
struct CheckAudit {
  Signed<protocol::AuditCheck> check;
  protocol::ExecutionId execution;  // its struct hash is in lease and request
  Bytes program;                    // hashes to execution.program_hash
  Bytes proof;
};

struct AnswerCheck {
  Signed<protocol::CheckAnswer> answer;
  Bytes proof;
};

struct ShowCanary {
  Signed<protocol::CanaryShown> shown;
  Signed<protocol::Canary> canary;  // by the lease's provider
};

using Operation = std::variant<
    Signed<protocol::Deposit>, Signed<protocol::Withdraw>, Signed<protocol::Transfer>,
    Signed<protocol::Stake>, Signed<protocol::Unbond>, Signed<protocol::Release>, OpenLease,
    Signed<protocol::TopUp>, Signed<protocol::Settlement>, Signed<protocol::Claim>, ContestClaim,
    OpenClaim, Signed<protocol::Finalize>, Signed<protocol::Close>, Signed<protocol::CommitDispute>,
    FileDispute, DisputeMove, Signed<protocol::Timeout>, ReportEquivocation, DemandDelivery,
    Deliver, ReportDelivery, Signed<protocol::RegisterAuditor>, RequestAudit,
    Signed<protocol::Beacon>, Signed<protocol::CommitAudit>, Signed<protocol::RevealAudit>,
    CheckAudit, AnswerCheck, Signed<protocol::ReportKey>, ShowCanary, Signed<protocol::SettleAudit>,
    Signed<protocol::LatencyReport>>;

// "deposit", "withdraw", …, "open_lease", "file_dispute", "report_equivocation", "deliver", ….
std::string_view kind_of(const Operation& operation);
// Digest of the operation's own message under this ledger's domain.
Hash operation_id(const Domain& domain, const Operation& operation);
// What CommitDispute names of a dispute, report or canary to come: sha256(id), and where a proof
// about the finish decides at once sha256(id ‖ sha256(proof)): nobody can file another proof in its
// place.
Hash commitment_of(const Domain& domain, const Operation& operation);

json::object to_json(const Operation& operation);
// Errors name the member. Checks shape only; signatures and rules are the ledger's business.
Result<Operation> operation_from_json(const json::object& o);

// For lists inside JSON.
json::value encode(const ClaimLeaf& leaf);
Status decode(const json::value& v, ClaimLeaf& out);
json::value encode(const Deliver& delivered);
Status decode(const json::value& v, Deliver& out);
json::value encode(const SignedMove& move);
Status decode(const json::value& v, SignedMove& out);

// Digest of the signed statement, and the fields both kinds share.
Hash statement_id(const Domain& domain, const Statement& statement);
const Hash& statement_request(const Statement& statement);
Micros statement_amount(const Statement& statement);
std::uint32_t statement_count(const Statement& statement);

}  // namespace assay::market
