#include "io/pinned_url.hpp"

#include "base/hex.hpp"

namespace assay::io {
namespace {

constexpr std::string_view kMark = "#tls=";
constexpr std::size_t kDigits = 64;

}  // namespace

std::string pinned(std::string_view endpoint, const Hash& tls_key) {
  std::string out(endpoint);
  if (tls_key != Hash{}) out.append(kMark).append(to_hex_bare(tls_key));
  return out;
}

Result<PinnedUrl> parse_pinned(std::string_view url) {
  const std::size_t at = url.find(kMark);
  if (at == std::string_view::npos) return PinnedUrl{std::string(url), std::nullopt};
  const std::string_view digits = url.substr(at + kMark.size(), kDigits);
  const auto key = array_from_hex<32>(digits);
  if (!key)
    return fail(Errc::invalid, "after '#tls=' come the {} hex digits of a key's SHA-256: '{}'",
                kDigits, url);
  std::string rest(url.substr(0, at));
  rest += url.substr(at + kMark.size() + kDigits);
  if (!rest.starts_with("https://"))
    return fail(Errc::invalid, "an address with '#tls=' must begin with https://: '{}'", url);
  return PinnedUrl{std::move(rest), *key};
}

}  // namespace assay::io
