#include "crypto/rlp.hpp"

namespace assay::crypto {
namespace {

// `base` is 0x80 for strings, 0xc0 for lists; up to 55 bytes the length is in the first byte.
void append_header(Bytes& out, std::uint8_t base, std::size_t size) {
  if (size <= 55) {
    out.push_back(static_cast<std::uint8_t>(base + size));
    return;
  }
  const Uint256 length(size);
  const ByteView digits = length.minimal();
  out.push_back(static_cast<std::uint8_t>(base + 55 + digits.size()));
  append(out, digits);
}

void append_string(Bytes& out, ByteView string) {
  if (string.size() != 1 || string[0] >= 0x80) append_header(out, 0x80, string.size());
  append(out, string);
}

}  // namespace

RlpList& RlpList::bytes(ByteView string) {
  append_string(payload_, string);
  return *this;
}

RlpList& RlpList::uint(const Uint256& n) { return bytes(n.minimal()); }

RlpList& RlpList::list(const RlpList& inner) {
  append(payload_, inner.encode());
  return *this;
}

Bytes RlpList::encode() const {
  Bytes out;
  append_header(out, 0xc0, payload_.size());
  append(out, payload_);
  return out;
}

Bytes rlp_string(ByteView string) {
  Bytes out;
  append_string(out, string);
  return out;
}

}  // namespace assay::crypto
