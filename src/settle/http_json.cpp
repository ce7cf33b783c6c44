#include "settle/http_json.hpp"

namespace assay::settle {
namespace {

Errc errc_of(std::string_view code) {
  for (const auto e :
       {Errc::invalid, Errc::unsupported, Errc::not_found, Errc::conflict, Errc::refused,
        Errc::unavailable, Errc::io, Errc::mismatch, Errc::cancelled, Errc::internal})
    if (to_string(e) == code) return e;
  return Errc::unavailable;
}

}  // namespace

Result<json::object> object_of(std::string_view peer_word, const std::string& url,
                               const io::HttpReply& reply, std::size_t bytes_max) {
  if (reply.status != 200) {
    if (const auto v = json::parse(reply.body))
      if (const auto* o = v->if_object())
        if (const auto error = json::get_object(*o, "error"))
          if (const auto message = json::get_string(**error, "message"))
            return fail(errc_of(json::get_string(**error, "code").value_or("")), "{}", *message);
    return fail(Errc::unavailable, "{} at {} answers with status {}", peer_word, url, reply.status);
  }
  TRY(json::value v, json::parse(reply.body, bytes_max));
  if (auto* o = v.if_object()) return std::move(*o);
  return fail(Errc::invalid, "{} at {} does not answer with a JSON object", peer_word, url);
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace assay::settle
