// How values of the wire become JSON and back (spec/messages.md, "JSON"): integers are decimal
// strings, bytes lower-case hex with 0x, addresses EIP-55. Decoding accepts exactly one form of
// each, and objects with exactly the members they should have.
#pragma once
#include "base/json.hpp"
#include "protocol/messages.hpp"

namespace assay::protocol {

inline constexpr std::size_t kStringBytesMax = 4096;
inline constexpr std::size_t kMessageArrayMax = 256;  // structs inside a signed message
inline constexpr std::size_t kListMax = 1u << 20;     // tokens, roots
inline constexpr std::size_t kBytesMax = 1u << 16;    // programs, moves, proofs

json::value encode(std::int64_t n);  // money
json::value encode(std::uint64_t n);
json::value encode(std::uint32_t n);
json::value encode(bool b);
json::value encode(const std::string& s);
json::value encode(const Hash& h);
json::value encode(const Address& a);
json::value encode(const Signature& s);
json::value encode(const Bytes& b);

Status decode(const json::value& v, std::int64_t& out);  // refuses negative amounts
Status decode(const json::value& v, std::uint64_t& out);
Status decode(const json::value& v, std::uint32_t& out);
Status decode(const json::value& v, bool& out);
Status decode(const json::value& v, std::string& out);
Status decode(const json::value& v, Hash& out);
Status decode(const json::value& v, Address& out);
Status decode(const json::value& v, Signature& out);
Status decode(const json::value& v, Bytes& out);  // of any length up to kBytesMax
// For the few that may be longer: up to `most`.
Status decode_bytes(const json::value& v, std::size_t most, Bytes& out);

template <class T>
json::value encode(const std::vector<T>& list) {
  json::array out;
  out.reserve(list.size());
  for (const T& element : list) out.push_back(encode(element));
  return out;
}

template <class T>
Status decode(const json::value& v, std::vector<T>& out) {
  const json::array* list = v.if_array();
  if (list == nullptr) return fail(Errc::invalid, "must be an array");
  const std::size_t most = requires { T::kName; } ? kMessageArrayMax : kListMax;
  if (list->size() > most)
    return fail(Errc::invalid, "has {} elements, at most {} are allowed", list->size(), most);
  out.clear();
  out.reserve(list->size());
  for (const json::value& element : *list)
    if (auto ok = decode(element, out.emplace_back()); !ok)
      return fail_in(fmt::format("element {}", out.size() - 1), ok.error());
  return {};
}

// Visitors for a list of fields, `v("name", member)`. The writer keeps the order.
struct FieldWriter {
  json::object& out;
  template <class T>
  void operator()(std::string_view name, const T& field) {
    out.emplace(name, encode(field));
  }
};

// Keeps the first error; finish() also refuses members nobody asked for.
class FieldReader {
 public:
  FieldReader(const json::object& o, std::string_view what) : object_(o), what_(what) {}

  template <class T>
  void operator()(std::string_view name, T& field) {
    if (const json::value* v = next(name)) note(name, decode(*v, field));
  }
  Status finish();

 private:
  const json::value* next(std::string_view name);  // null once something is wrong
  void note(std::string_view name, Status status);

  const json::object& object_;
  std::string_view what_;
  std::vector<std::string_view> known_;
  Status status_;
};

}  // namespace assay::protocol
