// An HTTP request as a handler sees it, and the JSON shape of errors (OpenAI's).
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace assay::io {

// Field names compare without case (RFC 9110, 5.1).
struct FieldLess {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const;
};
using HttpFields = std::map<std::string, std::string, FieldLess>;

struct HttpRequest {
  std::string method;  // upper case as sent: "GET", "POST", …
  std::string target;  // path and query as sent, still percent-encoded
  std::string path;    // percent-decoded, no query
  std::string route;   // the pattern that matched, set by the router: "/v1/models/{id}"
  std::map<std::string, std::string, std::less<>> query;   // decoded; the last of equal keys wins
  std::map<std::string, std::string, std::less<>> params;  // set by the router
  HttpFields headers;                                      // repeated fields are joined with ", "
  std::string body;
  std::string peer;  // "127.0.0.1:51234"
  bool keep_alive = true;
  bool http_1_0 = false;

  // "" when absent.
  std::string_view header(std::string_view name) const;
  std::string_view param(std::string_view name) const;
  std::string_view query_value(std::string_view name) const;
};

// {"error":{"message":…,"type":…,"param":null,"code":…}}; type follows the status as OpenAI's does
// ("invalid_request_error" for 4xx, "server_error" for 5xx, …).
json::object error_body(int status, std::string_view message, std::string_view code);

// The status an operating error answers with: invalid → 400, not_found → 404, conflict → 409, …
int http_status(Errc code);
std::string_view reason_phrase(int status);

// Percent-decoding (RFC 3986); '+' becomes a space only in queries. Rejects broken escapes and NUL.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
std::string percent_encode(std::string_view text);  // everything but unreserved characters

}  // namespace assay::io
