// The AVX-512 tables of this folder, compiled against the emulation.
#pragma once
#include "engine/kernels/kernels.hpp"

namespace assay::engine {

// Null where the machine lacks the AVX2 that the 256-bit parts of these sources use.
const Kernels* emulated_avx512_kernels();
const Kernels* emulated_avx512vnni_kernels();

}  // namespace assay::engine
