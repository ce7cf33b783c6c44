// Weight products of every table that runs here: GOP/s of a prefill and GB/s of weights in decode,
// one thread by its CPU time, and the streaming-read bandwidth of the same run.
//   assay_product_bench [isa] [MB of weights, default 1024] [format]
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>
#include <vector>

#include "engine/kernels/kernels.hpp"

namespace assay::engine {
namespace {

double cpu_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <class F>
double best_of(int rounds, F f) {
  double best = 1e30;
  for (int i = 0; i < rounds; ++i) {
    const double begin = cpu_seconds();
    f();
    best = std::min(best, cpu_seconds() - begin);
  }
  return best;
}

struct Tokens {
  std::vector<float> x, scale;
  std::vector<std::int8_t> q;
  std::vector<std::int16_t> sums;
  Tokens(std::size_t tokens, std::size_t cols)
      : x(tokens * cols, 0.5f),
        scale(tokens * cols / 32, 0.01f),
        q(tokens * cols),
        sums(tokens * cols / 16, 100) {
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = static_cast<std::int8_t>(i * 37 % 255 - 127);
  }
  Activations view(std::size_t tokens) const {
    return {x.data(), q.data(), scale.data(), q.data(), scale.data(), sums.data(), tokens};
  }
};

// A mapping as a model file is one: ordinary pages.
struct Weights {
  explicit Weights(std::size_t n)
      : size(n),
        data(static_cast<std::uint8_t*>(mmap(nullptr, n, PROT_READ | PROT_WRITE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0))) {
    // Bytes 0x11…0x27 make finite scales in every format.
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::uint8_t>(17 + i * 7 % 23);
  }
  ~Weights() { munmap(data, size); }
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;
  std::size_t size;
  std::uint8_t* data;
};

double read_bandwidth(const Weights& weights) {
  std::uint64_t sum = 0;
  const double seconds = best_of(5, [&] {
    std::uint64_t s[8] = {};
    for (std::size_t i = 0; i + 64 <= weights.size; i += 64)
      for (std::size_t k = 0; k < 8; ++k) {
        std::uint64_t v;
        std::memcpy(&v, weights.data + i + 8 * k, 8);
        s[k] += v;
      }
    for (const std::uint64_t v : s) sum += v;
  });
  return sum == 42 ? 0 : static_cast<double>(weights.size) / seconds * 1e-9;
}

void measure(const Kernels& kernels, const Weights& weights, std::string_view format) {
  constexpr std::uint32_t kCols = 2048, kPrefillRows = 512, kTokens = 128;
  std::vector<std::byte> raw(product_scratch(kCols) + 64);
  auto* scratch = raw.data() + (64 - reinterpret_cast<std::uintptr_t>(raw.data()) % 64) % 64;
  const Tokens tokens(kTokens, kCols);
  for (const auto& f : canon::formats()) {
    if (!format.empty() && format != f.name) continue;
    const std::size_t row_bytes = kCols / f.block_values * f.block_bytes;
    const auto rows = static_cast<std::uint32_t>(weights.size / row_bytes / kRowGroup * kRowGroup);
    std::vector<float> y(std::max<std::size_t>(std::size_t{16} * rows, kTokens * kPrefillRows));
    const auto run = [&](std::uint32_t n, std::uint32_t count) {
      const Matrix w{f.format, n, kCols, weights.data, row_bytes};
      for (std::uint32_t r = 0; r < n; r += kRowGroup)
        kernels.product(w, r, r + kRowGroup, tokens.view(count), count, y.data(), n, scratch);
    };
    fmt::print("{:>10} {:5}", isa_name(kernels.isa), f.name);
    const double prefill = best_of(5, [&] { run(kPrefillRows, kTokens); });
    fmt::print("  prefill {:6.1f} GOP/s", 2e-9 * kPrefillRows * kCols * kTokens / prefill);
    const std::uint32_t part = std::min(rows, rows / 4 / kRowGroup * kRowGroup + kRowGroup);
    for (const std::uint32_t count : {2u, 4u, 8u, 16u}) {
      const double s = best_of(3, [&] { run(part, count); });
      fmt::print("  {} tok {:5.1f}", count, 2e-9 * part * kCols * count / s);
    }
    const double decode = best_of(3, [&] { run(rows, 1); });
    fmt::print("  decode {:5.1f} GB/s\n", 1e-9 * static_cast<double>(rows * row_bytes) / decode);
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace assay::engine

int main(int argc, char** argv) {
  using namespace assay::engine;
  const std::string_view only = argc > 1 ? argv[1] : "";
  const Weights weights((argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1024) << 20);
  fmt::print("streaming read {:.1f} GB/s\n", read_bandwidth(weights));
  for (const Isa isa : all_isas())
    if (const Kernels* kernels = find_kernels(isa);
        kernels && isa != Isa::scalar && (only.empty() || only == isa_name(isa)))
      measure(*kernels, weights, argc > 3 ? argv[3] : "");
  fmt::print("streaming read {:.1f} GB/s\n", read_bandwidth(weights));
}
