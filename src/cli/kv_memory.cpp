#include "cli/kv_memory.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace assay::cli {

void add_kv_memory(CLI::App* verb, std::uint64_t& mib, const char* whose) {
  verb->add_option("--kv-memory", mib,
                   fmt::format("MiB for the KV cache{} (default: a quarter of the memory)", whose))
      ->check(CLI::Range(1, 1 << 24));
}

std::uint64_t kv_memory_mib(std::uint64_t given, const io::Hardware& hardware) {
  constexpr std::uint64_t kUnknown = std::uint64_t{1} << 30;
  if (given > 0) return given;
  return std::max<std::uint64_t>(hardware.memory_bytes.value_or(kUnknown) / 4 >> 20, 64);
}

std::size_t kv_memory_bytes(std::uint64_t given) {
  return static_cast<std::size_t>(kv_memory_mib(given, io::discover_hardware()) << 20);
}

}  // namespace assay::cli
