#include "protocol/json_codec.hpp"

#include "base/hex.hpp"

namespace assay::protocol {
namespace {

Result<std::string_view> string_of(const json::value& v) {
  if (const auto* s = v.if_string()) return std::string_view(s->data(), s->size());
  return fail(Errc::invalid, "must be a string");
}

Status decode_hex(const json::value& v, std::span<std::uint8_t> out) {
  TRY(const std::string_view text, string_of(v));
  if (!text.starts_with("0x") || !from_hex(text, out) || text != to_hex(out))
    return fail(Errc::invalid, "must be 0x and {} lower-case hex digits", out.size() * 2);
  return {};
}

}  // namespace

json::value encode(std::int64_t n) { return json::value(std::to_string(n)); }
json::value encode(std::uint64_t n) { return json::value(std::to_string(n)); }
json::value encode(std::uint32_t n) { return json::value(std::to_string(n)); }
json::value encode(bool b) { return b; }
json::value encode(const std::string& s) { return json::value(s); }
json::value encode(const Hash& h) { return json::value(to_hex(h)); }
json::value encode(const Address& a) { return json::value(a.to_string()); }
json::value encode(const Signature& s) { return json::value(to_hex(s.bytes)); }
json::value encode(const Bytes& b) { return json::value(to_hex(b)); }

Status decode(const json::value& v, std::int64_t& out) {
  TRY(const std::string_view text, string_of(v));
  const auto n = json::parse_i64(text);
  if (!n || *n < 0) return fail(Errc::invalid, "must be a decimal string from 0 to 2^63-1");
  out = *n;
  return {};
}

Status decode(const json::value& v, std::uint64_t& out) {
  TRY(const std::string_view text, string_of(v));
  const auto n = json::parse_u64(text);
  if (!n) return fail(Errc::invalid, "must be a decimal string from 0 to 2^64-1");
  out = *n;
  return {};
}

Status decode(const json::value& v, std::uint32_t& out) {
  TRY(const std::string_view text, string_of(v));
  const auto n = json::parse_u64(text);
  if (!n || *n > UINT32_MAX)
    return fail(Errc::invalid, "must be a decimal string from 0 to 2^32-1");
  out = static_cast<std::uint32_t>(*n);
  return {};
}

Status decode(const json::value& v, bool& out) {
  if (!v.is_bool()) return fail(Errc::invalid, "must be true or false");
  out = v.get_bool();
  return {};
}

Status decode(const json::value& v, std::string& out) {
  TRY(const std::string_view text, string_of(v));
  if (text.size() > kStringBytesMax)
    return fail(Errc::invalid, "has {} bytes, at most {} are allowed", text.size(),
                kStringBytesMax);
  out = text;
  return {};
}

Status decode(const json::value& v, Hash& out) { return decode_hex(v, out); }

Status decode(const json::value& v, Address& out) {
  TRY(const std::string_view text, string_of(v));
  TRY(out, Address::parse(text));
  return {};
}

Status decode(const json::value& v, Signature& out) { return decode_hex(v, out.bytes); }

Status decode(const json::value& v, Bytes& out) { return decode_bytes(v, kBytesMax, out); }

Status decode_bytes(const json::value& v, std::size_t most, Bytes& out) {
  TRY(const std::string_view text, string_of(v));
  if (text.size() > 2 + 2 * most)
    return fail(Errc::invalid, "has {} bytes, at most {} are allowed", text.size() / 2 - 1, most);
  Bytes bytes(text.size() < 2 ? 0 : text.size() / 2 - 1);
  if (!text.starts_with("0x") || !from_hex(text, std::span<std::uint8_t>(bytes)) ||
      text != to_hex(bytes))
    return fail(Errc::invalid, "must be 0x and an even number of lower-case hex digits");
  out = std::move(bytes);
  return {};
}

const json::value* FieldReader::next(std::string_view name) {
  known_.push_back(name);
  if (!status_) return nullptr;
  const json::value* v = object_.if_contains(name);
  if (v == nullptr) status_ = fail(Errc::invalid, "{}: '{}' is missing", what_, name);
  return v;
}

void FieldReader::note(std::string_view name, Status status) {
  if (!status)
    status_ = fail(status.error().code, "{}: '{}' {}", what_, name, status.error().message);
}

Status FieldReader::finish() {
  if (status_ && object_.size() != known_.size())
    for (const auto& member : object_)
      if (std::ranges::find(known_, std::string_view(member.key())) == known_.end())
        return fail(Errc::invalid, "{}: '{}' is not a known member", what_,
                    std::string_view(member.key()).substr(0, 40));
  return status_;
}

}  // namespace assay::protocol
