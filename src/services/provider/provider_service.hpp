// A provider: serves GGUF models over HTTP as protocol/inference.hpp says, publishes its offer,
// signs progress and receipts, and collects what it is owed.
//
// Trust: it believes the ledger about leases, nobody about anything else. After kill -9 it goes on
// from its database: a request without a receipt is computed again when it is sent again, to the
// same bits; a signed receipt is never replaced by another.
#pragma once
#include <memory>

#include "io/files.hpp"
#include "io/http_router.hpp"
#include "io/http_server.hpp"
#include "io/metrics.hpp"
#include "services/provider/bid_desk.hpp"
#include "services/provider/collector.hpp"
#include "services/provider/dispute_desk.hpp"
#include "services/provider/lookout.hpp"
#include "services/provider/offer_keeper.hpp"
#include "services/provider/openings.hpp"
#include "services/provider/provider_run.hpp"
#include "services/provider/rebate_desk.hpp"
#include "services/provider/receipt_publisher.hpp"
#include "services/provider/states.hpp"
#include "services/provider/x402_desk.hpp"

namespace assay::services {

class ProviderService {
 public:
  // Listens, and its first offer is on the board, when it returns. settlement, board and clock
  // outlive it.
  static Result<std::unique_ptr<ProviderService>> start(const ProviderOptions& options,
                                                        std::vector<ServedModel> models,
                                                        const crypto::SecretKey& key,
                                                        market::Settlement& settlement,
                                                        market::Board& board, const Clock& clock);
  ~ProviderService();
  ProviderService(const ProviderService&) = delete;
  ProviderService& operator=(const ProviderService&) = delete;

  std::string url() const;
  std::uint16_t port() const;
  const protocol::Address& address() const { return core_.address; }
  Result<ProviderTotals> totals() { return core_.store->totals(); }
  // Withdraws the offer; ends requests whose answer has begun with a receipt, the others with an
  // error, not owed; then stops. Takes as long as the ledger and one pass of the engine.
  // Idempotent.
  void stop();

 private:
  ProviderService(io::FileLock lock, ProviderCore core);
  io::HttpHandler routes();
  void show_engines();
  void infer(io::HttpRequest& request, io::HttpResponse& response);
  void receipt(io::HttpRequest& request, io::HttpResponse& response);
  void trace(io::HttpRequest& request, io::HttpResponse& response);
  void states(io::HttpRequest& request, io::HttpResponse& response);
  void tensors(io::HttpRequest& request, io::HttpResponse& response);
  void dispute(io::HttpRequest& request, io::HttpResponse& response);
  void bid(io::HttpRequest& request, io::HttpResponse& response);
  void rebate(io::HttpRequest& request, io::HttpResponse& response);
  void award(io::HttpRequest& request, io::HttpResponse& response);
  void compute(const protocol::InferenceCall& call, const Hash& id, io::HttpResponse& response,
               engine::Batcher::Place place, Admission::Ticket ticket, protocol::AnswerClock times);
  // Numbers and signs its receipt, both on disk before anybody has it.
  Result<StoredOutcome> keep(const protocol::InferenceCall& call, const Hash& id,
                             const RunResult& result, const protocol::AnswerTimes& times);
  // For whoever has paid: kept, or not owed.
  Result<StoredOutcome> compute_paid(const protocol::InferenceCall& call, const Hash& id);
  void list_models(io::HttpResponse& response) const;
  void add_x402_routes(io::Router& router);
  // unavailable: no place, or none for a batch.
  Result<engine::Batcher::Place> enter(const protocol::InferenceCall& call);
  // Null: not served here.
  engine::Batcher* engine_of(const Hash& execution);
  Computer& computer_of(const Hash& execution);
  Result<StoredRequest> recalled(const protocol::Recall& recall);
  Result<protocol::TraceReply> recompute(const StoredRequest& stored,
                                         const protocol::Recall& recall,
                                         io::HttpResponse& response);

  io::FileLock lock_;
  io::Metrics metrics_;
  ProviderCore core_;
  std::vector<std::unique_ptr<engine::Batcher>> engines_;  // as core_.models
  Admission admission_;
  Openings openings_;
  RebateDesk rebates_;
  Computer canonical_;
  TensorLists tensors_;
  std::atomic<bool> stopping_ = false;
  std::unique_ptr<OfferKeeper> offers_;
  std::unique_ptr<BidDesk> bids_;
  std::atomic<bool> bids_open_ = false;  // bids_ is there
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<DisputeDesk> disputes_;
  Lookout lookout_;
  std::unique_ptr<ReceiptPublisher> publisher_;
  std::unique_ptr<X402Desk> x402_;       // null without a till
  std::atomic<bool> x402_open_ = false;  // x402_ is there
  std::unique_ptr<io::HttpServer> server_;
};

}  // namespace assay::services
