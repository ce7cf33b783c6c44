// The market's side of the transparency log: it lets providers with a stake append their numbered
// receipts (they could fill it otherwise), and publishes every row of its own ledger, verdicts
// included, under the host's key. Numbers of the host are sequences of rows.
//
//   POST /log/append, /log/auctions, GET /log/issuers/{series}/{address}
// as the log's (settle/log_client.hpp). An auction's record is passed on for the buyer of a lease
// that was opened from the offer it awarded: one record costs one lease.
#pragma once
#include "base/repeating.hpp"
#include "io/http_router.hpp"
#include "settle/embedded/embedded_ledger.hpp"
#include "settle/log_client.hpp"

namespace assay::services {

class LogDesk {
 public:
  // `ledger` outlives it. `url`: the log's append side. `every_ms`: between looks at the ledger.
  LogDesk(settle::EmbeddedLedger& ledger, const crypto::SecretKey& host_key, const std::string& url,
          std::uint64_t every_ms);

  void add_routes(io::Router& router);

 private:
  // True when there may be more rows.
  Result<bool> publish();
  Result<std::vector<std::uint64_t>> append(const std::string& body);
  Result<std::uint64_t> append_auction(const std::string& body);

  settle::EmbeddedLedger& ledger_;
  const crypto::SecretKey key_;
  settle::LogWriter log_;
  Repeating rounds_;
};

}  // namespace assay::services
