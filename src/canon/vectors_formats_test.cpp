// spec/vectors/canon: Q8K activations, products of K-quants, rows as numbers.
#include "canon/format.hpp"
#include "canon/fp16.hpp"
#include "canon/q8k.hpp"
#include "canon/vectors_testutil.hpp"

namespace assay::canon {
namespace {

using namespace test;

// Half the scales are hostile: zero, subnormal, largest, negative.
std::uint16_t scale_bits(Random& random) {
  constexpr std::uint16_t kHostile[] = {0x0000, 0x8000, 0x0001, 0x83ff, 0x7bff, 0xfbff, 0x0400};
  const std::uint16_t ordinary = random.finite_half();
  const std::uint32_t i = random.below(2 * std::size(kHostile));
  return i < std::size(kHostile) ? kHostile[i] : ordinary;
}

void put_half(Bytes& row, std::size_t at, std::uint16_t h) {
  row[at] = static_cast<std::uint8_t>(h), row[at + 1] = static_cast<std::uint8_t>(h >> 8);
}

// One block of any format; its quants and small scales are random, or all `fill`.
Bytes block_of(Format format, Random& random, std::optional<std::uint8_t> fill = {}) {
  Bytes out(info(format).block_bytes);
  for (auto& b : out) {
    const auto noise = static_cast<std::uint8_t>(random.bits());
    b = fill.value_or(noise);
  }
  const std::uint16_t d = scale_bits(random), dmin = scale_bits(random);
  switch (format) {
    case Format::f32:
      out.clear();
      append_le(out, bits(random.hostile(1e30f)));
      break;
    case Format::bf16:
      put_half(out, 0, static_cast<std::uint16_t>(bits(random.hostile(1e30f)) >> 16));
      break;
    case Format::q6_k:
      put_half(out, 208, d);
      break;
    case Format::q4_k:
    case Format::q5_k:
      put_half(out, 2, dmin);
      [[fallthrough]];
    default:
      put_half(out, 0, d);
  }
  return out;
}

TEST(Vectors, Q8kActivations) {
  Random random(41);
  json::array cases;
  const auto add = [&](const std::vector<float>& x) {
    std::vector<std::int8_t> q(x.size());
    std::vector<float> scale(x.size() / kSuperblock);
    json::object c{{"x", hex_array(x)}, {"fault", !quantize_q8k(x, q, scale)}};
    if (!c["fault"].as_bool()) {
      c["q"] = hex_bytes(q);
      c["scale"] = hex_array(scale);
    }
    cases.push_back(c);
  };
  add(random.hostile_values(512, 100.0f));
  for (const float largest : {1e-6f, 1e-3f, 1.0f, 1e6f, 3e38f})
    add(random.hostile_values(kSuperblock, largest));
  // Largest magnitudes: a scale of 1 (and ties), d at the borders of fp16's rounding, subnormal d
  // (quotients beyond 127), d = 0, overflow, negative zero only.
  for (const float largest :
       {127.0f, 127.0f * (1.0f + 0x1p-11f), 127.0f * (1.0f + 0x1.8p-10f), 127.0f * 0x1.4p-24f,
        127.0f * 0x1.8p-24f, 127.0f * 0x1p-25f, std::nextafter(127.0f * 0x1p-25f, 1.0f),
        127.0f * 65519.0f, 127.0f * 65520.0f, -0.0f}) {
    std::vector<float> x(kSuperblock);
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = (static_cast<float>(i) - 127.5f) * (1.0f / 128.0f) * largest;
    x[0] = -largest;
    if (largest == 127.0f)
      for (std::size_t i = 1; i < x.size(); ++i) x[i] = static_cast<float>(i / 2) - 63.5f;
    add(x);
  }
  // Ties that only a division sees: odd multiples of d / 2, 1 / d inexact.
  for (const float d : {0x1.f94p-3f, 0x1.e8p+1f}) {
    std::vector<float> x(kSuperblock);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = (static_cast<float>(i / 2) - 63.5f) * d;
    x[0] = 127.0f * d;
    add(x);
  }
  check_vectors("q8k_activations", cases);
}

TEST(Vectors, KProducts) {
  Random random(42);
  json::array cases;
  const auto add = [&](Format format, const Bytes& row, const std::vector<std::int8_t>& q,
                       const std::vector<float>& scale) {
    const float y = row_product(format, row.data(), q.size(), {.q8k = q, .q8k_scale = scale});
    cases.push_back(json::object{{"format", info(format).name},
                                 {"row", to_hex_bare(row)},
                                 {"q", hex_bytes(q)},
                                 {"scale", hex_array(scale)},
                                 {"y", hex(y)}});
  };
  for (const Format format : {Format::q4_k, Format::q5_k, Format::q6_k}) {
    for (const std::size_t blocks : {1, 1, 1, 2, 3, 5}) {
      Bytes row;
      std::vector<std::int8_t> q(blocks * kSuperblock);
      std::vector<float> scale(blocks);
      for (std::size_t b = 0; b < blocks; ++b) append(row, block_of(format, random));
      for (auto& v : q) v = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
      for (float& s : scale) s = std::fabs(from_fp16(scale_bits(random)));
      add(format, row, q, scale);
    }
    // Scales of one size, as models have them: every superblock counts, every rounding shows.
    for (const std::size_t blocks : {1, 1, 1, 1, 1, 1, 2, 3, 4}) {
      Bytes row;
      std::vector<std::int8_t> q(blocks * kSuperblock);
      std::vector<float> scale(blocks);
      for (std::size_t b = 0; b < blocks; ++b) {
        Bytes block = block_of(format, random);
        put_half(block, format == Format::q6_k ? 208 : 0, to_fp16(0.01f * (1.5f + random.unit())));
        if (format != Format::q6_k) put_half(block, 2, to_fp16(0.08f * (1.5f + random.unit())));
        append(row, block);
      }
      for (auto& v : q) v = static_cast<std::int8_t>(static_cast<int>(random.below(255)) - 127);
      for (float& s : scale) s = from_fp16(to_fp16(0.01f * (1.5f + random.unit())));
      add(format, row, q, scale);
    }
    // The largest integers there are, odd ones too: beyond 2^24 their conversion rounds.
    for (const std::uint8_t fill : Bytes{0x00, 0x80, 0xff, 0x7f})
      for (const int value : {127, -127}) {
        Bytes row = block_of(format, random, fill);
        put_half(row, format == Format::q6_k ? 208 : 0, 0x3555);
        std::vector<std::int8_t> q(kSuperblock, static_cast<std::int8_t>(value));
        for (std::size_t i = 0; i < 5; ++i) q[random.below(kSuperblock)] = 61;
        add(format, row, q, {0x1.554p-3f});
      }
  }
  check_vectors("k_products", cases);
}

TEST(Vectors, Dequantize) {
  Random random(43);
  json::array cases;
  for (const FormatInfo& f : formats())
    for (int i = 0; i < 3; ++i) {
      Bytes row;
      std::vector<float> values(std::max<std::size_t>(f.block_values, 16));
      for (std::size_t b = 0; b < values.size() / f.block_values; ++b)
        append(row, block_of(f.format, random));
      ASSERT_EQ(find_non_finite(f.format, row.data(), values.size()), std::nullopt);
      dequantize_row(f.format, row.data(), values);
      cases.push_back(json::object{
          {"format", f.name}, {"row", to_hex_bare(row)}, {"values", hex_array(values)}});
    }
  check_vectors("dequantize", cases);
}

}  // namespace
}  // namespace assay::canon
