#include "settle/remote.hpp"

#include "base/hex.hpp"
#include "settle/http_json.hpp"

namespace assay::settle {

using market::Address;
using market::Applied;
using market::Offer;
using market::Operation;
using market::Signed;

namespace {

io::HttpClientOptions client_options() {
  io::HttpClientOptions options;
  options.peer_word = "market";
  options.max_body_bytes = 256u << 20;  // a whole log
  return options;
}

}  // namespace

RemoteLedger::RemoteLedger(std::string url)
    : url_(without_slash(std::move(url))), client_(client_options()) {}

Result<json::object> RemoteLedger::get(const std::string& path) {
  TRY(const auto reply, client_.get(url_ + path));
  return object_of("market", url_, reply, client_options().max_body_bytes);
}

Result<json::object> RemoteLedger::post(const std::string& path, const json::object& body) {
  TRY(const auto reply, client_.post_json(url_ + path, json::dump(body)));
  return object_of("market", url_, reply, client_options().max_body_bytes);
}

Result<market::LedgerInfo> RemoteLedger::info() {
  TRY(const auto o, get("/ledger"));
  return market::ledger_info_from_json(o);
}

Result<market::AccountView> RemoteLedger::account(const Address& address) {
  TRY(const auto o, get("/ledger/accounts/" + address.to_string()));
  return market::account_view_from_json(o);
}

Result<market::LeaseView> RemoteLedger::lease(const Hash& id) {
  TRY(const auto o, get("/ledger/leases/" + to_hex(id)));
  return market::lease_view_from_json(o);
}

Result<market::DisputeView> RemoteLedger::dispute(const Hash& id) {
  TRY(const auto o, get("/ledger/disputes/" + to_hex(id)));
  return market::dispute_view_from_json(o);
}

Result<market::AuditView> RemoteLedger::audit(const Hash& id) {
  TRY(const auto o, get("/ledger/audits/" + to_hex(id)));
  return market::audit_view_from_json(o);
}

Result<std::vector<market::AuditorView>> RemoteLedger::auditors(const Hash& execution) {
  TRY(const auto o, get("/ledger/auditors/" + to_hex(execution)));
  return market::auditors_from_json(o);
}

Result<market::Totals> RemoteLedger::totals() {
  TRY(const auto o, get("/ledger/totals"));
  return market::totals_from_json(o);
}

Result<Applied> RemoteLedger::submit(const Operation& operation) {
  TRY(const auto o, post("/ledger/operations", market::to_json(operation)));
  return market::applied_from_json(o);
}

Result<market::FileDispute> RemoteLedger::game(const Hash& dispute) {
  TRY(const auto o, get("/ledger/disputes/" + to_hex(dispute) + "/game"));
  TRY(auto operation, market::operation_from_json(o));
  if (auto* filed = std::get_if<market::FileDispute>(&operation)) return std::move(*filed);
  return fail(Errc::invalid, "market at {} answers with a {}, not a dispute", url_,
              market::kind_of(operation));
}

Result<Operation> RemoteLedger::operation(const Hash& id) {
  TRY(const auto o, get("/ledger/operations/" + to_hex(id)));
  return market::operation_from_json(o);
}

Result<std::vector<Signed<Offer>>> RemoteLedger::offers() {
  TRY(const auto o, get("/board/offers"));
  TRY(const json::array* list, json::get_array(o, "offers"));
  std::vector<Signed<Offer>> out;
  for (const auto& v : *list) {
    TRY(const json::object* offer, json::as_object(v, "an offer"));
    TRY(auto parsed, protocol::signed_from_json<Offer>(*offer));
    out.push_back(std::move(parsed));
  }
  return out;
}

Status RemoteLedger::publish(const Signed<Offer>& offer) {
  CHECK_OK(post("/board/offers", protocol::to_json(offer)));
  return {};
}

Result<std::string> RemoteLedger::log(std::uint64_t from) {
  TRY(auto reply, client_.get(fmt::format("{}/ledger/log?from={}", url_, from)));
  if (reply.status != 200)
    return std::unexpected(object_of("market", url_, reply, 0).error());
  return std::move(reply.body);
}

}  // namespace assay::settle
