// Tokens per second of prefill and decode. usage: assay_engine_bench [MODEL.gguf ...]
// Every figure is the median of 5 runs; decode continues a prefill of 512. In brackets the same per
// second of CPU time, which a busy machine disturbs less.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/session.hpp"

namespace {

using namespace assay;
using namespace assay::engine;

constexpr std::uint32_t kPrefill = 512, kDecode = 64;
constexpr int kRuns = 5;

ByteView map_file(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  struct stat info{};
  if (fd < 0 || ::fstat(fd, &info) != 0) return {};
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (data == MAP_FAILED) return {};
  return {static_cast<const std::uint8_t*>(data), size};  // until the process ends
}

struct Rates {
  std::vector<double> wall, cpu;
};

// Runs work over `tokens` tokens and adds its two rates.
void add_rate(Rates& rates, double tokens, const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu_start = std::clock();
  work();
  rates.cpu.push_back(tokens * CLOCKS_PER_SEC / static_cast<double>(std::clock() - cpu_start));
  rates.wall.push_back(
      tokens / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

double median(std::vector<double> v) {
  std::ranges::nth_element(v, v.begin() + static_cast<long>(v.size() / 2));
  return v[v.size() / 2];
}

void measure(const std::shared_ptr<const Model>& model, Isa isa, unsigned threads) {
  ThreadPool pool(threads);
  const std::uint32_t vocab = model->hyper().vocab,
                      prefill = std::min(kPrefill, model->hyper().context - kDecode);
  std::vector<Token> prompt;
  for (std::uint32_t i = 0; i < prefill; ++i) prompt.push_back((i * 37 + 5) % vocab);
  Rates prefill_rate, decode_rate, sampled_rate;
  Session keep(model, pool, isa, 1);  // holds the repacked weights between runs
  for (int run = 0; run < kRuns; ++run) {
    Session session(model, pool, isa, prefill + kDecode);
    add_rate(prefill_rate, prefill, [&] { session.run(prompt, prefill - 1, {}); });
    const auto decode = [&](Rates& rates, std::uint32_t count, const Sampling& sampling) {
      add_rate(rates, count, [&] {
        for (std::uint32_t i = 0; i < count; ++i) {
          const Token token = (i * 17 + 3) % vocab;
          session.run({&token, 1}, session.position(), sampling);
        }
      });
    };
    decode(decode_rate, kDecode / 2, {});
    decode(sampled_rate, kDecode / 2, {0.8f, 0.95f, 1});
  }
  const auto text = [](const Rates& r) {
    return fmt::format("{:.0f} ({:.0f})", median(r.wall), median(r.cpu));
  };
  fmt::print("{:8} {:7} {:>16} {:>16} {:>18}\n", isa_name(isa), threads, text(prefill_rate),
             text(decode_rate), text(sampled_rate));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<const char*> paths(argv + 1, argv + argc);
  if (paths.empty()) paths.push_back("models/tern-q8_0.gguf");
  for (const char* path : paths) {
    const auto model = Model::load(map_file(path));
    if (!model) {
      fmt::print(stderr, "{}: {}\n", path, model.error().message);
      return 1;
    }
    fmt::print("{}, tokens per second\n{:8} {:>7} {:>16} {:>16} {:>18}\n", path, "isa", "threads",
               fmt::format("prefill {}", kPrefill), "decode", "decode T 0.8 p .95");
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::neon})
      for (const unsigned threads : {1u, 2u})
        if (isa_available(isa)) measure(*model, isa, threads);
  }
  return 0;
}
