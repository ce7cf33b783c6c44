// Rows of the gateway's database to records and back.
#pragma once
#include "io/schema.hpp"
#include "services/gateway/records.hpp"

namespace assay::services::rows {

extern const io::Schema kSchema;
// Column lists in the order the readers expect.
inline constexpr std::string_view kLeaseColumns =
    "id, stage, lease, offer, execution, audit_seed, chain_length, next_sequence, escrow, "
    "cumulative, confirmed, returned";
inline constexpr std::string_view kRequestColumns =
    "id, lease, model, stage, request, created_s, always_audit, statement_kind, statement, "
    "statement_id, amount, audit, reason, position, layer, dispute, dispute_id";
// What is read: those, and what is written once, with the row.
inline constexpr std::string_view kRequestFields =
    "id, lease, model, stage, request, created_s, always_audit, statement_kind, statement, "
    "statement_id, amount, audit, reason, position, layer, dispute, dispute_id, api_key, job";

// Of a request `r`: its amount less the rebate its provider gave.
inline constexpr std::string_view kNetAmount =
    "(r.amount - COALESCE((SELECT b.amount FROM rebates b WHERE b.request = r.id AND b.state = "
    "'accepted'), 0))";
inline constexpr std::string_view kRebateColumns =
    "request, state, first_token_ms, stream_ms, amount, since_s, proposal, acceptance, reason";
inline constexpr std::string_view kHireColumns = "audit, request, stage, operation, checks, drawn";

Result<HireRecord> read_hire(const io::Statement& row);
// Binds the columns of kHireColumns from parameter 1 on.
void bind_hire(io::Statement& statement, const HireRecord& hire);
Result<RebateRecord> read_rebate(const io::Statement& row);
// Binds the columns of kRebateColumns from parameter 1 on.
void bind_rebate(io::Statement& statement, const RebateRecord& rebate);
Result<LeaseRecord> read_lease(const io::Statement& row);
Result<RequestRecord> read_request(const io::Statement& row);
// Binds the columns of kRequestColumns from parameter 1 on.
void bind_request(io::Statement& statement, const RequestRecord& record);

template <class M>
std::string signed_text(const protocol::Signed<M>& message) {
  return json::dump(protocol::to_json(message));
}
template <class M>
Result<protocol::Signed<M>> signed_from_text(std::string_view text) {
  TRY(const json::value value, json::parse(text));
  TRY(const json::object* object, json::as_object(value, "a stored message"));
  return protocol::signed_from_json<M>(*object);
}

}  // namespace assay::services::rows
