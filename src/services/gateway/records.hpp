// What the gateway remembers about its leases and requests: the rows of its database.
#pragma once
#include <optional>

#include "market/operation.hpp"
#include "protocol/typed.hpp"

namespace assay::services {

using protocol::Address;
using protocol::Micros;
using protocol::Signed;

enum class LeaseStage {
  opening,  // signed and written; the ledger may or may not have it: submit again
  open,
  ended,  // closed, convicted, or refused by the ledger: no further request
};

struct LeaseRecord {
  Hash id{};
  LeaseStage stage = LeaseStage::opening;
  Signed<protocol::Lease> lease;
  Signed<protocol::Offer> offer;
  protocol::ExecutionId execution;
  Hash audit_seed{};               // link(chain_length) of the audit hash chain; a secret
  std::uint64_t chain_length = 0;  // requests this lease can carry
  std::uint64_t next_sequence = 1;
  Micros escrow = 0;      // moved in so far: opening and top-ups the ledger has accepted
  Micros cumulative = 0;  // of the last settlement signed
  Micros confirmed = 0;   // of the last settlement the ledger has accepted
  bool returned = false;  // the rest of the escrow came back (closed or convicted)
};

// signed → receipted → audited → settled, or from receipted → mismatch → disputed → refunded. From
// signed or expired → demanded where a claim shows a receipt whose answer never came.
enum class RequestStage {
  signed_off,  // signed by us and written; the provider may have it
  receipted,   // the provider's statement is checked and written
  audited,     // owed: the audit matched or was not drawn
  settled,     // part of a signed settlement
  mismatch,    // the replay differs; the dispute is to be filed
  disputed,    // the ledger has the dispute
  refunded,    // the verdict: provider wrong
  withheld,    // not settled: no verdict either way, or the lease ended first
  expired,     // no statement ever came
  demanded,    // its answer is demanded on the ledger
};

enum class AuditState { none, pending, match, mismatch, not_drawn };

struct RequestRecord {
  Hash id{};  // digest of the request
  Hash lease{};
  std::string model;
  RequestStage stage = RequestStage::signed_off;
  Signed<protocol::Request> request;
  std::int64_t created_s = 0;
  bool always_audit = false;

  // The receipt, or where none came the last progress.
  std::optional<market::Statement> statement;
  Hash statement_id{};
  Micros amount = 0;

  AuditState audit = AuditState::none;
  std::string reason;  // of the audit, the verdict or the expiry: one line
  std::optional<std::uint32_t> position, layer;  // where the replay first differs
  // The FileDispute as submitted, or while demanded the DemandDelivery, JSON; empty: none.
  std::string dispute;
  Hash dispute_id{};

  std::string api_key{};  // whose, and part of which job: never changed
  std::string job{};
};

// Something that is done once, however often it is asked for (jobs.hpp).
struct JobRecord {
  std::string id;
  std::string api_key;
  Hash body{};  // of what was asked
  std::int64_t created_s = 0;
  std::string answer_id;   // what the answer is called, and
  std::uint64_t seed = 0;  // drawn with, where the body names none
};

// asked → decided → over. An audit nobody gave a verdict in is followed by another of the request.
enum class HireStage {
  asked,    // signed and written; the ledger may or may not have it: submit again
  decided,  // what it means for the request is written there
  over,     // its fees are settled on the ledger
};

// A spot check of one auditor's pass.
struct HireCheck {
  Address auditor{};
  std::string operation;  // the CheckAudit, JSON; empty: none was drawn
  Hash id{};
};

struct HireRecord {
  Hash audit{};    // digest of the AuditRequest
  Hash request{};  // whose receipt it is about
  HireStage stage = HireStage::asked;
  std::string operation;            // the RequestAudit, JSON
  std::vector<HireCheck> checks{};  // one for every pass, once drawn
  json::array drawn{};              // who was drawn and what they said, for people
};

// due → accepted, refused, unanswered or lapsed (nothing to take off); accepted → broken: claimed
// all the same.
enum class RebateState { due, accepted, refused, unanswered, lapsed, broken };

// What a late answer should cost less (rebates.hpp).
struct RebateRecord {
  Hash request{};
  RebateState state = RebateState::due;
  std::uint32_t first_token_ms = 0, stream_ms = 0;  // as measured here; 0: not
  Micros amount = 0;                                // as accepted
  std::int64_t since_s = 0;                         // it is asked for
  std::string proposal{}, acceptance{};             // both signed messages, JSON; empty: none yet
  std::string reason{};
};

struct FileRecord {
  std::string id;  // "file-…"
  std::string api_key;
  std::string name, purpose;
  std::int64_t bytes = 0, created_s = 0;
};

// validating → in_progress → completed or expired; failed from validating; by way of cancelling
// cancelled.
struct BatchRecord {
  std::string id;  // "batch_…"
  std::string api_key;
  std::string status;
  std::int64_t created_s = 0, expires_s = 0;
  json::object document;  // the rest of OpenAI's batch object
};

std::string_view to_string(HireStage stage);
std::string_view to_string(LeaseStage stage);
std::string_view to_string(RequestStage stage);
std::string_view to_string(AuditState audit);
std::string_view to_string(RebateState state);

}  // namespace assay::services
