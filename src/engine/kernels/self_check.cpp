#include "engine/kernels/self_check.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>

#include "canon/attention.hpp"
#include "canon/fp16.hpp"
#include "canon/fp_environment.hpp"
#include "engine/kernels/quantized.hpp"
#include "engine/kernels/scratch.hpp"

namespace assay::engine {
namespace {

// Finite floats of every kind, the same ones everywhere.
class Numbers {
 public:
  std::uint32_t bits() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::uint32_t>(z >> 32);
  }
  std::uint32_t below(std::uint32_t n) { return bits() % n; }
  float next(float largest) {
    const float unit = static_cast<float>(static_cast<std::int32_t>(bits())) * 0x1p-31f;
    switch (below(10)) {
      case 0:
        return -0.0f;
      case 1:
        return std::bit_cast<float>(bits() & 0x807fffffu);  // subnormal
      case 2:
        return static_cast<float>(static_cast<int>(below(255)) - 127) * 0.5f;  // ties
      case 3:
        return unit * 0x1p-24f;
      case 4:
        return unit * largest;
      default:
        return unit;
    }
  }
  std::vector<float> some(std::size_t n, float largest) {
    std::vector<float> out(n);
    for (float& x : out) x = next(largest);
    return out;
  }
  std::uint16_t half() {
    const auto h = static_cast<std::uint16_t>(bits());
    return canon::fp16_finite(h) ? h : static_cast<std::uint16_t>(h & 0x83ffu);
  }

 private:
  std::uint64_t state_ = 0;
};

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// One run of the test: `bad` is the first difference.
class Run {
 public:
  explicit Run(const Kernels& kernels) : kernels_(kernels) {}

  std::optional<std::string> all() {
    const canon::FpEnvironment environment;
    for (const std::size_t n : {1u, 7u, 32u, 300u, 2304u})
      for (const float largest : {1.0f, 1e4f, 1e38f}) elementwise(n, largest);
    for (const std::size_t n : {2u, 24u, 64u, 130u}) rope(n);
    for (const std::size_t n : {256u, 768u})
      for (const float largest : {1e-30f, 1.0f, 1e5f, 1e30f}) quantize(numbers_.some(n, largest));
    std::vector<float> ties(512);  // 127 makes the scale 1 and every half a tie
    for (std::size_t i = 0; i < ties.size(); ++i)
      ties[i] = i % 32 == 0 ? 127.0f : 0.5f * static_cast<float>(numbers_.below(507)) - 126.5f;
    quantize(ties);
    for (const canon::FormatInfo& format : canon::formats())
      for (const std::uint32_t tokens : {1u, 2u, 7u}) product(format, 40, tokens);
    for (const std::uint32_t rows : {7u, 15u, 25u}) {  // every shape of every table
      attend(rows, 16, 250);
      attend(rows, 48, 30);
    }
    return std::move(bad_);
  }

 private:
  void expect(bool equal, std::string_view what, std::size_t n) {
    if (!equal && !bad_) bad_ = fmt::format("{} of {} values differs from the scalar one", what, n);
  }

