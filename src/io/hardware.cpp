#include "io/hardware.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <sched.h>
#include <set>
#include <sstream>

#include "io/files.hpp"

namespace assay::io {
namespace {

namespace fs = std::filesystem;

// As the kernel names them, and as we do.
struct IsaName {
  std::string_view kernel, ours;
};
constexpr IsaName kIsa[] = {
    {"sse4_2", "sse4.2"},
    {"avx", "avx"},
    {"avx2", "avx2"},
    {"fma", "fma"},
    {"f16c", "f16c"},
    {"avx_vnni", "avx_vnni"},
    {"avx512f", "avx512f"},
    {"avx512bw", "avx512bw"},
    {"avx512dq", "avx512dq"},
    {"avx512vl", "avx512vl"},
    {"avx512_vnni", "avx512_vnni"},
    {"amx_int8", "amx_int8"},
    {"sha_ni", "sha_ni"},
    {"asimd", "neon"},
    {"asimddp", "dotprod"},
    {"i8mm", "i8mm"},
    {"sve", "sve"},
};

std::string_view trim(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  return text;
}

// "" when the file is not there or cannot be read.
std::string content(const std::string& path) {
  auto text = read_file(path, 8u << 20);
  return text ? std::string(trim(*text)) : std::string();
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return out;
}

// Calls f(key, value) for the "key : value" lines of /proc files.
template <class F>
void each_field(const std::string& text, F f) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view all = line;
    f(trim(all.substr(0, colon)), trim(all.substr(colon + 1)));
  }
}

std::vector<fs::path> entries(const std::string& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    out.push_back(it->path());
  std::ranges::sort(out);
  return out;
}

void read_cpu(const std::string& root, Hardware& out) {
  std::set<std::pair<std::string, std::string>> cores;
  std::set<std::string, std::less<>> flags;
  std::string package;
  each_field(content(root + "/proc/cpuinfo"), [&](std::string_view key, std::string_view value) {
    if (key == "model name" && !out.cpu_model && !value.empty()) out.cpu_model = value;
    if (key == "physical id") package = value;
    if (key == "core id") cores.emplace(package, value);
    if ((key == "flags" || key == "Features") && flags.empty()) {
      std::istringstream words{std::string(value)};
      for (std::string word; words >> word;) flags.insert(word);
    }
  });
  if (!cores.empty()) out.physical_cores = static_cast<unsigned>(cores.size());
  for (const IsaName& isa : kIsa)
    if (flags.contains(isa.kernel)) out.isa.emplace_back(isa.ours);
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (::sched_getaffinity(0, sizeof mask, &mask) == 0)
    out.logical_cpus = static_cast<unsigned>(CPU_COUNT(&mask));
}

void read_memory(const std::string& root, Hardware& out) {
  each_field(content(root + "/proc/meminfo"), [&](std::string_view key, std::string_view value) {
    if (key != "MemTotal") return;
    if (const auto kib = whole_number(value)) out.memory_bytes = *kib * 1024;
  });
  // cgroup v2, then v1; "max" is no whole_number, v1 says a huge one.
  for (const char* file :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})
    if (const auto limit = whole_number(content(root + file)); limit && out.memory_bytes)
      out.memory_bytes = std::min(*out.memory_bytes, *limit);
}

void read_gpus(const std::string& root, Hardware& out) {
  for (const fs::path& gpu : entries(root + "/proc/driver/nvidia/gpus")) {
    std::string name = "PCI " + gpu.filename().string();
    each_field(content(gpu / "information"), [&](std::string_view key, std::string_view value) {
      if (key == "Model" && !value.empty()) name = value;
    });
    out.gpus.push_back({std::move(name), "nvidia", std::nullopt});
  }
  const bool nvidia_known = !out.gpus.empty();
  for (const fs::path& card : entries(root + "/sys/class/drm")) {
    const std::string card_name = card.filename();
    // "card0", not its connectors ("card0-HDMI-A-1") or render nodes.
    if (!card_name.starts_with("card") || !whole_number(card_name.substr(4)) ||
        card_name.find('-') != std::string::npos)
      continue;
    const fs::path device = card / "device";
    const std::string vendor = content(device / "vendor"), id = content(device / "device");
    const bool nvidia = vendor == "0x10de";
    // Others are the display adapters of servers and virtual machines: they compute nothing.
    if (!nvidia && vendor != "0x1002" && vendor != "0x8086") continue;
    if (nvidia && nvidia_known) continue;
    std::error_code error;
    const std::string driver = fs::read_symlink(device / "driver", error).filename();
    std::string name = content(device / "product_name");
    if (name.empty()) name = fmt::format("PCI {}:{}", vendor, id);
    out.gpus.push_back({std::move(name), error ? "unknown" : driver,
                        whole_number(content(device / "mem_info_vram_total"))});
  }
}

template <class T>
json::value or_null(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

}  // namespace

Hardware discover_hardware(const std::string& root) {
  Hardware out;
  read_cpu(root, out);
  read_memory(root, out);
  read_gpus(root, out);
  return out;
}

json::object to_json(const Hardware& hardware) {
  json::object out;
  out["cpu_model"] = or_null(hardware.cpu_model);
  out["logical_cpus"] = hardware.logical_cpus;
  out["physical_cores"] = or_null(hardware.physical_cores);
  json::array isa;
  for (const std::string& name : hardware.isa) isa.emplace_back(name);
  out["isa"] = std::move(isa);
  out["memory_bytes"] = or_null(hardware.memory_bytes);
  json::array gpus;
  for (const Gpu& gpu : hardware.gpus) {
    json::object one;
    one["name"] = gpu.name;
    one["driver"] = gpu.driver;
    one["vram_bytes"] = or_null(gpu.vram_bytes);
    gpus.push_back(std::move(one));
  }
  out["gpus"] = std::move(gpus);
  return out;
}

}  // namespace assay::io
