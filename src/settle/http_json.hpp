// JSON answers of this program's own services, as their clients read them.
#pragma once
#include "base/json.hpp"
#include "io/http_client.hpp"

namespace assay::settle {

// The object of a 200; else the peer's own words with its Errc where it gave some, else the status.
Result<json::object> object_of(std::string_view peer_word, const std::string& url,
                               const io::HttpReply& reply, std::size_t bytes_max);
std::string without_slash(std::string url);

}  // namespace assay::settle
