// Attention alone, TinyLlama's shape (32 heads, 4 KV heads of 64, 22 layers), every table of this
// machine: CPU time of one thread, so other load matters little. attention_bench [table]
#include <cstdlib>
#include <fmt/format.h>
#include <string_view>
#include <time.h>
#include <vector>

#include "canon/attention.hpp"
#include "canon/fp16.hpp"
#include "canon/fp_environment.hpp"
#include "engine/kernels/kernels.hpp"

using namespace assay;
using namespace assay::engine;

namespace {

constexpr std::uint32_t kHeadDim = 64, kSharing = 8, kKvHeads = 4, kLayers = 22, kLongest = 8192;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Bench {
  std::vector<std::uint16_t> memory;
  std::vector<std::vector<const std::uint16_t*>> pages;  // [layer][page], in random order
  std::vector<float> q, out;
  std::vector<std::uint8_t> fault;
  float* scratch;

  Bench() {
    const std::size_t page = 2ul * kKvHeads * kPagePositions * kHeadDim;
    const std::size_t count = kLayers * kLongest / kPagePositions;
    memory.resize(page * count);
    std::uint32_t state = 1;
    const auto next = [&] { return state = state * 1664525u + 1013904223u; };
    for (auto& h : memory) h = canon::to_fp16(static_cast<float>(next() >> 8) * 0x1p-23f - 1.0f);
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[next() % i]);
    pages.resize(kLayers);
    for (std::size_t i = 0; i < count; ++i) pages[i % kLayers].push_back(&memory[order[i] * page]);
    q.resize(kAttentionRows * kHeadDim);
    for (float& x : q) x = static_cast<float>(next() >> 8) * 0x1p-21f - 4.0f;
    out.resize(q.size());
    fault.resize(kAttentionRows);
    scratch = static_cast<float*>(
        std::aligned_alloc(64, (attention_scratch(kLongest, kHeadDim) * 4 + 63) / 64 * 64));
  }
  ~Bench() { std::free(scratch); }

  // Rows of consecutive tokens, the last of which sees `positions`.
  void run(const Kernels& kernels, std::uint32_t layer, std::uint32_t kv_head, std::uint32_t rows,
           std::uint32_t positions) {
    AttentionRow list[kAttentionRows];
    for (std::uint32_t r = 0; r < rows; ++r)
      list[r] = {&q[r * kHeadDim], &out[r * kHeadDim], positions - (rows - 1 - r) / kSharing,
                 &fault[r]};
    const std::size_t keys = std::size_t{kv_head} * kPagePositions * kHeadDim;
    kernels.attend(list, rows,
                   {pages[layer].data(), keys, keys + kKvHeads * kPagePositions * kHeadDim,
                    kHeadDim, kHeadDim},
                   canon::attention_scale(kHeadDim), scratch);
  }
};

void measure(Bench& bench, const Kernels& kernels) {
  for (const std::uint32_t prompt : {512u, 8192u}) {
    // A sample of the units of a whole prefill; every layer is the same work.
    double work = 0;
    const double start = cpu_seconds();
    do {
      for (std::uint32_t i = 1; i <= 16; ++i) {
        const std::uint32_t positions = prompt * (2 * i - 1) / 32;
        bench.run(kernels, i % kLayers, i % kKvHeads, kAttentionRows, positions);
        work += 2.0 * kAttentionRows * positions * kHeadDim;
      }
    } while (cpu_seconds() - start < 0.5);
    fmt::print("{:12} prefill {:5}: {:6.1f} Gfma/s\n", isa_name(kernels.isa), prompt,
               work / (cpu_seconds() - start) * 1e-9);
  }
  for (const std::uint32_t context : {512u, 2048u, 8192u}) {
    double bytes = 0, tokens = 0;
    const double start = cpu_seconds();
    do {
      for (std::uint32_t layer = 0; layer < kLayers; ++layer)
        for (std::uint32_t head = 0; head < kKvHeads; ++head) {
          bench.run(kernels, layer, head, kSharing, context);
          bytes += 2.0 * 2.0 * context * kHeadDim;
        }
      ++tokens;
    } while (cpu_seconds() - start < 0.5);
    const double seconds = cpu_seconds() - start;
    fmt::print("{:12} decode  {:5}: {:6.1f} GB/s {:6.1f} Gfma/s {:7.2f} ms/token\n",
               isa_name(kernels.isa), context, bytes / seconds * 1e-9,
               bytes / 2 * kSharing / seconds * 1e-9, 1e3 * seconds / tokens);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const canon::FpEnvironment environment;
  Bench bench;
  for (const Isa isa : all_isas()) {
    if (argc > 1 ? isa_name(isa) != std::string_view(argv[1]) : isa == Isa::scalar) continue;
    if (const Kernels* kernels = find_kernels(isa)) measure(bench, *kernels);
  }
}
