#include "io/request_id.hpp"

#include <algorithm>

#include "base/hex.hpp"
#include "io/random.hpp"

namespace assay::io {
namespace {

constexpr std::size_t kIdCharactersMax = 64;

std::string& current_id() {
  thread_local std::string id;
  return id;
}

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

const std::string& current_request_id() { return current_id(); }

RequestScope::RequestScope(std::string id) : before_(std::exchange(current_id(), std::move(id))) {}
RequestScope::~RequestScope() { current_id() = std::move(before_); }

std::string request_id_of(std::string_view header) {
  if (!header.empty() && header.size() <= kIdCharactersMax && std::ranges::all_of(header, plain))
    return std::string(header);
  return to_hex_bare(random_hash()).substr(0, 24);
}

}  // namespace assay::io
