#include "protocol/cbor.hpp"

#include <bit>

#include "base/assert.hpp"

namespace assay::protocol::cbor {
namespace {

void append_head(Bytes& out, unsigned major, std::uint64_t number) {
  const auto first = [&](unsigned low) {
    out.push_back(static_cast<std::uint8_t>(major << 5 | low));
  };
  if (number < 24) {
    first(static_cast<unsigned>(number));
  } else if (number <= UINT8_MAX) {
    first(24);
    append_be(out, static_cast<std::uint8_t>(number));
  } else if (number <= UINT16_MAX) {
    first(25);
    append_be(out, static_cast<std::uint16_t>(number));
  } else if (number <= UINT32_MAX) {
    first(26);
    append_be(out, static_cast<std::uint32_t>(number));
  } else {
    first(27);
    append_be(out, number);
  }
}

void append_value(Bytes& out, const Value& v);

void append_map(Bytes& out, const Value& v) {
  ASSAY_ASSERT(v.items.size() % 2 == 0);
  std::vector<std::pair<Bytes, const Value*>> entries;
  entries.reserve(v.items.size() / 2);
  for (std::size_t i = 0; i < v.items.size(); i += 2)
    entries.emplace_back(encode(v.items[i]), &v.items[i + 1]);
  std::ranges::sort(entries, {}, &std::pair<Bytes, const Value*>::first);
  append_head(out, 5, entries.size());
  const Bytes* before = nullptr;
  for (const auto& [key, value] : entries) {
    ASSAY_ASSERT(before == nullptr || *before != key);
    before = &key;
    append(out, key);
    append_value(out, *value);
  }
}

void append_value(Bytes& out, const Value& v) {
  switch (v.kind) {
    case Kind::unsigned_integer:
      return append_head(out, 0, v.number);
    case Kind::negative_integer:
      return append_head(out, 1, v.number);
    case Kind::bytes:
      append_head(out, 2, v.data.size());
      return append(out, v.data);
    case Kind::text:
      ASSAY_ASSERT(is_utf8(v.data));
      append_head(out, 3, v.data.size());
      return append(out, v.data);
    case Kind::array:
      append_head(out, 4, v.items.size());
      for (const Value& item : v.items) append_value(out, item);
      return;
    case Kind::map:
      return append_map(out, v);
    case Kind::tag:
      ASSAY_ASSERT(v.items.size() == 1);
      append_head(out, 6, v.number);
      return append_value(out, v.items[0]);
    case Kind::simple:
      ASSAY_ASSERT(v.number < 24 || (v.number >= 32 && v.number <= UINT8_MAX));
      return append_head(out, 7, v.number);
    case Kind::floating:
      return append(out, encode_floating(v.number));
  }
}

}  // namespace

Value uint(std::uint64_t n) { return {.kind = Kind::unsigned_integer, .number = n}; }

Value integer(std::int64_t n) {
  if (n >= 0) return uint(static_cast<std::uint64_t>(n));
  return {.kind = Kind::negative_integer, .number = ~static_cast<std::uint64_t>(n)};
}

Value bytes(ByteView data) {
  return {.kind = Kind::bytes, .number = 0, .data = Bytes(data.begin(), data.end())};
}

Value text(std::string_view text) {
  const ByteView data = view(text);
  return {.kind = Kind::text, .number = 0, .data = Bytes(data.begin(), data.end())};
}

Value array(std::vector<Value> items) {
  return {.kind = Kind::array, .number = 0, .items = std::move(items)};
}

Value map(std::vector<std::pair<Value, Value>> entries) {
  Value out{.kind = Kind::map, .number = 0};
  out.items.reserve(2 * entries.size());
  for (auto& [key, value] : entries) {
    out.items.push_back(std::move(key));
    out.items.push_back(std::move(value));
  }
  return out;
}

Value tag(std::uint64_t number, Value item) {
  Value out{.kind = Kind::tag, .number = number};
  out.items.push_back(std::move(item));
  return out;
}

Value boolean(bool b) { return {.number = b ? 21u : 20u}; }
Value null() { return {}; }

Value floating(double d) {
  return {.kind = Kind::floating, .number = std::bit_cast<std::uint64_t>(d)};
}

Bytes encode(const Value& value) {
  Bytes out;
  append_value(out, value);
  return out;
}

const Value* find(const Value& map, const Value& key) {
  if (!map.is(Kind::map)) return nullptr;
  for (std::size_t i = 0; i < map.items.size(); i += 2)
    if (map.items[i] == key) return &map.items[i + 1];
  return nullptr;
}

MapReader::MapReader(const Value& map, std::string_view what) : map_(map), what_(what) {
  if (!map.is(Kind::map)) status_ = fail(Errc::invalid, "{} must be a map", what_);
}

void MapReader::refuse(std::string_view name, std::string_view problem) {
  if (status_) status_ = fail(Errc::invalid, "{}: {} {}", what_, name, problem);
}

const Value* MapReader::optional(const Value& key) {
  if (!status_) return nullptr;
  const Value* found = find(map_, key);
  taken_ += found != nullptr;
  return found;
}

const Value* MapReader::take(const Value& key, std::string_view name) {
  const Value* found = optional(key);
  if (found == nullptr) refuse(name, "is missing");
  return found;
}

void MapReader::read(const Value& key, std::string_view name, std::uint64_t& out) {
  const Value* v = take(key, name);
  if (v == nullptr) return;
  if (!v->is(Kind::unsigned_integer)) return refuse(name, "must be an unsigned integer");
  out = v->number;
}

void MapReader::read(const Value& key, std::string_view name, std::string& out) {
  const Value* v = take(key, name);
  if (v == nullptr) return;
  if (!v->is(Kind::text)) return refuse(name, "must be text");
  out = assay::text(v->data);
}

void MapReader::read(const Value& key, std::string_view name, Bytes& out) {
  const Value* v = take(key, name);
  if (v == nullptr) return;
  if (!v->is(Kind::bytes)) return refuse(name, "must be a byte string");
  out = v->data;
}

void MapReader::read(const Value& key, std::string_view name, std::span<std::uint8_t> out) {
  const Value* v = take(key, name);
  if (v == nullptr) return;
  if (!v->is(Kind::bytes) || v->data.size() != out.size())
    return refuse(name, fmt::format("must be {} bytes", out.size()));
  std::ranges::copy(v->data, out.begin());
}

Status MapReader::finish() {
  if (status_ && taken_ * 2 != map_.items.size())
    return fail(Errc::invalid, "{} has members that do not belong there", what_);
  return status_;
}

}  // namespace assay::protocol::cbor
