// /v1/files and /v1/batches (OpenAI API reference): upload, list, read, delete; create, follow,
// cancel.
#pragma once
#include "io/http_router.hpp"
#include "services/gateway/batches.hpp"

namespace assay::services {

void add_batch_routes(io::Router& router, Buyer& buyer, Gatekeeper& gatekeeper, FileStore& files,
                      Batches& batches);

}  // namespace assay::services