  void elementwise(std::size_t n, float largest) {
    const auto a = numbers_.some(n, largest), b = numbers_.some(n, largest);
    std::vector<float> y(n), z(n);
    bool ok = scalar_.swiglu(a.data(), b.data(), n, y.data());
    expect(ok == kernels_.swiglu(a.data(), b.data(), n, z.data()) && (!ok || same(y, z)), "swiglu",
           n);
    ok = scalar_.rms_norm(a.data(), b.data(), n, 1e-5f, y.data());
    expect(ok == kernels_.rms_norm(a.data(), b.data(), n, 1e-5f, z.data()) && (!ok || same(y, z)),
           "rms_norm", n);
    y = z = a;
    ok = scalar_.add(y.data(), b.data(), n);
    expect(ok == kernels_.add(z.data(), b.data(), n) && (!ok || same(y, z)), "add", n);
    std::vector<std::uint16_t> h(n), g(n);
    ok = scalar_.to_fp16(a.data(), n, h.data());
    expect(ok == kernels_.to_fp16(a.data(), n, g.data()) && (!ok || same(h, g)), "to_fp16", n);
    std::uint32_t at = 0, also_at = 0;
    expect(scalar_.arg_max(a.data(), n, &at) && kernels_.arg_max(a.data(), n, &also_at) &&
               at == also_at,
           "arg_max", n);
    scalar_.exp_below(a.data(), n, a[at], y.data());
    kernels_.exp_below(a.data(), n, a[at], z.data());
    expect(same(y, z), "exp_below", n);
    // Ties: the same largest value in other places, and zeros of both signs.
    z = a;
    for (int i = 0; i < 3; ++i) z[numbers_.below(static_cast<std::uint32_t>(n))] = a[at];
    for (float& v : y) v = numbers_.below(2) == 0 ? -0.0f : 0.0f;
    for (const auto& tied : {y, z})
      expect(scalar_.arg_max(tied.data(), n, &at) && kernels_.arg_max(tied.data(), n, &also_at) &&
                 at == also_at,
             "arg_max", n);
    z = a;
    expect(kernels_.all_finite(z.data(), n), "all_finite", n);
    for (const std::uint32_t bits : {0x7f800000u, 0xff800000u, 0x7fc00000u}) {
      z = a;
      z[numbers_.below(static_cast<std::uint32_t>(n))] = std::bit_cast<float>(bits);
      expect(!kernels_.all_finite(z.data(), n), "all_finite", n);
      expect(!kernels_.arg_max(z.data(), n, &at), "arg_max", n);
      expect(!kernels_.to_fp16(z.data(), n, g.data()), "to_fp16", n);
      expect(!kernels_.swiglu(z.data(), b.data(), n, y.data()), "swiglu", n);
      expect(!kernels_.swiglu(b.data(), z.data(), n, y.data()), "swiglu", n);
      expect(!kernels_.rms_norm(z.data(), b.data(), n, 1e-5f, y.data()), "rms_norm", n);
      y = b;
      expect(!kernels_.add(y.data(), z.data(), n), "add", n);
    }
  }

  void rope(std::size_t n) {
    const auto row = numbers_.some(n, 1.0f), head = numbers_.some(n, 1e10f);
    auto y = head, z = head;
    scalar_.rope_neighbours(y.data(), row.data(), n);
    kernels_.rope_neighbours(z.data(), row.data(), n);
    expect(same(y, z), "rope of neighbours", n);
    y = z = head;
    scalar_.rope_halves(y.data(), row.data(), n);
    kernels_.rope_halves(z.data(), row.data(), n);
    expect(same(y, z), "rope of halves", n);
  }

  // Between what a value is and how this table keeps it.
  void flip(std::vector<std::int8_t>& q) const {
    for (auto& v : q) v = static_cast<std::int8_t>(v ^ kernels_.q8_flip);
  }

  void quantize(const std::vector<float>& x) {
    const std::size_t n = x.size();
    std::vector<std::int8_t> q(n), p(n);
    std::vector<float> d(n / 32), e(n / 32);
    bool ok = scalar_.quantize_q8(x.data(), n, q.data(), d.data());
    const bool also = kernels_.quantize_q8(x.data(), n, p.data(), e.data());
    flip(p);
    expect(ok == also && (!ok || (same(q, p) && same(d, e))), "quantize_q8", n);
    std::vector<std::int16_t> sums(n / 16), totals(n / 16);
    d.assign(n / 256, 0.0f), e.assign(n / 256, 0.0f);
    ok = scalar_.quantize_q8k(x.data(), n, q.data(), d.data(), sums.data());
    expect(ok == kernels_.quantize_q8k(x.data(), n, p.data(), e.data(), totals.data()) &&
               (!ok || (same(q, p) && same(d, e) && same(sums, totals))),
           "quantize_q8k", n);
  }

  void product(const canon::FormatInfo& format, std::uint32_t rows, std::uint32_t tokens) {
    const std::uint32_t cols = format.activation == canon::Activation::q8 ? 288 : 512;
    Matrix w{format.format, rows, cols, nullptr, cols / format.block_values * format.block_bytes};
    std::vector<std::uint8_t> data(rows * w.row_bytes + 1);
    for (auto& byte : data)
      byte = static_cast<std::uint8_t>(numbers_.below(6) == 0 ? 0x80 : numbers_.bits());
    w.data = data.data() + 1;
    for (std::uint32_t r = 0; r < rows; ++r)  // small odds that a block is not finite: none stays
      while (const auto block =
                 canon::find_non_finite(format.format, w.data + r * w.row_bytes, cols))
        std::memset(data.data() + 1 + r * w.row_bytes + *block * format.block_bytes,
                    static_cast<int>(numbers_.below(0x70)), format.block_bytes);
    const auto x = numbers_.some(std::size_t{tokens} * cols, 10.0f);
    // Both quantizers are compared on their own.
    Quantized mine, other;
    for (Quantized* q : {&mine, &other}) q->resize(tokens, cols);
    for (std::uint32_t t = 0; t < tokens; ++t) {
      mine.row(scalar_, format.activation, t, tokens, &x[t * cols], cols);
      other.row(kernels_, format.activation, t, tokens, &x[t * cols], cols);
    }
    std::vector<float> y(std::size_t{tokens} * rows), z(y.size());
    scalar_.product(w, 0, rows, mine.view(x.data(), tokens), tokens, y.data(), rows, nullptr);
    kernels_.product(w, 0, rows, other.view(x.data(), tokens), tokens, z.data(), rows,
                     thread_scratch(product_scratch(cols)));
    if (!same(y, z) && !bad_)
      bad_ = fmt::format("the product of {} rows of {} with {} tokens differs from the scalar one",
                         rows, format.name, tokens);
  }

