#include "settle/auditor_client.hpp"

namespace assay::settle {
namespace {

io::HttpClientOptions auditor_options() {
  io::HttpClientOptions options;
  options.connect_timeout_ms = 3'000;
  // Payments wait for these calls: nobody may drip them out.
  options.total_timeout_ms = 30'000;
  options.max_body_bytes = 64u << 10;
  options.tls_beyond_loopback = true;  // they are told prompts
  options.peer_word = "auditor";
  return options;
}

}  // namespace

AuditorClient::AuditorClient() : client_(auditor_options()) {}

Status AuditorClient::hand_over(const std::string& endpoint, const protocol::AuditCall& call) {
  return post(endpoint + "/v1/audit", protocol::to_json(call));
}

Status AuditorClient::tell(const std::string& endpoint, const protocol::AuditSecret& secret) {
  return post(endpoint + "/v1/secret", protocol::to_json(secret));
}

Status AuditorClient::post(const std::string& url, const json::object& body) {
  TRY(const io::HttpReply reply, client_.post_json(url, json::dump(body)));
  if (reply.status / 100 == 2) return {};
  return std::unexpected(io::refusal("auditor", reply));
}

}  // namespace assay::settle
