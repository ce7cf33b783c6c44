// Writes spec/vectors/canon/*.json (with ASSAY_WRITE_VECTORS=1), else recomputes them and compares
// byte for byte. Floats are the hex of their bits; arrays of bytes are hex strings.
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "canon/attention.hpp"
#include "canon/canon_testutil.hpp"
#include "canon/elementary.hpp"
#include "canon/fp16.hpp"
#include "canon/layer.hpp"
#include "canon/q8.hpp"
#include "canon/rope.hpp"

namespace assay::canon {
namespace {

using test::Random;

json::value hex(float x) { return json::value(fmt::format("{:08x}", test::bits(x))); }
json::value hex(std::uint16_t x) { return json::value(fmt::format("{:04x}", x)); }

template <class T>
json::value hex_array(const std::vector<T>& values) {
  json::array out;
  for (T v : values) out.push_back(hex(v));
  return out;
}

json::value hex_bytes(const std::vector<std::int8_t>& q) {
  return json::value(to_hex_bare({reinterpret_cast<const std::uint8_t*>(q.data()), q.size()}));
}

void check(const std::string& name, const json::array& cases) {
  const std::filesystem::path path =
      std::filesystem::path(ASSAY_SOURCE_DIR) / "spec/vectors/canon" / (name + ".json");
  json::object file;
  file["canon"] = 0;
  file["operation"] = name;
  file["cases"] = cases;
  const std::string text = json::dump_pretty(file) + "\n";
  if (const char* write = std::getenv("ASSAY_WRITE_VECTORS"); write && *write == '1') {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  std::ifstream in(path, std::ios::binary);
  const std::string committed{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(committed, text) << path << " differs: the canon changed, or it was never written";
}

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
  check("to_fp16", cases);
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
  check("exp", exps);
  check("log", logs);
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
  check("q8_activations", cases);
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
  check("row_products", cases);
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
  check("rms_norm", norms);
  check("swiglu", gates);
}

TEST(Vectors, Rope) {
  json::array cases;
  for (const auto& [head_dim, base] : {std::pair{8u, 1e4f}, {64u, 5e5f}}) {
    const std::uint32_t positions = 4097;
    std::vector<float> table(std::size_t{positions} * head_dim);
    rope_table(positions, head_dim, base, table);
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
  check("rope", cases);
}

TEST(Vectors, Attention) {
  Random random(7);
  json::array cases;
  for (const std::size_t n : {1, 5, 256, 258, 515}) {
    constexpr std::size_t dim = 4;
    auto q = random.hostile_values(dim, 8.0f);
    std::vector<std::uint16_t> k(n * dim), v(n * dim);
    for (auto& h : k) h = to_fp16(random.hostile(8.0f));
    for (auto& h : v) h = random.finite_half();
    std::vector<float> out(dim);
    ASSERT_TRUE(attend(q, {k.data(), dim, v.data(), dim}, n, out));
    cases.push_back(json::object{
        {"q", hex_array(q)}, {"k", hex_array(k)}, {"v", hex_array(v)}, {"out", hex_array(out)}});
  }
  check("attention", cases);
}

TEST(Vectors, Sampling) {
  Random random(8);
  json::array cases;
  for (std::uint32_t i = 0; i < 24; ++i) {
    std::vector<float> logits(i % 3 == 0 ? 300 : 20);
    for (float& v : logits) v = static_cast<float>(random.below(64)) * 0.25f - 8.0f;
    const Draw draw{i % 4 == 0 ? 0.0f : 0.25f * static_cast<float>(i % 5 + 1),
                    i % 2 == 0 ? 1.0f : 0.9f, 0x0123456789abcdefull * i, i * 1000};
    cases.push_back(json::object{{"logits", hex_array(logits)},
                                 {"temperature", hex(draw.temperature)},
                                 {"top_p", hex(draw.top_p)},
                                 {"seed", std::to_string(draw.seed)},
                                 {"position", draw.position},
                                 {"token", *sample(logits, draw)},
                                 {"gumbel_of_token_0", hex(gumbel(draw.seed, draw.position, 0))}});
  }
  check("sampling", cases);
}

}  // namespace
}  // namespace assay::canon
