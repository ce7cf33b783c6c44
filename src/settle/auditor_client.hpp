// An auditor as a buyer talks to it (protocol/handover.hpp). What comes back is its word, no more.
#pragma once
#include "io/http_client.hpp"
#include "protocol/handover.hpp"

namespace assay::settle {

class AuditorClient {
 public:
  AuditorClient();

  // Errors: refused with the auditor's words, conflict (it has other tokens, or did not commit
  // yet), unavailable (unreachable, or too busy).
  Status hand_over(const std::string& endpoint, const protocol::AuditCall& call);
  Status tell(const std::string& endpoint, const protocol::AuditSecret& secret);

 private:
  Status post(const std::string& url, const json::object& body);
  io::HttpClient client_;
};

}  // namespace assay::settle
