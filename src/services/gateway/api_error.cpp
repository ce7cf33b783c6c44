#include "services/gateway/api_error.hpp"

#include "io/http_message.hpp"

namespace assay::services {

ApiError to_api_error(const Error& error) {
  return {.status = io::http_status(error.code),
          .code = std::string(to_string(error.code)),
          .message = error.message,
          .retry = error.code == Errc::unavailable};
}

json::object to_json(const ApiError& error) {
  json::object body = io::error_body(error.status, error.message, error.code);
  json::object& inner = body["error"].as_object();
  if (!error.param.empty()) inner["param"] = error.param;
  for (const auto& [key, value] : error.details) inner[key] = value;
  return body;
}

}  // namespace assay::services
