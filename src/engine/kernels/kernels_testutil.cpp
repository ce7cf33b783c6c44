#include "engine/kernels/kernels_testutil.hpp"

#if defined(__x86_64__)
#include "engine/kernels/avx512/emulated_testutil.hpp"
#endif

namespace assay::engine::test {

std::vector<Table> tables() {
  std::vector<Table> out;
  for (const Isa isa : all_isas())
    if (const Kernels* kernels = find_kernels(isa); kernels && isa != Isa::scalar)
      out.push_back({std::string(isa_name(isa)), kernels});
#if defined(__x86_64__)
  if (const Kernels* kernels = emulated_avx512_kernels())
    out.push_back({"avx512_emulated", kernels});
  if (const Kernels* kernels = emulated_avx512vnni_kernels())
    out.push_back({"avx512vnni_emulated", kernels});
#endif
  return out;
}

}  // namespace assay::engine::test
