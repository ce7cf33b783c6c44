// Typed, bounded reading of JSON on top of Boost.JSON. Money, hashes and other signed integers
// travel as strings: decimal or hex, never as JSON numbers.
#pragma once
#include <boost/json.hpp>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::json {

using boost::json::array;
using boost::json::object;
using boost::json::value;

// Rejects text over max_bytes, nesting over 32, trailing bytes and invalid UTF-8.
Result<value> parse(std::string_view text, std::size_t max_bytes = 16u << 20);
std::string dump(const value& v);         // one line
std::string dump_pretty(const value& v);  // two-space indent, keys in insertion order

Result<const object*> as_object(const value& v, std::string_view what);

// Members of an object; the error names the key.
Result<const value*> get(const object& o, std::string_view key);
Result<std::string> get_string(const object& o, std::string_view key);
Result<const object*> get_object(const object& o, std::string_view key);
Result<const array*> get_array(const object& o, std::string_view key);
Result<bool> get_bool(const object& o, std::string_view key);
// An integer as a JSON number or a decimal string.
Result<std::int64_t> get_i64(const object& o, std::string_view key);
Result<std::uint64_t> get_u64(const object& o, std::string_view key);
Result<double> get_double(const object& o, std::string_view key);
Result<Bytes> get_hex(const object& o, std::string_view key);
Result<Hash> get_hash(const object& o, std::string_view key);

// Strict decimal: no sign for unsigned, no leading zeros, no spaces, in range.
Result<std::int64_t> parse_i64(std::string_view text);
Result<std::uint64_t> parse_u64(std::string_view text);

}  // namespace assay::json
