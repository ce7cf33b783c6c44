// Template definitions of typed.hpp: each is one visitor over a message's field list.
#pragma once
#include <map>

#include "base/assert.hpp"
#include "crypto/keccak.hpp"
#include "protocol/json_codec.hpp"
#include "protocol/typed.hpp"

namespace assay::protocol {
namespace detail {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

constexpr std::string_view type_name(const std::int64_t*) { return "uint128"; }
constexpr std::string_view type_name(const std::uint64_t*) { return "uint64"; }
constexpr std::string_view type_name(const std::uint32_t*) { return "uint32"; }
constexpr std::string_view type_name(const bool*) { return "bool"; }
constexpr std::string_view type_name(const Hash*) { return "bytes32"; }
constexpr std::string_view type_name(const Address*) { return "address"; }
constexpr std::string_view type_name(const std::string*) { return "string"; }

template <class M>
std::string declaration(std::map<std::string_view, std::string>& referred) {
  std::string out(M::kName);
  out += '(';
  const M none{};
  M::fields(none, [&]<class T>(std::string_view name, const T&) {
    if (out.back() != '(') out += ',';
    if constexpr (IsVector<T>::value) {
      using Element = typename T::value_type;
      referred.emplace(Element::kName, declaration<Element>(referred));
      out += fmt::format("{}[] {}", Element::kName, name);
    } else {
      out += fmt::format("{} {}", type_name(static_cast<const T*>(nullptr)), name);
    }
  });
  return out + ')';
}

struct HashVisitor {
  crypto::StructHasher& hasher;
  void operator()(std::string_view, std::int64_t money) {
    ASSAY_ASSERT(money >= 0);
    hasher.i64(money);
  }
  void operator()(std::string_view, std::uint64_t n) { hasher.u64(n); }
  void operator()(std::string_view, std::uint32_t n) { hasher.u64(n); }
  void operator()(std::string_view, bool b) { hasher.boolean(b); }
  void operator()(std::string_view, const Hash& h) { hasher.bytes32(h); }
  void operator()(std::string_view, const Address& a) { hasher.address(a); }
  void operator()(std::string_view, const std::string& s) { hasher.string(s); }
  template <class S>
  void operator()(std::string_view, const std::vector<S>& list) {
    std::vector<Hash> hashes;
    for (const S& element : list) hashes.push_back(struct_hash(element));
    hasher.array(hashes);
  }
};

Status check_signer(std::string_view what, const Hash& digest, const Signature& signature,
                    const Address& signer);

}  // namespace detail

template <class M>
std::string type_string() {
  std::map<std::string_view, std::string> referred;
  std::string out = detail::declaration<M>(referred);
  for (const auto& [name, text] : referred) out += text;
  return out;
}

template <class M>
Hash struct_hash(const M& message) {
  static const Hash type = crypto::keccak256(view(type_string<M>()));
  crypto::StructHasher hasher(type);
  M::fields(message, detail::HashVisitor{hasher});
  return hasher.finish();
}

template <class M>
Hash digest(const Domain& domain, const M& message) {
  return crypto::typed_digest(domain.separator(), struct_hash(message));
}

template <class M>
Signed<M> sign(const Domain& domain, M message, const crypto::SecretKey& key) {
  const Signature signature = crypto::sign(digest(domain, message), key);
  return {std::move(message), signature};
}

template <class M>
Status check_signature(const Domain& domain, const Signed<M>& message, const Address& signer) {
  return detail::check_signer(M::kName, digest(domain, message.message), message.signature, signer);
}

template <class M>
json::object to_json(const M& message) {
  json::object out;
  M::fields(message, FieldWriter{out});
  return out;
}

template <class M>
Result<M> from_json(const json::object& o) {
  M message{};
  FieldReader reader(o, M::kName);
  M::fields(message, reader);
  CHECK_OK(reader.finish());
  return message;
}

template <class M>
json::object to_json(const Signed<M>& message) {
  json::object out;
  FieldWriter{out}("message", message.message);
  FieldWriter{out}("signature", message.signature);
  return out;
}

template <class M>
Result<Signed<M>> signed_from_json(const json::object& o) {
  Signed<M> out{};
  FieldReader reader(o, M::kName);
  reader("message", out.message);
  reader("signature", out.signature);
  CHECK_OK(reader.finish());
  return out;
}

// Messages inside other JSON: in arrays, files and calls.
template <class M>
  requires requires { M::kName; }
json::value encode(const M& message) {
  return to_json(message);
}
template <class M>
  requires requires { M::kName; }
Status decode(const json::value& v, M& out) {
  TRY(const json::object* o, json::as_object(v, M::kName));
  TRY(out, from_json<M>(*o));
  return {};
}
template <class M>
json::value encode(const Signed<M>& message) {
  return to_json(message);
}
template <class M>
Status decode(const json::value& v, Signed<M>& out) {
  TRY(const json::object* o, json::as_object(v, M::kName));
  TRY(out, signed_from_json<M>(*o));
  return {};
}

}  // namespace assay::protocol
