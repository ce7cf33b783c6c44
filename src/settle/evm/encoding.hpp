// Signed messages as the contracts take them: an EIP-712 struct and its ABI encoding list the same
// members in the same order (contracts/src/market/Messages.sol). Texts and nested messages of an
// offer go as their hashes, which is all that its digest needs.
#pragma once
#include "crypto/abi.hpp"
#include "crypto/keccak.hpp"
#include "market/operation.hpp"

namespace assay::settle::evm {

using crypto::AbiReader;
using crypto::AbiWriter;

namespace detail {

struct TypeVisitor {
  std::string& out;
  void add(std::string_view type) {
    if (out.size() > 1) out += ',';
    out += type;
  }
  void operator()(std::string_view, const std::int64_t&) { add("uint128"); }
  void operator()(std::string_view, const std::uint64_t&) { add("uint64"); }
  void operator()(std::string_view, const std::uint32_t&) { add("uint32"); }
  void operator()(std::string_view, const bool&) { add("bool"); }
  void operator()(std::string_view, const Hash&) { add("bytes32"); }
  void operator()(std::string_view, const crypto::Address&) { add("address"); }
  void operator()(std::string_view, const std::string&) { add("bytes32"); }
  void operator()(std::string_view, const std::vector<protocol::LogitBias>&) {
    add("(uint32,uint32)[]");
  }
  void operator()(std::string_view, const std::vector<protocol::OfferModel>&) { add("bytes32[]"); }
};

struct PutVisitor {
  AbiWriter& out;
  void operator()(std::string_view, const std::int64_t& n) { out.int64(n); }
  void operator()(std::string_view, const std::uint64_t& n) { out.uint(n); }
  void operator()(std::string_view, const std::uint32_t& n) { out.uint(n); }
  void operator()(std::string_view, const bool& b) { out.boolean(b); }
  void operator()(std::string_view, const Hash& h) { out.bytes32(h); }
  void operator()(std::string_view, const crypto::Address& a) { out.address(a); }
  void operator()(std::string_view, const std::string& s) {
    out.bytes32(crypto::keccak256(view(s)));
  }
  void operator()(std::string_view, const std::vector<protocol::LogitBias>& list) {
    std::vector<AbiWriter> all;
    for (const auto& bias : list) all.emplace_back().uint(bias.token).uint(bias.bias_bits);
    out.structs(all);
  }
  void operator()(std::string_view, const std::vector<protocol::OfferModel>& list) {
    std::vector<Hash> hashes;
    for (const auto& model : list) hashes.push_back(protocol::struct_hash(model));
    out.words(hashes);
  }
};

struct TakeVisitor {
  AbiReader& in;
  Status status{};
  template <class T>
  void set(T& to, Result<T> read) {
    if (!status) return;
    if (read)
      to = std::move(*read);
    else
      status = std::unexpected(read.error());
  }
  void operator()(std::string_view, std::int64_t& n) {
    if (status) set(n, in.i64());
    if (status && n < 0) status = fail(Errc::invalid, "an amount over int64");
  }
  void operator()(std::string_view, std::uint64_t& n) {
    if (status) set(n, in.u64());
  }
  void operator()(std::string_view, std::uint32_t& n) {
    std::uint64_t wide = 0;
    if (status) set(wide, in.u64());
    if (status && wide > UINT32_MAX) status = fail(Errc::invalid, "a number over uint32");
    n = static_cast<std::uint32_t>(wide);
  }
  void operator()(std::string_view, bool& b) {
    if (status) set(b, in.boolean());
  }
  void operator()(std::string_view, Hash& h) {
    if (status) set(h, in.bytes32());
  }
  void operator()(std::string_view, crypto::Address& a) {
    if (status) set(a, in.address());
  }
  void operator()(std::string_view, std::vector<protocol::LogitBias>& list) {
    if (!status) return;
    auto array = in.array();
    if (!array) {
      status = std::unexpected(array.error());
      return;
    }
    for (std::uint64_t i = 0; status && i < array->count; ++i) {
      protocol::LogitBias bias;
      TakeVisitor inner{array->elements};
      protocol::LogitBias::fields(bias, inner);
      status = inner.status;
      list.push_back(bias);
    }
  }
};

// Messages.sol: HashedRequest, which has the biases' hash in their place; one read back has none.
struct HashedTypeVisitor : TypeVisitor {
  using TypeVisitor::operator();
  void operator()(std::string_view, const std::vector<protocol::LogitBias>&) { add("bytes32"); }
};
struct HashedPutVisitor : PutVisitor {
  using PutVisitor::operator();
  void operator()(std::string_view, const std::vector<protocol::LogitBias>& list) {
    Bytes hashes;
    for (const auto& bias : list) append(hashes, protocol::struct_hash(bias));
    out.bytes32(crypto::keccak256(hashes));
  }
};
struct HashedTakeVisitor : TakeVisitor {
  using TakeVisitor::operator();
  void operator()(std::string_view, std::vector<protocol::LogitBias>&) {
    Hash hash;
    if (status) set(hash, in.bytes32());
  }
};

}  // namespace detail

// "(address,uint128,uint64)".
template <class M, class Visitor = detail::TypeVisitor>
std::string abi_type() {
  std::string out = "(";
  const M none{};
  M::fields(none, Visitor{out});
  return out + ")";
}

// The members of M: in place where M is static, else for AbiWriter::tuple.
template <class M>
AbiWriter& put(AbiWriter& out, const M& message) {
  M::fields(message, detail::PutVisitor{out});
  return out;
}

// Errors: invalid. Not for messages with texts: their hashes do not come back.
template <class M, class Visitor = detail::TakeVisitor>
Result<M> take(AbiReader& in) {
  M out{};
  Visitor visitor{in};
  M::fields(out, visitor);
  CHECK_OK(visitor.status);
  return out;
}

inline AbiWriter& put(AbiWriter& out, const protocol::Signature& signature) {
  return out.bytes(signature.bytes);
}
Result<protocol::Signature> take_signature(AbiReader& in);

// A message and its signature, as every call begins.
template <class M>
Result<protocol::Signed<M>> take_signed(AbiReader& in) {
  TRY(M message, take<M>(in));
  TRY(const protocol::Signature signature, take_signature(in));
  return protocol::Signed<M>{std::move(message), signature};
}
template <class M>
Status expect_id(const protocol::Domain& domain, const M& message, const Hash& id) {
  if (protocol::digest(domain, message) == id) return {};
  return fail(Errc::mismatch, "the call is about another {}", M::kName);
}

// contracts/src/market/Statements.sol: Statement and Evidence; IMarket.sol: Leaf.
std::string statement_type();
std::string evidence_type();
std::string leaf_type();
AbiWriter statement_tuple(const market::Statement& statement);
AbiWriter evidence_tuple(const market::Evidence& evidence);
AbiWriter leaf_tuple(const market::ClaimLeaf& leaf);
Result<market::Evidence> take_evidence(AbiReader& in);
// Its request comes without biases, of which the call has only the hash: `receipt.request` is the
// id of the one that was signed.
Result<market::ClaimLeaf> take_leaf(AbiReader& in);

// IGames.sol: Case, with the Subject of IReferee.sol. Kept as its words: the contracts hold their
// hash, and a client hands on what the filing's event says.
inline constexpr std::size_t kCaseWords = 13;
using Case = std::array<Hash, kCaseWords>;
inline constexpr std::string_view kCaseType =
    "((bytes32,bytes32,bytes32,bytes32,bytes32,bytes32,bytes32,uint256,uint256),bytes32,bytes32,"
    "uint32,uint64)";
// IDeliveries.sol: Wanted, likewise.
inline constexpr std::size_t kWantedWords = 6;
using Wanted = std::array<Hash, kWantedWords>;
inline constexpr std::string_view kWantedType = "(address,uint32,uint32,bytes32,bytes32,bytes32)";
inline constexpr std::string_view kPlayedType = "(bytes,bytes,bytes)";

// Members of one word each, one after the other: what most views return. Errors: invalid.
namespace detail {
inline Status read_into(AbiReader& in, std::uint64_t& out) {
  TRY(out, in.u64());
  return {};
}
inline Status read_into(AbiReader& in, bool& out) {
  TRY(out, in.boolean());
  return {};
}
inline Status read_into(AbiReader& in, Hash& out) {
  TRY(out, in.bytes32());
  return {};
}
inline Status read_into(AbiReader& in, crypto::Address& out) {
  TRY(out, in.address());
  return {};
}
}  // namespace detail
template <class... Fields>
Status read_on(AbiReader& in, Fields&... fields) {
  Status status;
  ((status = status ? detail::read_into(in, fields) : status), ...);
  return status;
}
template <class... Fields>
Status read_all(ByteView data, Fields&... fields) {
  AbiReader in(data);
  return read_on(in, fields...);
}

// An address as a topic or word, and back.
Hash word_of(const crypto::Address& address);
crypto::Address address_of(const Hash& word);

template <std::size_t N>
AbiWriter& put_words(AbiWriter& out, const std::array<Hash, N>& words) {
  for (const Hash& word : words) out.bytes32(word);
  return out;
}
template <std::size_t N>
Result<std::array<Hash, N>> take_words(AbiReader& in) {
  std::array<Hash, N> out;
  for (Hash& word : out) {
    TRY(word, in.bytes32());
  }
  return out;
}

}  // namespace assay::settle::evm
