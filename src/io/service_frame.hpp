// What every service does around its own routes: it names each request and logs and counts it,
// agrees on a wire version, and answers
//   GET /health    200 {"status":"ok", …}: the process answers
//   GET /ready     200, or 503 with the reason: whether a request would be served now
//   GET /metrics   Prometheus text; to loopback peers only
#pragma once
#include "io/http_server.hpp"
#include "io/metrics.hpp"

namespace assay::io {

// A service's word on whether it can do its work now; may ask others, so it may take a while.
using Readiness = std::function<Status()>;

// `service` is a name for logs and labels: "gateway". metrics outlives the handler.
HttpHandler in_frame(std::string service, Metrics& metrics, HttpHandler inner,
                     Readiness ready = {});

// Sets up a server of in_frame's handler so that the three paths above are answered however many
// requests are running, and those that find no thread get a 503 that is named and counted like
// every answer. `limit` is what an operator raises: "--streams".
void keep_in_frame(HttpServerOptions& http, std::string service, Metrics& metrics,
                   std::string limit);

}  // namespace assay::io
