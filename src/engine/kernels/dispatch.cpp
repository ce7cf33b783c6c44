#include <string>

#include "engine/kernels/kernels.hpp"
#include "engine/session.hpp"

namespace assay::engine {
namespace {

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
#endif
    default:
      return false;
  }
}

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::neon:
      return "neon";
  }
  return "unknown";
}

Result<Isa> parse_isa(std::string_view name) {
  for (Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::neon}) {
    if (name != isa_name(isa)) continue;
    if (isa_available(isa)) return isa;
    return fail(Errc::unavailable,
                "instruction set {} is not available here (not built in, or not on this machine); "
                "use --isa {}, the answer is the same",
                name, isa_name(best_isa()));
  }
  return fail(Errc::invalid, "unknown instruction set '{}': use scalar, avx2, avx512 or neon",
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
    default:
      return nullptr;
  }
}

bool isa_available(Isa isa) { return find_kernels(isa) != nullptr; }

// AVX-512 is on request only until its kernels have run on such a machine.
Isa best_isa() { return isa_available(Isa::avx2) ? Isa::avx2 : Isa::scalar; }

std::size_t attention_scratch(std::uint32_t positions, std::uint32_t value_stride) {
  const std::size_t segments = (positions + 255) / 256;
  return kAttentionRows * (256 + segments * (2 + value_stride)) + 16;
}

}  // namespace assay::engine
