// One committed value that is not the model's, with both sides' bits, in words.
#pragma once
#include <optional>
#include <string>

#include "base/bytes.hpp"

namespace assay::verify {

// Ops as in spec/dispute.md section 3.
struct Difference {
  std::uint32_t position = 0, layer = 0;  // layer == layer count: the head
  // embedding; x (what leaves the layer); kh, vh (the row stored in the cache); lg; tok; lp; or
  // fault (the model meets one here, the receipt has none).
  std::string op;
  // Where both sides' values are known: index in the vector, and both as bits (x, lg: binary32,
  // kh, vh: binary16) or tokens.
  struct Value {
    std::uint64_t row = 0;  // its segment is row / 256
    std::uint32_t ours = 0, theirs = 0;
  };
  std::optional<Value> value;
};

// "diverges at position 7, layer 3, op kh, row 17, segment 0: …".
std::string words(const Difference& difference, std::uint32_t layers);

// binary16 or binary32.
bool is_half(std::string_view op);
// Root of a vector that is given as its little-endian bytes, of whole values.
Hash root_of_bytes(ByteView values, bool half);
// The first value of two vectors of one length that differs, if one does.
std::optional<Difference::Value> first_differing(ByteView ours, ByteView theirs, bool half);

}  // namespace assay::verify