  // Rows of three heads; the first token sees `positions`.
  void attend(std::uint32_t rows, std::uint32_t head_dim, std::uint32_t positions) {
    const std::uint32_t longest = positions + (rows - 1) / 3;
    const std::uint32_t count = (longest + kPagePositions - 1) / kPagePositions;
    const std::uint32_t lanes = kernels_.key_lanes, stride = (head_dim + 15) / 16 * 16;
    const std::size_t keys = std::size_t{kPagePositions} * head_dim,
                      page = keys + std::size_t{kPagePositions} * stride;
    std::vector<std::uint16_t> plain(count * page);
    for (auto& h : plain) h = numbers_.half();
    for (std::uint32_t p = 0; p < count; ++p)  // scores stay finite
      for (std::size_t i = 0; i < keys; ++i)
        plain[p * page + i] = canon::to_fp16(numbers_.next(4.0f));
    auto transposed = plain;
    std::vector<const std::uint16_t*> pages(count), lane_pages(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      for (std::uint32_t p = 0; p < kPagePositions; ++p)
        for (std::uint32_t d = 0; d < head_dim; ++d)
          transposed[i * page + (p / lanes * head_dim + d) * lanes + p % lanes] =
              plain[i * page + p * head_dim + d];
      pages[i] = &plain[i * page];
      lane_pages[i] = &transposed[i * page];
    }
    const auto q = numbers_.some(std::size_t{rows} * head_dim, 3.0f);
    std::vector<float> y(q.size()), z(q.size());
    std::vector<std::uint8_t> fault(rows, 0), other_fault(rows, 0);
    std::vector<AttentionRow> a, b;
    for (std::uint32_t r = 0; r < rows; ++r) {
      const std::size_t at = std::size_t{r} * head_dim;
      a.push_back({&q[at], &y[at], positions + r / 3, &fault[r]});
      b.push_back({&q[at], &z[at], positions + r / 3, &other_fault[r]});
    }
    auto* scratch = reinterpret_cast<float*>(
        thread_scratch(attention_scratch(longest, stride) * sizeof(float)));
    const float scale = canon::attention_scale(head_dim);
    scalar_.attend(a.data(), rows, {pages.data(), 0, keys, head_dim, stride}, scale, nullptr);
    kernels_.attend(b.data(), rows, {lane_pages.data(), 0, keys, head_dim, stride}, scale, scratch);
    if ((!same(y, z) || !same(fault, other_fault)) && !bad_)
      bad_ = fmt::format("attention of {} rows of width {} differs from the scalar one", rows,
                         head_dim);
  }

  const Kernels& kernels_;
  const Kernels& scalar_ = *scalar_kernels();
  Numbers numbers_;
  std::optional<std::string> bad_;
};

}  // namespace

std::optional<std::string> self_test(const Kernels& kernels) { return Run(kernels).all(); }

std::vector<Verdict> judge(std::span<const Kernels* const> tables) {
  std::vector<Verdict> out;
  for (const Kernels* kernels : tables)
    out.push_back({kernels, kernels->isa == Isa::scalar ? std::nullopt : self_test(*kernels)});
  return out;
}

const Kernels* fastest(std::span<const Verdict> verdicts) {
  const Kernels* best = scalar_kernels();
  for (const Verdict& v : verdicts)
    if (!v.failure) best = v.kernels;
  return best;
}

std::span<const Verdict> verdicts() {
  static const std::vector<Verdict> judged = [] {
    std::vector<const Kernels*> tables;
    for (const Isa isa : all_isas())
      if (const Kernels* kernels = find_kernels(isa)) tables.push_back(kernels);
    return judge(tables);
  }();
  return judged;
}

std::string self_test_failures() {
  std::string out;
  for (const Verdict& v : verdicts())
    if (v.failure) out += fmt::format("{} is not used: {}\n", isa_name(v.kernels->isa), *v.failure);
  return out;
}

}  // namespace assay::engine
