// Values of the wire as CBOR: the same field lists as EIP-712 and JSON (json_codec.hpp), integers
// as integers, bytes as bytes. Decoding accepts exactly the maps that encoding gives.
#pragma once
#include "protocol/cbor.hpp"
#include "protocol/files.hpp"
#include "protocol/json_codec.hpp"

namespace assay::protocol::cbor {

Value to_value(std::int64_t n);  // money: never negative
Value to_value(std::uint64_t n);
Value to_value(std::uint32_t n);
Value to_value(const std::string& s);
Value to_value(const Hash& h);
Value to_value(const Address& a);
Value to_value(const Signature& s);
Value to_value(const Domain& domain);

Status from_value(const Value& v, std::int64_t& out);
Status from_value(const Value& v, std::uint64_t& out);
Status from_value(const Value& v, std::uint32_t& out);
Status from_value(const Value& v, std::string& out);
Status from_value(const Value& v, Hash& out);
Status from_value(const Value& v, Address& out);
Status from_value(const Value& v, Signature& out);
Status from_value(const Value& v, Domain& out);

// Declared before the visitors: argument-dependent lookup would not find them in this namespace.
template <class M>
  requires requires { M::kName; }
Value to_value(const M& message);
template <class M>
  requires requires { M::kName; }
Status from_value(const Value& v, M& out);
template <class M>
  requires requires { M::kName; }
Value to_value(const std::vector<M>& list);
template <class M>
  requires requires { M::kName; }
Status from_value(const Value& v, std::vector<M>& out);
template <class M>
Value to_value(const Signed<M>& message);
template <class M>
Status from_value(const Value& v, Signed<M>& out);

// Visitors for a list of fields, `v("name", member)`; the name is the key, as text.
struct FieldWriter {
  std::vector<std::pair<Value, Value>> entries;
  template <class T>
  void operator()(std::string_view name, const T& field) {
    entries.emplace_back(text(name), to_value(field));
  }
};
struct FieldReader {
  MapReader& read;
  template <class T>
  void operator()(std::string_view name, T& field) {
    if (const Value* v = read.take(text(name), name))
      if (const Status ok = from_value(*v, field); !ok) read.refuse(name, ok.error().message);
  }
};

template <class M>
  requires requires { M::kName; }
Value to_value(const M& message) {
  FieldWriter write;
  M::fields(message, write);
  return map(std::move(write.entries));
}
template <class M>
  requires requires { M::kName; }
Status from_value(const Value& v, M& out) {
  MapReader read(v, M::kName);
  M::fields(out, FieldReader{read});
  return read.finish();
}

template <class M>
  requires requires { M::kName; }
Value to_value(const std::vector<M>& list) {
  Value out = array({});
  for (const M& element : list) out.items.push_back(to_value(element));
  return out;
}
template <class M>
  requires requires { M::kName; }
Status from_value(const Value& v, std::vector<M>& out) {
  if (!v.is(Kind::array)) return fail(Errc::invalid, "must be an array");
  if (v.items.size() > kMessageArrayMax)
    return fail(Errc::invalid, "has {} elements, at most {} are allowed", v.items.size(),
                kMessageArrayMax);
  out.clear();
  for (const Value& element : v.items) CHECK_OK(from_value(element, out.emplace_back()));
  return {};
}

template <class M>
Value to_value(const Signed<M>& message) {
  FieldWriter write;
  write("message", message.message);
  write("signature", message.signature);
  return map(std::move(write.entries));
}
template <class M>
Status from_value(const Value& v, Signed<M>& out) {
  MapReader read(v, M::kName);
  FieldReader fields{read};
  fields("message", out.message);
  fields("signature", out.signature);
  return read.finish();
}

// The receipt file's members under their names in JSON, without the "assay" tag.
Value to_value(const ReceiptFile& file);
Status from_value(const Value& v, ReceiptFile& out);

}  // namespace assay::protocol::cbor
