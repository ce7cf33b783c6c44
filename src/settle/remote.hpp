// Ledger and board over HTTP (spec/ledger.md, "HTTP"): what `assay market` serves.
//
//   GET  /ledger                      LedgerInfo
//   GET  /ledger/accounts/{address}   AccountView
//   GET  /ledger/leases/{id}          LeaseView
//   GET  /ledger/disputes/{id}        DisputeView
//   GET  /ledger/disputes/{id}/game   file_dispute operation with every move so far; while open
//   GET  /ledger/audits/{id}          AuditView
//   GET  /ledger/auditors/{execution} {"auditors": [AuditorView, …]}: active ones
//   GET  /ledger/totals               Totals
//   GET  /ledger/log?from=N           NDJSON, one row a line, complete as of the request
//   GET  /ledger/operations/{id}      an operation that was applied
//   POST /ledger/operations           operation → Applied
//   GET  /board/offers                {"offers": [signed offer, …]}
//   POST /board/offers                signed offer → {"published": true}
// Refusals: {"error": {"message", "type", "code"}}; code is the Errc's name.
//
// The host is not believed: offers are checked by whoever uses them, balances by replaying the log.
#pragma once
#include <functional>

#include "io/http_client.hpp"
#include "market/board.hpp"
#include "market/settlement.hpp"

namespace assay::settle {

// Safe to use from many threads. A call that was cut off is safe to repeat with the same operation.
class RemoteLedger : public market::Settlement, public market::Board {
 public:
  // url: "http://127.0.0.1:8790". Nothing is sent yet.
  explicit RemoteLedger(std::string url);

  Result<market::LedgerInfo> info() override;
  Result<market::AccountView> account(const market::Address& address) override;
  Result<market::LeaseView> lease(const Hash& id) override;
  Result<market::DisputeView> dispute(const Hash& id) override;
  Result<market::Totals> totals() override;
  Result<market::Applied> submit(const market::Operation& operation) override;
  Result<market::FileDispute> game(const Hash& dispute) override;
  Result<market::Operation> operation(const Hash& id) override;
  Result<market::AuditView> audit(const Hash& id) override;
  Result<std::vector<market::AuditorView>> auditors(const Hash& execution) override;

  Result<std::vector<market::Signed<market::Offer>>> offers() override;
  Status publish(const market::Signed<market::Offer>& offer) override;

  // The log as text, one row a line (settle/embedded/ledger_log.hpp), from row `from` on.
  Result<std::string> log(std::uint64_t from);

  const std::string& url() const { return url_; }

 private:
  Result<json::object> get(const std::string& path);
  Result<json::object> post(const std::string& path, const json::object& body);

  std::string url_;
  io::HttpClient client_;
};

}  // namespace assay::settle
