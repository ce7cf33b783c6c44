#include "services/gateway/store_rows.hpp"

#include "base/hex.hpp"

namespace assay::services::rows {
namespace {

template <class E>
Result<E> parse_stage(std::string_view text, std::initializer_list<E> all) {
  for (const E stage : all)
    if (to_string(stage) == text) return stage;
  return fail(Errc::mismatch, "gateway database: unknown stage '{}'", text);
}

constexpr auto kLeaseStages = {LeaseStage::opening, LeaseStage::open, LeaseStage::ended};
constexpr auto kRequestStages = {RequestStage::signed_off, RequestStage::receipted,
                                 RequestStage::audited,    RequestStage::settled,
                                 RequestStage::mismatch,   RequestStage::disputed,
                                 RequestStage::refunded,   RequestStage::withheld,
                                 RequestStage::expired,    RequestStage::demanded};
constexpr auto kHireStages = {HireStage::asked, HireStage::decided, HireStage::over};
constexpr auto kRebateStates = {RebateState::due,     RebateState::accepted,
                                RebateState::refused, RebateState::unanswered,
                                RebateState::lapsed,  RebateState::broken};
constexpr auto kAuditStates = {AuditState::none, AuditState::pending, AuditState::match,
                               AuditState::mismatch, AuditState::not_drawn};

}  // namespace

const io::Schema kSchema{.owner = "gateway",
                         .steps = {R"(
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS leases(
  id BLOB PRIMARY KEY, stage TEXT NOT NULL, provider BLOB NOT NULL, execution_hash BLOB NOT NULL,
  expires INTEGER NOT NULL, lease TEXT NOT NULL, offer TEXT NOT NULL, execution TEXT NOT NULL,
  audit_seed BLOB NOT NULL, chain_length INTEGER NOT NULL, next_sequence INTEGER NOT NULL,
  escrow INTEGER NOT NULL, cumulative INTEGER NOT NULL, confirmed INTEGER NOT NULL,
  settlement TEXT NOT NULL DEFAULT '', returned INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS top_ups(
  id BLOB PRIMARY KEY, lease BLOB NOT NULL REFERENCES leases(id), amount INTEGER NOT NULL,
  operation TEXT NOT NULL, done INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS requests(
  id BLOB PRIMARY KEY, lease BLOB NOT NULL REFERENCES leases(id), sequence INTEGER NOT NULL,
  cap INTEGER NOT NULL, model TEXT NOT NULL, stage TEXT NOT NULL, request TEXT NOT NULL,
  created_s INTEGER NOT NULL, always_audit INTEGER NOT NULL, statement_kind TEXT NOT NULL,
  statement TEXT NOT NULL, statement_id BLOB NOT NULL, amount INTEGER NOT NULL,
  audit TEXT NOT NULL, reason TEXT NOT NULL, position INTEGER, layer INTEGER,
  dispute TEXT NOT NULL, dispute_id BLOB NOT NULL, UNIQUE(lease, sequence)) STRICT;
CREATE TABLE IF NOT EXISTS hires(
  audit BLOB PRIMARY KEY, request BLOB NOT NULL REFERENCES requests(id), stage TEXT NOT NULL,
  operation TEXT NOT NULL, checks TEXT NOT NULL, drawn TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS hires_request ON hires(request);
CREATE INDEX IF NOT EXISTS requests_stage ON requests(stage);
CREATE INDEX IF NOT EXISTS requests_statement ON requests(statement_id);
)",
                                   R"(
ALTER TABLE requests ADD COLUMN api_key TEXT NOT NULL DEFAULT '';
ALTER TABLE requests ADD COLUMN job TEXT NOT NULL DEFAULT '';
CREATE INDEX requests_key ON requests(api_key, created_s);
CREATE INDEX requests_job ON requests(job) WHERE job <> '';
CREATE TABLE api_keys(
  id TEXT PRIMARY KEY, name TEXT NOT NULL, created_s INTEGER NOT NULL, revoked_s INTEGER,
  budget INTEGER, period TEXT NOT NULL, requests_per_min INTEGER, tokens_per_min INTEGER,
  hash BLOB NOT NULL UNIQUE) STRICT;
CREATE UNIQUE INDEX api_keys_name ON api_keys(name) WHERE revoked_s IS NULL;
CREATE TABLE jobs(
  id TEXT PRIMARY KEY, api_key TEXT NOT NULL, body BLOB NOT NULL, created_s INTEGER NOT NULL,
  answer_id TEXT NOT NULL, seed INTEGER NOT NULL) STRICT;
CREATE TABLE files(
  id TEXT PRIMARY KEY, api_key TEXT NOT NULL, name TEXT NOT NULL, purpose TEXT NOT NULL,
  bytes INTEGER NOT NULL, created_s INTEGER NOT NULL) STRICT;
CREATE TABLE batches(
  id TEXT PRIMARY KEY, api_key TEXT NOT NULL, status TEXT NOT NULL, created_s INTEGER NOT NULL,
  expires_s INTEGER NOT NULL, document TEXT NOT NULL) STRICT;
)",
                                   R"(
CREATE TABLE rebates(
  request BLOB PRIMARY KEY REFERENCES requests(id), state TEXT NOT NULL,
  first_token_ms INTEGER NOT NULL, stream_ms INTEGER NOT NULL, amount INTEGER NOT NULL,
  since_s INTEGER NOT NULL, proposal TEXT NOT NULL, acceptance TEXT NOT NULL,
  reason TEXT NOT NULL) STRICT;
)"},
                         .readable_from = 3};

Result<LeaseRecord> read_lease(const io::Statement& row) {
  LeaseRecord out;
  TRY(out.id, row.column_hash(0));
  TRY(out.stage, parse_stage(row.column_text(1), kLeaseStages));
  TRY(out.lease, signed_from_text<protocol::Lease>(row.column_text(2)));
  TRY(out.offer, signed_from_text<protocol::Offer>(row.column_text(3)));
  TRY(const json::value execution, json::parse(row.column_text(4)));
  TRY(const json::object* object, json::as_object(execution, "a stored execution id"));
  TRY(out.execution, protocol::from_json<protocol::ExecutionId>(*object));
  TRY(out.audit_seed, row.column_hash(5));
  out.chain_length = static_cast<std::uint64_t>(row.column_int64(6));
  out.next_sequence = static_cast<std::uint64_t>(row.column_int64(7));
  out.escrow = row.column_int64(8);
  out.cumulative = row.column_int64(9);
  out.confirmed = row.column_int64(10);
  out.returned = row.column_int64(11) != 0;
  return out;
}

Result<RequestRecord> read_request(const io::Statement& row) {
  RequestRecord out;
  TRY(out.id, row.column_hash(0));
  TRY(out.lease, row.column_hash(1));
  out.model = row.column_text(2);
  TRY(out.stage, parse_stage(row.column_text(3), kRequestStages));
  TRY(out.request, signed_from_text<protocol::Request>(row.column_text(4)));
  out.created_s = row.column_int64(5);
  out.always_audit = row.column_int64(6) != 0;
  if (const std::string_view kind = row.column_text(7); kind == "receipt") {
    TRY(out.statement, signed_from_text<protocol::Receipt>(row.column_text(8)));
  } else if (kind == "progress") {
    TRY(out.statement, signed_from_text<protocol::Progress>(row.column_text(8)));
  }
  TRY(out.statement_id, row.column_hash(9));
  out.amount = row.column_int64(10);
  TRY(out.audit, parse_stage(row.column_text(11), kAuditStates));
  out.reason = row.column_text(12);
  if (!row.column_is_null(13)) out.position = static_cast<std::uint32_t>(row.column_int64(13));
  if (!row.column_is_null(14)) out.layer = static_cast<std::uint32_t>(row.column_int64(14));
  out.dispute = row.column_text(15);
  TRY(out.dispute_id, row.column_hash(16));
  out.api_key = row.column_text(17);
  out.job = row.column_text(18);
  return out;
}

void bind_request(io::Statement& statement, const RequestRecord& record) {
  std::string_view kind = "";
  std::string text;
  if (record.statement) {
    if (const auto* receipt = std::get_if<Signed<protocol::Receipt>>(&*record.statement)) {
      kind = "receipt";
      text = signed_text(*receipt);
    } else {
      kind = "progress";
      text = signed_text(std::get<Signed<protocol::Progress>>(*record.statement));
    }
  }
  const auto optional = [&](int index, const std::optional<std::uint32_t>& value) {
    if (value) {
      statement.bind(index, std::int64_t{*value});
    } else {
      statement.bind_null(index);
    }
  };
  statement.bind_all(ByteView(record.id), ByteView(record.lease), record.model,
                     to_string(record.stage), signed_text(record.request), record.created_s,
                     std::int64_t{record.always_audit}, kind, text, ByteView(record.statement_id),
                     record.amount, to_string(record.audit), record.reason);
  optional(14, record.position);
  optional(15, record.layer);
  statement.bind(16, record.dispute);
  statement.bind(17, ByteView(record.dispute_id));
}

Result<RebateRecord> read_rebate(const io::Statement& row) {
  RebateRecord out;
  TRY(out.request, row.column_hash(0));
  TRY(out.state, parse_stage(row.column_text(1), kRebateStates));
  out.first_token_ms = static_cast<std::uint32_t>(row.column_int64(2));
  out.stream_ms = static_cast<std::uint32_t>(row.column_int64(3));
  out.amount = row.column_int64(4);
  out.since_s = row.column_int64(5);
  out.proposal = row.column_text(6);
  out.acceptance = row.column_text(7);
  out.reason = row.column_text(8);
  return out;
}

void bind_rebate(io::Statement& statement, const RebateRecord& rebate) {
  statement.bind_all(ByteView(rebate.request), to_string(rebate.state),
                     std::int64_t{rebate.first_token_ms}, std::int64_t{rebate.stream_ms},
                     rebate.amount, rebate.since_s, rebate.proposal, rebate.acceptance,
                     rebate.reason);
}

Result<HireRecord> read_hire(const io::Statement& row) {
  HireRecord out;
  TRY(out.audit, row.column_hash(0));
  TRY(out.request, row.column_hash(1));
  TRY(out.stage, parse_stage(row.column_text(2), kHireStages));
  out.operation = row.column_text(3);
  TRY(const json::value checks, json::parse(row.column_text(4)));
  TRY(const json::value drawn, json::parse(row.column_text(5)));
  if (!checks.is_array() || !drawn.is_array())
    return fail(Errc::mismatch, "gateway database: a hire without its lists");
  for (const json::value& value : checks.get_array()) {
    TRY(const json::object* object, json::as_object(value, "a stored check"));
    TRY(const std::string auditor, json::get_string(*object, "auditor"));
    HireCheck check;
    TRY(check.auditor, Address::parse(auditor));
    TRY(check.operation, json::get_string(*object, "operation"));
    TRY(check.id, json::get_hash(*object, "id"));
    out.checks.push_back(std::move(check));
  }
  out.drawn = drawn.get_array();
  return out;
}

void bind_hire(io::Statement& statement, const HireRecord& hire) {
  json::array checks;
  for (const HireCheck& check : hire.checks)
    checks.push_back(json::object{{"auditor", check.auditor.to_string()},
                                  {"operation", check.operation},
                                  {"id", to_hex(check.id)}});
  statement.bind_all(ByteView(hire.audit), ByteView(hire.request), to_string(hire.stage),
                     hire.operation, json::dump(checks), json::dump(hire.drawn));
}

}  // namespace assay::services::rows
