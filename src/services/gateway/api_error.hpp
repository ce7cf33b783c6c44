// Errors as OpenAI's API shows them: {"error":{"message","type","param","code", …}}.
#pragma once
#include <cstdint>
#include <expected>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"

namespace assay::services {

struct ApiError {
  int status = 400;
  std::string code{};     // "unsupported_parameter", "no_provider_fits", …
  std::string message{};  // one line: what is wrong and what to do
  std::string param{};    // the field at fault; empty: null in JSON
  // Further members of the error object ("refusals", "needed", …).
  json::object details{};
  // What a client library may do by itself (header x-should-retry), and when (retry-after); 0 s:
  // it is not said.
  bool retry = false;
  std::uint32_t retry_after_s = 0;
};

template <class T>
using ApiResult = std::expected<T, ApiError>;

template <class... Args>
std::unexpected<ApiError> api_fail(int status, std::string code, std::string param,
                                   fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(ApiError{.status = status,
                                  .code = std::move(code),
                                  .message = fmt::format(format, std::forward<Args>(args)...),
                                  .param = std::move(param)});
}

// An operating error under the status its code stands for.
ApiError to_api_error(const Error& error);
json::object to_json(const ApiError& error);

}  // namespace assay::services
