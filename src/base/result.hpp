// Operating errors are values. Every message is one line that says what to do.
#pragma once
#include <expected>
#include <fmt/format.h>
#include <string>
#include <utility>

namespace assay {

enum class Errc {
  invalid,      // malformed input: file, message, argument
  unsupported,  // well-formed, but deliberately not handled (named in the message)
  not_found,
  conflict,     // same id, other content; stale sequence
  refused,      // a rule of the protocol or ledger says no
  unavailable,  // peer, port or disk not usable now: a retry may help
  io,           // the operating system said no
  mismatch,     // a check failed: signature, hash, amount, bit
  cancelled,
  internal,
};

std::string_view to_string(Errc code);

struct Error {
  Errc code = Errc::internal;
  std::string message;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

template <class... Args>
std::unexpected<Error> fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// The same error with a few words of context in front.
inline std::unexpected<Error> fail_in(std::string_view where, const Error& e) {
  return std::unexpected(Error{e.code, fmt::format("{}: {}", where, e.message)});
}

}  // namespace assay

#define ASSAY_CONCAT_(a, b) a##b
#define ASSAY_CONCAT(a, b) ASSAY_CONCAT_(a, b)
// TRY(auto x, f()): declares x from the value, or returns the error from the enclosing function.
#define TRY(decl, expr) ASSAY_TRY_(ASSAY_CONCAT(try_, __LINE__), decl, expr)
#define ASSAY_TRY_(tmp, decl, expr)                         \
  auto tmp = (expr);                                        \
  if (!tmp) return std::unexpected(std::move(tmp).error()); \
  decl = std::move(*tmp)
// CHECK_OK(f()): returns the error of a Status (or drops a value).
#define CHECK_OK(expr)                                                              \
  do {                                                                              \
    if (auto try_ = (expr); !try_) return std::unexpected(std::move(try_).error()); \
  } while (0)
