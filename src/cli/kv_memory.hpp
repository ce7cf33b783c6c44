// --kv-memory, which several verbs have.
#pragma once
#include <cstddef>
#include <cstdint>

#include "io/hardware.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

// `mib` stays 0 where the flag is not given.
void add_kv_memory(CLI::App* verb, std::uint64_t& mib, const char* whose);

// What is not said is a quarter of the machine's memory, at least 64 MiB: weights are mapped, and
// others live here too.
std::uint64_t kv_memory_mib(std::uint64_t given, const io::Hardware& hardware);
std::size_t kv_memory_bytes(std::uint64_t given);  // on this machine

}  // namespace assay::cli
