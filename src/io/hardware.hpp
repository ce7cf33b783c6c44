// What this machine says about itself: what a provider *claims* in its offer (a receipt shows it as
// claimed, never as proven). A value that cannot be read is unknown, never guessed.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"

namespace assay::io {

struct Gpu {
  std::string name;                         // as the driver says; a PCI id when it says none
  std::string driver;                       // "nvidia", "amdgpu", "i915", …
  std::optional<std::uint64_t> vram_bytes;  // only what the driver reports
};

struct Hardware {
  std::optional<std::string> cpu_model;
  unsigned logical_cpus = 0;  // this process may use; from the affinity mask
  std::optional<unsigned> physical_cores;
  std::vector<std::string>
      isa;  // of the sets that matter here: "avx2", "fma", "avx512f", "neon", …
  std::optional<std::uint64_t> memory_bytes;  // installed, or the cgroup's limit if lower
  std::vector<Gpu> gpus;
};

// `root` is where /proc and /sys are found: "" on a real machine, a folder in tests.
Hardware discover_hardware(const std::string& root = "");
json::object to_json(const Hardware& hardware);  // unknown values are null

}  // namespace assay::io
