#include "services/gateway/reputation_feed.hpp"

#include "base/assert.hpp"
#include "io/log.hpp"
#include "market/standing.hpp"

namespace assay::services {
namespace {
constexpr std::int64_t kReadEveryMs = 60'000;
}

Result<std::unique_ptr<ReputationFeed>> ReputationFeed::start(Buyer& buyer, MarketView& market) {
  ASSAY_ASSERT(buyer.options.ledger_log != nullptr);
  TRY(auto replay, settle::LogReplay::start(buyer.ledger));
  std::unique_ptr<ReputationFeed> feed(new ReputationFeed(buyer, market, std::move(replay)));
  feed->rounds_.start([feed = feed.get()] {
    if (feed->broken_) return kReadEveryMs;
    if (const Status done = feed->follow(); !done)
      io::log_warn("reputation: {}", done.error().message);
    return kReadEveryMs;
  });
  return feed;
}

Status ReputationFeed::follow() {
  TRY(const std::string rows, buyer_.options.ledger_log(replay_.state().totals.operations + 1));
  if (const Status added = replay_.add_lines(rows); !added) {
    broken_ = true;
    io::log_error("the ledger's log does not replay after operation {}: do not trust this host",
                  replay_.state().totals.operations);
    return added;
  }
  const auto now = std::max(buyer_.now(), replay_.state().totals.time);
  market_.learn(market::standings(replay_.state(), now));
  return {};
}

}  // namespace assay::services
