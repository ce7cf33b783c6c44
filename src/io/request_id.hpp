// The id of the HTTP request that the calling thread works for. It is in the thread's log lines and
// in the header of whatever the thread asks of others, so that one id leads from a client's answer
// through gateway, provider and ledger. It names nothing but itself: not the buyer, not the lease.
#pragma once
#include <string>
#include <string_view>

namespace assay::io {

inline constexpr std::string_view kRequestIdHeader = "x-request-id";

// "" outside a request.
const std::string& current_request_id();

// Sets it for this thread, and puts back what was there before.
class RequestScope {
 public:
  explicit RequestScope(std::string id);
  ~RequestScope();
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;

 private:
  std::string before_;
};

// What a client calls its request where that is 1 to 64 letters, digits, '.', '_' or '-'; else a
// fresh id.
std::string request_id_of(std::string_view header);

}  // namespace assay::io
