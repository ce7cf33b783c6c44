#include <algorithm>
#include <string>

#include "engine/kernels/kernels.hpp"
#include "engine/kernels/lanes/product_panel.hpp"
#include "engine/kernels/self_check.hpp"
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace assay::engine {
namespace {

// Slowest first.
constexpr Isa kAll[] = {Isa::scalar,     Isa::avx2, Isa::avx512,
                        Isa::avx512vnni, Isa::neon, Isa::neondot};

bool machine_has(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return true;
#if defined(__x86_64__)
    // __builtin_cpu_supports asks cpuid and, by xgetbv, whether the system saves the registers.
    case Isa::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c");
    case Isa::avx512:
      return machine_has(Isa::avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq");
    case Isa::avx512vnni:
      return machine_has(Isa::avx512) && __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    case Isa::neon:
      return true;
    case Isa::neondot:
      return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
    default:
      return false;
  }
}

}  // namespace

std::span<const Isa> all_isas() { return kAll; }

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512vnni:
      return "avx512vnni";
    case Isa::neon:
      return "neon";
    case Isa::neondot:
      return "neondot";
  }
  return "unknown";
}

Result<Isa> parse_isa(std::string_view name) {
  for (Isa isa : all_isas()) {
    if (name != isa_name(isa)) continue;
    if (isa_available(isa)) return isa;
    const std::string failures = self_test_failures();
    return fail(
        Errc::unavailable,
        "instruction set {} is not available here ({}); use --isa {}, the answer is the same", name,
        failures.contains(fmt::format("{} is not used", name))
            ? "it failed its self-test, as assay bench shows"
            : "not built in, or not on this machine",
        isa_name(best_isa()));
  }
  return fail(Errc::invalid,
              "unknown instruction set '{}': use scalar, avx2, avx512, avx512vnni, neon or neondot",
              name);
}

const Kernels* find_kernels(Isa isa) {
  if (!machine_has(isa)) return nullptr;
  switch (isa) {
    case Isa::scalar:
      return scalar_kernels();
    case Isa::avx2:
      return avx2_kernels();
    case Isa::avx512:
      return avx512_kernels();
    case Isa::avx512vnni:
      return avx512vnni_kernels();
    case Isa::neon:
      return neon_kernels();
    case Isa::neondot:
      return neondot_kernels();
  }
  return nullptr;
}

bool isa_available(Isa isa) {
  return std::ranges::any_of(verdicts(),
                             [&](const Verdict& v) { return v.kernels->isa == isa && !v.failure; });
}

Isa best_isa() { return fastest(verdicts())->isa; }

// One unpacked segment and the totals of its rows, whatever the number of columns.
std::size_t product_scratch(std::uint32_t) { return sizeof(lanes::ProductScratch); }

std::size_t attention_scratch(std::uint32_t positions, std::uint32_t value_stride) {
  // Keys, values and scores of a segment; queries; m, l and o of every segment. Tiles of rows are
  // filled up to twice the widest vector.
  constexpr std::size_t rows = kAttentionRows + 32;
  const std::size_t segments = (positions + 255) / 256;
  return 256 * (std::size_t{2} * value_stride + 32) + rows * value_stride +
         rows * segments * (std::size_t{2} + value_stride);
}

}  // namespace assay::engine
