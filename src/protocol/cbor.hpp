// CBOR (RFC 8949) in exactly one form: the core deterministic encoding of section 4.2.1. Integers,
// lengths and floating-point numbers are the shortest, map keys ascend bytewise in their encoded
// form, nothing is of indefinite length, a bignum is no integer that fits 64 bits. Whatever
// decode() accepts, encode() gives back byte for byte, so a hash or a signature over an encoding is
// one over its meaning. No I/O, no exceptions, and no recursion deeper than `depth`.
#pragma once
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::protocol::cbor {

enum class Kind : std::uint8_t {
  unsigned_integer,  // number
  negative_integer,  // -1 - number
  bytes,             // data
  text,              // data, valid UTF-8
  array,             // items
  map,               // items: key, value, key, value, …
  tag,               // number, one item
  simple,            // number: false 20, true 21, null 22, undefined 23; 0..19 and 32..255
  floating,          // number: the bits of an IEEE binary64
};

struct Value {
  Kind kind = Kind::simple;
  std::uint64_t number = 22;
  Bytes data{};
  std::vector<Value> items{};

  bool operator==(const Value&) const = default;
  bool is(Kind k) const { return kind == k; }
  bool is_null() const { return is(Kind::simple) && number == 22; }
};

Value uint(std::uint64_t n);
Value integer(std::int64_t n);
Value bytes(ByteView data);
Value text(std::string_view text);  // valid UTF-8 is the caller's to guarantee (asserted by encode)
Value array(std::vector<Value> items);
// In any order; keys that repeat are a programmer error (asserted by encode).
Value map(std::vector<std::pair<Value, Value>> entries);
Value tag(std::uint64_t number, Value item);
Value boolean(bool b);
Value null();
Value floating(double d);

// The deterministic encoding; map entries are sorted here.
Bytes encode(const Value& value);

// What a decoder of bytes from strangers refuses to go beyond. A value takes about 64 bytes of
// memory, so `items` bounds what a small hostile text can make of it.
struct Limits {
  std::size_t bytes = 16u << 20;
  std::size_t items = 1u << 16;
  unsigned depth = 16;  // of arrays, maps and tags inside each other
};
// One value and nothing behind it. Errors: invalid, with the offset and the rule that is broken.
Result<Value> decode(ByteView encoded, const Limits& limits = {});

// The value of a key; null where the value is no map or has no such key.
const Value* find(const Value& map, const Value& key);

// Reads a map that must hold exactly the keys asked for (a closed map): keeps the first error, and
// finish() refuses keys nobody asked for. `what` begins every error.
class MapReader {
 public:
  MapReader(const Value& map, std::string_view what);

  // Null where it is missing: an error for take(), none for optional().
  const Value* take(const Value& key, std::string_view name);
  const Value* optional(const Value& key);
  void read(const Value& key, std::string_view name, std::uint64_t& out);
  void read(const Value& key, std::string_view name, std::string& out);
  void read(const Value& key, std::string_view name, Bytes& out);
  // Exactly out.size() bytes.
  void read(const Value& key, std::string_view name, std::span<std::uint8_t> out);
  void refuse(std::string_view name, std::string_view problem);
  bool ok() const { return status_.has_value(); }
  Status finish();

 private:
  const Value& map_;
  std::string what_;
  std::size_t taken_ = 0;
  Status status_;
};

// How a double is written when every value that needs no more bits gets none: half, single, double.
// Shared with the decoder, which accepts nothing else.
Bytes encode_floating(std::uint64_t double_bits);
// False for surrogates, overlong forms and what is beyond U+10FFFF.
bool is_utf8(ByteView text);

}  // namespace assay::protocol::cbor
