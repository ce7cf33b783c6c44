#include "base/json.hpp"

#include <charconv>

#include "base/hex.hpp"

namespace assay::json {
namespace {

void write_pretty(std::string& out, const value& v, std::size_t depth) {
  const auto newline = [&](std::size_t d) {
    out.push_back('\n');
    out.append(d * 2, ' ');
  };
  if (const auto* o = v.if_object(); o != nullptr && !o->empty()) {
    out.push_back('{');
    bool first = true;
    for (const auto& member : *o) {
      if (!first) out.push_back(',');
      first = false;
      newline(depth + 1);
      out += boost::json::serialize(member.key());
      out += ": ";
      write_pretty(out, member.value(), depth + 1);
    }
    newline(depth);
    out.push_back('}');
  } else if (const auto* a = v.if_array();
             a != nullptr && !a->empty() && (a->front().is_object() || a->front().is_array())) {
    out.push_back('[');
    bool first = true;
    for (const auto& element : *a) {
      if (!first) out.push_back(',');
      first = false;
      newline(depth + 1);
      write_pretty(out, element, depth + 1);
    }
    newline(depth);
    out.push_back(']');
  } else {
    out += boost::json::serialize(v);
  }
}

template <class T>
Result<T> parse_integer(std::string_view text) {
  T out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool padded = text.size() > 1 && (text[0] == '0' || (text[0] == '-' && text[1] == '0'));
  if (error != std::errc() || end != text.data() + text.size() || padded)
    return fail(Errc::invalid, "not a decimal integer in range: '{}'", text.substr(0, 40));
  return out;
}

template <class T>
Result<T> get_integer(const object& o, std::string_view key) {
  TRY(const value* v, get(o, key));
  if (const auto* s = v->if_string()) {
    auto parsed = parse_integer<T>({s->data(), s->size()});
    if (!parsed) return fail_in(key, parsed.error());
    return parsed;
  }
  boost::system::error_code error;
  const T n = v->to_number<T>(error);
  if (error || v->is_double()) return fail(Errc::invalid, "'{}' must be an integer in range", key);
  return n;
}

}  // namespace

Result<value> parse(std::string_view text, std::size_t max_bytes) {
  if (text.size() > max_bytes)
    return fail(Errc::invalid, "JSON of {} bytes exceeds the limit of {}", text.size(), max_bytes);
  boost::system::error_code error;
  boost::json::parse_options options;
  options.max_depth = 32;
  auto v = boost::json::parse(text, error, {}, options);
  if (error) return fail(Errc::invalid, "not valid JSON: {}", error.message());
  return v;
}

std::string dump(const value& v) { return boost::json::serialize(v); }

std::string dump_pretty(const value& v) {
  std::string out;
  write_pretty(out, v, 0);
  return out;
}

Result<const object*> as_object(const value& v, std::string_view what) {
  if (const auto* o = v.if_object()) return o;
  return fail(Errc::invalid, "{} must be a JSON object", what);
}

Result<const value*> get(const object& o, std::string_view key) {
  if (const auto* v = o.if_contains(key)) return v;
  return fail(Errc::invalid, "'{}' is missing", key);
}

Result<std::string> get_string(const object& o, std::string_view key) {
  TRY(const value* v, get(o, key));
  if (const auto* s = v->if_string()) return std::string(s->data(), s->size());
  return fail(Errc::invalid, "'{}' must be a string", key);
}

Result<const object*> get_object(const object& o, std::string_view key) {
  TRY(const value* v, get(o, key));
  if (const auto* member = v->if_object()) return member;
  return fail(Errc::invalid, "'{}' must be an object", key);
}

Result<const array*> get_array(const object& o, std::string_view key) {
  TRY(const value* v, get(o, key));
  if (const auto* a = v->if_array()) return a;
  return fail(Errc::invalid, "'{}' must be an array", key);
}

Result<bool> get_bool(const object& o, std::string_view key) {
  TRY(const value* v, get(o, key));
  if (const auto* b = v->if_bool()) return *b;
  return fail(Errc::invalid, "'{}' must be true or false", key);
}

Result<std::int64_t> get_i64(const object& o, std::string_view key) {
  return get_integer<std::int64_t>(o, key);
}
Result<std::uint64_t> get_u64(const object& o, std::string_view key) {
  return get_integer<std::uint64_t>(o, key);
}

Result<double> get_double(const object& o, std::string_view key) {
  TRY(const value* v, get(o, key));
  boost::system::error_code error;
  const double n = v->to_number<double>(error);
  if (error) return fail(Errc::invalid, "'{}' must be a number", key);
  return n;
}

Result<Bytes> get_hex(const object& o, std::string_view key) {
  TRY(const std::string s, get_string(o, key));
  auto bytes = from_hex(s);
  if (!bytes) return fail_in(key, bytes.error());
  return bytes;
}

Result<Hash> get_hash(const object& o, std::string_view key) {
  TRY(const std::string s, get_string(o, key));
  auto hash = array_from_hex<32>(s);
  if (!hash) return fail_in(key, hash.error());
  return hash;
}

Result<std::int64_t> parse_i64(std::string_view text) { return parse_integer<std::int64_t>(text); }
Result<std::uint64_t> parse_u64(std::string_view text) {
  return parse_integer<std::uint64_t>(text);
}

}  // namespace assay::json
