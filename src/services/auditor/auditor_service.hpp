// An auditor for hire (spec/audits.md): audits what the ledger's beacon draws it for, over HTTP as
// protocol/handover.hpp says, and stands by its verdicts with its stake.
//
// Trust: it believes the ledger about draws, leases and deadlines, nobody about anything else.
// After kill -9 it goes on from its database: a key is on disk before its commitment is on the
// ledger, a verdict before it is revealed. Who loses the database loses its fees, and the stake
// behind passes that can still be checked or disputed.
#pragma once
#include <memory>

#include "io/files.hpp"
#include "io/http_server.hpp"
#include "io/metrics.hpp"
#include "services/auditor/desk.hpp"
#include "services/auditor/intake.hpp"

namespace assay::services {

class AuditorService {
 public:
  // unsupported where nobody is drawn. Also for who would stake there.
  static Status check_draws(const market::LedgerInfo& ledger);
  // Listens, and is registered for every model, when it returns. settlement and clock outlive it.
  static Result<std::unique_ptr<AuditorService>> start(const AuditorOptions& options,
                                                       std::vector<AuditedModel> models,
                                                       const crypto::SecretKey& key,
                                                       market::Settlement& settlement,
                                                       const Clock& clock);
  ~AuditorService();  // stop()
  AuditorService(const AuditorService&) = delete;
  AuditorService& operator=(const AuditorService&) = delete;

  std::string url() const;
  std::uint16_t port() const;
  const protocol::Address& address() const { return core_.address; }
  Result<AuditorTotals> totals() { return core_.store->totals(); }
  // No more audits are drawn; those it was drawn for go on.
  Status retire();
  // Stays registered: who comes back keeps its place in the draw. Idempotent.
  void stop();

 private:
  AuditorService(io::FileLock lock, AuditorCore core);
  io::HttpHandler routes();
  void show_audits(io::Metrics& metrics);
  Status register_all(bool active);

  io::FileLock lock_;
  io::Metrics metrics_;
  AuditorCore core_;
  AuditIntake intake_;
  std::string endpoint_;
  std::unique_ptr<AuditDesk> desk_;
  std::unique_ptr<io::HttpServer> server_;
};

}  // namespace assay::services
