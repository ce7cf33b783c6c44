// Addresses that say which TLS key answers there: "https://host:port#tls=<64 hex digits>", the
// SHA-256 of the key (crypto/tls_key.hpp). A path may follow: base and path are joined as those of
// a plain address are. HttpClient takes such addresses everywhere; the pin is then what is checked,
// and no authority is asked.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::io {

// `endpoint` as it is when the key is all zeros, which means "none" in offers.
std::string pinned(std::string_view endpoint, const Hash& tls_key);

struct PinnedUrl {
  std::string url;  // without the pin
  std::optional<Hash> tls_key;
};
// Errors: invalid for a pin that is not 64 hex digits, or of a plain http address.
Result<PinnedUrl> parse_pinned(std::string_view url);

}  // namespace assay::io
