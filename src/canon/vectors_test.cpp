// spec/vectors/canon: numbers, Q8 rows, the operations of a layer, sampling by temperature and
// top-p.
#include <gtest/gtest.h>

#include "canon/attention.hpp"
#include "canon/elementary.hpp"
#include "canon/fp16.hpp"
#include "canon/layer.hpp"
#include "canon/q8.hpp"
#include "canon/rope.hpp"
#include "canon/sampling.hpp"
#include "canon/vectors_testutil.hpp"

namespace assay::canon {
namespace {

using namespace test;

TEST(Vectors, Fp16) {
  Random random(1);
  json::array cases;
  std::vector<float> inputs{0.0f,         -0.0f,     1.0f,     65504.0f, 65519.996f,
                            65520.0f,     -65536.0f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f,
                            0x1.ffcp-15f, 2049.0f,   2051.0f};
  for (int i = 0; i < 50; ++i) inputs.push_back(random.hostile(7e4f));
  for (float x : inputs)
    cases.push_back(json::object{
        {"x", hex(x)}, {"fp16", hex(to_fp16(x))}, {"finite", fp16_finite(to_fp16(x))}});
  check_vectors("to_fp16", cases);
}

TEST(Vectors, Elementary) {
  Random random(2);
  json::array exps, logs;
  std::vector<float> xs{0.0f, -0.0f, -69.0f, -69.00001f, -0.34657f, -0.34658f, -1e-30f};
  for (int i = 0; i < 60; ++i) xs.push_back(-std::fabs(random.unit() * 70.0f));
  for (float x : xs) exps.push_back(json::object{{"x", hex(x)}, {"y", hex(exp(x))}});
  for (int i = 0; i < 60; ++i) {
    const float fraction = std::fabs(random.unit());
    const float x = std::ldexp(1.0f + fraction, static_cast<int>(random.below(28)) - 24);
    logs.push_back(json::object{{"x", hex(x)}, {"y", hex(log(x))}});
  }
  for (int exponent = 4; exponent <= 23; ++exponent)
    for (const float x :
         {std::ldexp(1.0f, exponent), std::ldexp(1.0f + std::fabs(random.unit()), exponent)})
      logs.push_back(json::object{{"x", hex(x)}, {"y", hex(log(x))}});
  for (int i = 0; i < 60; ++i) {
    const float x = 1.05f + 0.35f * random.unit();
    logs.push_back(json::object{{"x", hex(x)}, {"y", hex(log(x))}});
  }
  check_vectors("exp", exps);
  check_vectors("log", logs);
}

TEST(Vectors, Q8) {
  Random random(3);
  json::array cases;
  const auto add = [&](const std::vector<float>& x) {
    std::vector<std::int8_t> q(x.size());
    std::vector<float> scale(x.size() / kBlock);
    json::object c{{"x", hex_array(x)}, {"fault", !quantize_q8(x, q, scale)}};
    if (!c["fault"].as_bool()) {
      c["q"] = hex_bytes(q);
      c["scale"] = hex_array(scale);
    }
    cases.push_back(c);
  };
  for (const float largest : {1e-6f, 1e-3f, 1.0f, 1e6f, 3e38f})
    add(random.hostile_values(64, largest));
  std::vector<float> ties(32);
  for (std::size_t i = 0; i < 32; ++i) ties[i] = static_cast<float>(i) - 15.5f;
  ties[0] = 127.0f;
  add(ties);
  std::vector<float> ordinary(128);
  for (float& v : ordinary) v = random.unit() * 3.0f;
  add(ordinary);
  // A scale rounded down to a subnormal half: quotients beyond ±127.
  std::vector<float> beyond(32, -127.0f * 0x1.4p-24f);
  beyond[5] = 127.0f * 0x1.4p-24f;
  add(beyond);
  // Ties that only a division sees: odd multiples of d / 2, 1 / d inexact.
  std::vector<float> odd(32);
  for (std::size_t i = 0; i < odd.size(); ++i)
    odd[i] = (static_cast<float>(i) * 5.0f - 79.5f) * 0x1.f94p-3f;
  odd[0] = 127.0f * 0x1.f94p-3f;
  add(odd);
  check_vectors("q8_activations", cases);
}

TEST(Vectors, RowProducts) {
  Random random(4);
  json::array cases;
  for (const std::size_t blocks : {1, 8, 9, 17}) {
    auto x = random.hostile_values(blocks * kBlock, 100.0f);
    std::vector<std::int8_t> q(x.size());
    std::vector<float> scale(blocks);
    ASSERT_TRUE(quantize_q8(x, q, scale));
    Bytes q8, q4, f16;
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::uint16_t d = random.finite_half();
      append_le(q8, d);
      append_le(q4, d);
      for (int i = 0; i < 32; ++i)
        q8.push_back(static_cast<std::uint8_t>(i == 3 ? 0x80 : random.bits()));
      for (int i = 0; i < 16; ++i) q4.push_back(static_cast<std::uint8_t>(random.bits()));
      for (int i = 0; i < 32; ++i) append_le(f16, random.finite_half());
    }
    cases.push_back(json::object{{"x", hex_array(x)},
                                 {"q8_0", to_hex_bare(q8)},
                                 {"q8_0_y", hex(row_q8_0(q8.data(), q, scale))},
                                 {"q4_0", to_hex_bare(q4)},
                                 {"q4_0_y", hex(row_q4_0(q4.data(), q, scale))},
                                 {"f16", to_hex_bare(f16)},
                                 {"f16_y", hex(row_f16(f16.data(), x))},
                                 {"bf16_y", hex(row_bf16(f16.data(), x))}});
  }
  check_vectors("row_products", cases);
}

TEST(Vectors, Layer) {
  Random random(5);
  json::array norms, gates;
  for (const std::size_t n : {32, 256, 288, 600}) {
    const auto x = random.hostile_values(n, 1e3f), w = random.hostile_values(n, 2.0f);
    std::vector<float> y(n);
    ASSERT_TRUE(rms_norm(x, w, 1e-5f, y));
    norms.push_back(json::object{{"x", hex_array(x)},
                                 {"weight", hex_array(w)},
                                 {"epsilon", hex(1e-5f)},
                                 {"y", hex_array(y)}});
  }
  auto gate = random.hostile_values(64, 100.0f), up = random.hostile_values(64, 100.0f);
  std::vector<float> y(64);
  ASSERT_TRUE(swiglu(gate, up, y));
  gates.push_back(
      json::object{{"gate", hex_array(gate)}, {"up", hex_array(up)}, {"y", hex_array(y)}});
  check_vectors("rms_norm", norms);
  check_vectors("swiglu", gates);
}

TEST(Vectors, Rope) {
  json::array cases;
  for (const auto& [head_dim, base] : {std::pair{8u, 1e4f}, {64u, 5e5f}}) {
    const std::uint32_t positions = 4097;
    std::vector<float> table(std::size_t{positions} * head_dim);
    rope_table(positions, head_dim, base, {}, 1.0f, table);
    for (const std::uint32_t p : {0u, 1u, 2u, 1000u, 4096u}) {
      const std::vector<float> row(table.begin() + p * head_dim,
                                   table.begin() + (p + 1) * head_dim);
      Random random(p + head_dim);
      std::vector<float> head = random.hostile_values(head_dim, 10.0f), rotated = head;
      rope_rotate(rotated, row);
      cases.push_back(json::object{{"head_dim", head_dim},
                                   {"base", hex(base)},
                                   {"position", p},
                                   {"row", hex_array(row)},
                                   {"head", hex_array(head)},
                                   {"rotated", hex_array(rotated)}});
    }
  }
  check_vectors("rope", cases);
}

TEST(Vectors, Attention) {
  Random random(7);
  json::array cases;
  const auto add = [&](std::size_t dim, std::size_t n) {
    auto q = random.hostile_values(dim, 8.0f);
    std::vector<std::uint16_t> k(n * dim), v(n * dim);
    for (auto& h : k) h = to_fp16(random.hostile(8.0f));
    for (auto& h : v) h = random.finite_half();
    std::vector<float> out(dim);
    ASSERT_TRUE(attend(q, {k.data(), dim, v.data(), dim}, n, out));
    cases.push_back(json::object{
        {"q", hex_array(q)}, {"k", hex_array(k)}, {"v", hex_array(v)}, {"out", hex_array(out)}});
  };
  for (const std::size_t n : {1, 5, 256, 258, 515}) add(4, n);
  for (const std::size_t n : {3, 20, 40}) add(8, n);  // a scale that is no power of two
  check_vectors("attention", cases);
}

TEST(Vectors, Sampling) {
  Random random(8);
  json::array cases;
  for (std::uint32_t i = 0; i < 24; ++i) {
    std::vector<float> logits(i % 3 == 0 ? 300 : 20);
    for (float& v : logits) v = static_cast<float>(random.below(64)) * 0.25f - 8.0f;
    const Draw draw{.temperature = i % 4 == 0 ? 0.0f : 0.25f * static_cast<float>(i % 5 + 1),
                    .top_p = i % 2 == 0 ? 1.0f : 0.9f,
                    .seed = 0x0123456789abcdefull * i,
                    .position = i * 1000};
    cases.push_back(json::object{{"logits", hex_array(logits)},
                                 {"temperature", hex(draw.temperature)},
                                 {"top_p", hex(draw.top_p)},
                                 {"seed", std::to_string(draw.seed)},
                                 {"position", draw.position},
                                 {"token", *sample(logits, draw)},
                                 {"gumbel_of_token_0", hex(gumbel(draw.seed, draw.position, 0))}});
  }
  check_vectors("sampling", cases);
}

}  // namespace
}  // namespace assay::canon
