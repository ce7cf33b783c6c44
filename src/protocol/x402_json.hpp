// What the members of x402's JSON have in common, for the files that read and write it. Errors:
// invalid, unless another is named.
#pragma once
#include "base/hex.hpp"
#include "protocol/x402.hpp"

namespace assay::protocol::x402 {

std::string header_of(const json::object& o);
// unsupported: another version than 2.
Result<json::object> object_of(std::string_view header, std::string_view what);
// Without looking at its version: of an answer to what has one.
Result<json::object> any_object_of(std::string_view header, std::string_view what);

// An amount or time: a decimal string, as it is written in what is signed.
Result<std::int64_t> get_decimal(const json::object& o, std::string_view key);  // not negative
Result<std::uint64_t> get_decimal_u64(const json::object& o, std::string_view key);
Result<Address> get_address(const json::object& o, std::string_view key);
// unsupported unless it has 65 bytes.
Result<crypto::Signature> get_signature(const json::object& o, std::string_view key);
// Empty when it is not there, or no object.
json::object member(const json::object& o, std::string_view key);
Result<std::optional<std::string>> identifier_in(const json::object& extensions);

}  // namespace assay::protocol::x402
