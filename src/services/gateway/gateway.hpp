// The buyer's own gateway: an OpenAI-compatible API in front of the market.
//
//   POST /v1/chat/completions, /v1/completions   streaming (SSE) and not; Idempotency-Key
//   POST /v1/files, /v1/batches                  and what is read of them (batch_api.hpp)
//   GET  /v1/models, /v1/models/{id}, /health, /ready, /metrics
//   GET  /assay/receipts, /assay/receipts/{id}   what was bought, if the log has it; one file
//   GET  /assay/openings/{id}                    prompt and answer; to loopback peers only
//   GET  /assay/audits, /assay/leases
//   GET  /assay/screen?model=…                   who fits, and why the others do not; other
//                                                parameters are named by the answer to a wrong one
//   POST /assay/jobs?pricing=&deadline=          the same body, answered by an auction's winner
//   GET  /assay/auctions/{id}                    its call, every bid, the key that opens them
//   POST /assay/quote                            what a request (the same body) would cost
//   models "x402/NAME"                           asked of a seller that is paid by x402
//   GET  /assay/payments, /assay/channels        what came in by x402
//
// Trust: whoever reaches its port spends the buyer's money and reads the answers, until a first API
// key is made (`assay gateway keys`): then whoever has one spends within its limits and reads what
// it bought; with a till (x402) everybody else pays for each answer. It listens on loopback, beyond
// it only with keys or `allow_anyone`, and refuses requests of a web page of another origin. The
// ledger's host is trusted as market/settlement.hpp says. Providers are not trusted: their receipts
// are replayed.
#pragma once
#include <memory>

#include "base/clock.hpp"
#include "market/board.hpp"
#include "market/settlement.hpp"
#include "services/gateway/gateway_options.hpp"

namespace assay::services {

class GatewayService {
 public:
  // Listens when it returns, and has taken up what an earlier process left undone. settlement,
  // board and clock outlive it. Errors: no usable model, market unreachable, data directory in use
  // or of another ledger or buyer, no key though others can connect, port in use.
  static Result<std::unique_ptr<GatewayService>> start(const GatewayOptions& options,
                                                       const crypto::SecretKey& key,
                                                       market::Settlement& settlement,
                                                       market::Board& board, const Clock& clock);
  ~GatewayService();  // stop()
  GatewayService(const GatewayService&) = delete;
  GatewayService& operator=(const GatewayService&) = delete;

  std::uint16_t port() const;
  std::string url() const;
  std::vector<std::string> models() const;
  std::vector<std::string> skipped() const;  // "file: reason"
  // Running answers get a grace period, background work stops after the step at hand.
  void stop();

 private:
  struct Parts;
  explicit GatewayService(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace assay::services
