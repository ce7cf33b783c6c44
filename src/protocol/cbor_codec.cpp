#include "protocol/cbor_codec.hpp"

#include "base/assert.hpp"

namespace assay::protocol::cbor {
namespace {

Status number_from(const Value& v, std::uint64_t most, std::uint64_t& out) {
  if (!v.is(Kind::unsigned_integer) || v.number > most)
    return fail(Errc::invalid, "must be an integer from 0 to {}", most);
  out = v.number;
  return {};
}

Status bytes_from(const Value& v, std::span<std::uint8_t> out) {
  if (!v.is(Kind::bytes) || v.data.size() != out.size())
    return fail(Errc::invalid, "must be {} bytes", out.size());
  std::ranges::copy(v.data, out.begin());
  return {};
}

}  // namespace

Value to_value(std::int64_t n) {
  ASSAY_ASSERT(n >= 0);
  return integer(n);
}
Value to_value(std::uint64_t n) { return uint(n); }
Value to_value(std::uint32_t n) { return uint(n); }
Value to_value(const std::string& s) { return text(s); }
Value to_value(const Hash& h) { return bytes(h); }
Value to_value(const Address& a) { return bytes(a.bytes); }
Value to_value(const Signature& s) { return bytes(s.bytes); }

Status from_value(const Value& v, std::int64_t& out) {
  std::uint64_t n = 0;
  CHECK_OK(number_from(v, INT64_MAX, n));
  out = static_cast<std::int64_t>(n);
  return {};
}
Status from_value(const Value& v, std::uint64_t& out) { return number_from(v, UINT64_MAX, out); }
Status from_value(const Value& v, std::uint32_t& out) {
  std::uint64_t n = 0;
  CHECK_OK(number_from(v, UINT32_MAX, n));
  out = static_cast<std::uint32_t>(n);
  return {};
}
Status from_value(const Value& v, std::string& out) {
  if (!v.is(Kind::text) || v.data.size() > kStringBytesMax)
    return fail(Errc::invalid, "must be text of at most {} bytes", kStringBytesMax);
  out = assay::text(v.data);
  return {};
}
Status from_value(const Value& v, Hash& out) { return bytes_from(v, out); }
Status from_value(const Value& v, Address& out) { return bytes_from(v, out.bytes); }
Status from_value(const Value& v, Signature& out) { return bytes_from(v, out.bytes); }

// EIP-712's own names, as in JSON: which ledger, by id or by chain and contract.
Value to_value(const Domain& domain) {
  FieldWriter write;
  write("name", std::string("Assay"));
  write("version", std::string("0"));
  if (domain.chain_id == 0) {
    write("salt", domain.ledger);
  } else {
    write("chainId", domain.chain_id);
    write("verifyingContract", domain.contract);
  }
  return map(std::move(write.entries));
}

Status from_value(const Value& v, Domain& out) {
  MapReader read(v, "domain");
  FieldReader fields{read};
  std::string name, version;
  const bool embedded = find(v, text("salt")) != nullptr;
  fields("name", name);
  fields("version", version);
  if (embedded) {
    fields("salt", out.ledger);
  } else {
    fields("chainId", out.chain_id);
    fields("verifyingContract", out.contract);
  }
  CHECK_OK(read.finish());
  if (name != "Assay" || version != "0" || (!embedded && out.chain_id == 0))
    return fail(Errc::unsupported, "domain: this program speaks Assay version 0");
  return {};
}

Value to_value(const ReceiptFile& file) {
  FieldWriter write;
  ReceiptFile::fields(file, write);
  return map(std::move(write.entries));
}

Status from_value(const Value& v, ReceiptFile& out) {
  MapReader read(v, "receipt file");
  ReceiptFile::fields(out, FieldReader{read});
  return read.finish();
}

}  // namespace assay::protocol::cbor
