// The strict reader: one pass, every rule of RFC 8949 section 4.2.1 checked where it can be broken.
#include "protocol/cbor.hpp"

namespace assay::protocol::cbor {
namespace {

// The widths of section 3.3: half, single, double, by their bits.
struct Format {
  unsigned exponent_bits, fraction_bits;
  std::uint64_t exponent_max() const { return (1u << exponent_bits) - 1; }
  int bias() const { return static_cast<int>(exponent_max() >> 1); }
};
constexpr Format kHalf{5, 10}, kSingle{8, 23}, kDouble{11, 52};

// The binary64 bits of a narrower number's bits: always exact.
std::uint64_t widen(std::uint64_t bits, Format from) {
  const std::uint64_t sign = bits >> (from.exponent_bits + from.fraction_bits);
  std::uint64_t exponent = bits >> from.fraction_bits & from.exponent_max();
  std::uint64_t fraction = bits & ((1ull << from.fraction_bits) - 1);
  const unsigned shift = kDouble.fraction_bits - from.fraction_bits;
  const int rebias = kDouble.bias() - from.bias();
  if (exponent == from.exponent_max()) {
    exponent = kDouble.exponent_max();
  } else if (exponent != 0) {
    exponent += static_cast<std::uint64_t>(rebias);
  } else if (fraction != 0) {  // subnormal there, normal here
    int value = 1 + rebias;
    while ((fraction & 1ull << from.fraction_bits) == 0) {
      fraction <<= 1;
      --value;
    }
    fraction &= (1ull << from.fraction_bits) - 1;
    exponent = static_cast<std::uint64_t>(value);
  }
  return sign << 63 | exponent << kDouble.fraction_bits | fraction << shift;
}

// The bits in a narrower format, where that loses nothing.
std::optional<std::uint64_t> narrow(std::uint64_t bits, Format to) {
  const std::uint64_t sign = bits >> 63 << (to.exponent_bits + to.fraction_bits);
  const int exponent = static_cast<int>(bits >> kDouble.fraction_bits & kDouble.exponent_max());
  std::uint64_t fraction = bits & ((1ull << kDouble.fraction_bits) - 1);
  unsigned shift = kDouble.fraction_bits - to.fraction_bits;
  std::uint64_t out = 0;
  if (exponent == static_cast<int>(kDouble.exponent_max())) {
    out = to.exponent_max() << to.fraction_bits | fraction >> shift;
  } else if (exponent != 0 || fraction != 0) {
    int moved = exponent - kDouble.bias() + to.bias();
    if (exponent == 0 || moved >= static_cast<int>(to.exponent_max())) return std::nullopt;
    if (moved <= 0) {  // subnormal there: the leading one becomes a bit of the fraction
      fraction |= 1ull << kDouble.fraction_bits;
      shift += static_cast<unsigned>(1 - moved);
      moved = 0;
      if (shift > kDouble.fraction_bits) return std::nullopt;
    }
    out = static_cast<std::uint64_t>(moved) << to.fraction_bits | fraction >> shift;
  }
  if ((fraction & ((1ull << shift) - 1)) != 0) return std::nullopt;
  return sign | out;
}

class Decoder {
 public:
  Decoder(ByteView in, const Limits& limits) : in_(in), limits_(limits) {}

  Result<Value> whole() {
    if (in_.size() > limits_.bytes)
      return fail(Errc::invalid, "CBOR of {} bytes: at most {} are read", in_.size(),
                  limits_.bytes);
    TRY(Value out, value(0));
    if (at_ != in_.size()) return bad("bytes behind the value");
    return out;
  }

 private:
  std::unexpected<Error> bad(std::string_view rule) const {
    return fail(Errc::invalid, "not deterministic CBOR at byte {}: {}", at_, rule);
  }

  // The argument of section 3, in its shortest form.
  Result<std::uint64_t> argument(unsigned low) {
    if (low < 24) return low;
    if (low == 31) return bad("indefinite length");
    if (low > 27) return bad("a reserved length");
    const std::size_t width = 1u << (low - 24);
    if (in_.size() - at_ < width) return bad("it ends too early");
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < width; ++i) n = n << 8 | in_[at_ + i];
    const bool shorter = width == 1 ? n < 24 : n >> (width * 4) == 0;
    if (shorter) return bad("a number is not written in its shortest form");
    at_ += width;
    return n;
  }

  Result<Value> value(unsigned depth) {
    if (at_ == in_.size()) return bad("it ends too early");
    if (++items_ > limits_.items) return bad("too many items");
    const unsigned major = in_[at_] >> 5, low = in_[at_] & 31;
    ++at_;
    if (major == 7) return simple_or_floating(low);
    TRY(const std::uint64_t n, argument(low));
    if (major < 2) return Value{.kind = static_cast<Kind>(major), .number = n};
    if (major < 4) return string(static_cast<Kind>(major), n);
    if (depth == limits_.depth) return bad("nested too deeply");
    if (major == 6) return tagged(n, depth);
    // Every item takes a byte: no list is longer than what is left, whatever it claims.
    if (n > (in_.size() - at_) / (major == 5 ? 2 : 1)) return bad("it ends too early");
    if (n > limits_.items) return bad("too many items");
    return major == 4 ? list(n, depth) : entries(n, depth);
  }

