// GET /assay/…: what the gateway bought, from whom, and what the audits said.
#pragma once
#include "io/http_router.hpp"
#include "services/gateway/gatekeeper.hpp"
#include "services/gateway/log_watch.hpp"
#include "services/gateway/market_view.hpp"

namespace assay::services {

// Where API keys are in use, a caller sees what was bought with its own. log_watch may be null:
// then a receipt's "log" is.
void add_assay_routes(io::Router& router, Buyer& buyer, MarketView& market, Gatekeeper& gatekeeper,
                      LogWatch* log_watch);
void add_model_routes(io::Router& router, const Buyer& buyer);

}  // namespace assay::services
