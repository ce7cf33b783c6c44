// Hosts of addresses that are this machine whatever a resolver says.
#pragma once
#include <string_view>

namespace assay {

// As in a URL: "localhost", "[::1]", "127.0.0.1". A name that only begins like that is not.
inline bool is_loopback_host(std::string_view host) {
  return host == "localhost" || host == "[::1]" ||
         (host.starts_with("127.") &&
          host.find_first_not_of("0123456789.") == std::string_view::npos);
}

}  // namespace assay