  Result<Value> string(Kind kind, std::uint64_t size) {
    if (in_.size() - at_ < size) return bad("it ends too early");
    const ByteView data = in_.subspan(at_, size);
    if (kind == Kind::text && !is_utf8(data)) return bad("text is not valid UTF-8");
    at_ += size;
    return Value{.kind = kind, .number = 0, .data = Bytes(data.begin(), data.end())};
  }

  Result<Value> list(std::uint64_t count, unsigned depth) {
    Value out{.kind = Kind::array, .number = 0};
    for (std::uint64_t i = 0; i < count; ++i) {
      TRY(Value item, value(depth + 1));
      out.items.push_back(std::move(item));
    }
    return out;
  }

  Result<Value> entries(std::uint64_t count, unsigned depth) {
    Value out{.kind = Kind::map, .number = 0};
    ByteView before;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::size_t start = at_;
      TRY(Value key, value(depth + 1));
      const ByteView encoded = in_.subspan(start, at_ - start);
      if (i > 0 && !std::ranges::lexicographical_compare(before, encoded))
        return bad("the keys of a map do not ascend, or one repeats");
      before = encoded;
      TRY(Value item, value(depth + 1));
      out.items.push_back(std::move(key));
      out.items.push_back(std::move(item));
    }
    return out;
  }

  Result<Value> tagged(std::uint64_t number, unsigned depth) {
    TRY(Value item, value(depth + 1));
    if (number == 2 || number == 3) {  // section 3.4.3
      if (!item.is(Kind::bytes)) return bad("a bignum must be a byte string");
      if (item.data.size() <= 8) return bad("a bignum that fits 64 bits");
      if (item.data[0] == 0) return bad("a bignum with a leading zero");
    }
    return tag(number, std::move(item));
  }

  Result<Value> simple_or_floating(unsigned low) {
    if (low < 24) return Value{.kind = Kind::simple, .number = low};
    if (low == 24) {
      if (at_ == in_.size()) return bad("it ends too early");
      if (in_[at_] < 32) return bad("a simple value in two bytes below 32");
      return Value{.kind = Kind::simple, .number = in_[at_++]};
    }
    if (low > 27) return bad(low == 31 ? "a break without a beginning" : "a reserved value");
    const std::size_t start = at_ - 1, width = 1u << (low - 24);
    if (in_.size() - at_ < width) return bad("it ends too early");
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < width; ++i) bits = bits << 8 | in_[at_ + i];
    if (low < 27) bits = widen(bits, low == 25 ? kHalf : kSingle);
    if (!std::ranges::equal(encode_floating(bits), in_.subspan(start, 1 + width)))
      return bad("a floating-point number is not written in its shortest form");
    at_ += width;
    return Value{.kind = Kind::floating, .number = bits};
  }

  ByteView in_;
  const Limits& limits_;
  std::size_t at_ = 0, items_ = 0;
};

}  // namespace

Bytes encode_floating(std::uint64_t bits) {
  const bool nan = (bits >> 52 & 0x7ff) == 0x7ff && bits << 12 != 0;
  if (nan) return {0xf9, 0x7e, 0x00};  // the one NaN of section 4.2.2
  Bytes out;
  if (const auto half = narrow(bits, kHalf)) {
    out.push_back(0xf9);
    append_be(out, static_cast<std::uint16_t>(*half));
  } else if (const auto single = narrow(bits, kSingle)) {
    out.push_back(0xfa);
    append_be(out, static_cast<std::uint32_t>(*single));
  } else {
    out.push_back(0xfb);
    append_be(out, bits);
  }
  return out;
}

bool is_utf8(ByteView s) {
  for (std::size_t i = 0; i < s.size();) {
    const std::uint8_t first = s[i++];
    if (first < 0x80) continue;
    const unsigned more = first >= 0xc2 && first < 0xe0   ? 1
                          : first >= 0xe0 && first < 0xf0 ? 2
                          : first >= 0xf0 && first < 0xf5 ? 3
                                                          : 0;
    if (more == 0 || s.size() - i < more) return false;
    std::uint32_t point = first & (0x3fu >> more);
    for (unsigned k = 0; k < more; ++k) {
      if ((s[i] & 0xc0) != 0x80) return false;
      point = point << 6 | (s[i++] & 0x3fu);
    }
    if (more == 2 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) return false;
    if (more == 3 && (point < 0x10000 || point > 0x10ffff)) return false;
  }
  return true;
}

Result<Value> decode(ByteView encoded, const Limits& limits) {
  return Decoder(encoded, limits).whole();
}

}  // namespace assay::protocol::cbor
