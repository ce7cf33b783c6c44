#include "io/hardware.hpp"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>

#include "io/files.hpp"

namespace assay::io {
namespace {

class HardwareTree : public testing::Test {
 protected:
  void SetUp() override {
    auto made = TempDirectory::create("assay-hardware-test");
    ASSERT_TRUE(made);
    dir = std::make_unique<TempDirectory>(std::move(*made));
  }
  void put(const std::string& name, std::string_view content) const {
    const std::string path = dir->file(name);
    ASSERT_TRUE(make_directories(std::filesystem::path(path).parent_path()));
    ASSERT_TRUE(write_file_atomic(path, view(content)));
  }
  std::unique_ptr<TempDirectory> dir;
};

TEST_F(HardwareTree, NothingReadableIsUnknownNotInvented) {
  const Hardware hardware = discover_hardware(dir->path());
  EXPECT_FALSE(hardware.cpu_model);
  EXPECT_FALSE(hardware.physical_cores);
  EXPECT_FALSE(hardware.memory_bytes);
  EXPECT_TRUE(hardware.isa.empty());
  EXPECT_TRUE(hardware.gpus.empty());
  const json::object out = to_json(hardware);
  EXPECT_TRUE(out.at("cpu_model").is_null());
  EXPECT_TRUE(out.at("memory_bytes").is_null());
}

TEST_F(HardwareTree, ReadsAMachine) {
  put("proc/cpuinfo",
      "processor\t: 0\nmodel name\t: Test CPU @ 3 GHz\nphysical id\t: 0\ncore id\t: 0\n"
      "flags\t\t: fpu avx avx2 fma f16c avx512f avx512_vnni avx20\n\n"
      "processor\t: 1\nmodel name\t: Test CPU @ 3 GHz\nphysical id\t: 0\ncore id\t: 0\n\n"
      "processor\t: 2\nmodel name\t: Test CPU @ 3 GHz\nphysical id\t: 1\ncore id\t: 0\n");
  put("proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\n");
  put("proc/driver/nvidia/gpus/0000:01:00.0/information",
      "Model: \t\t NVIDIA H200\nIRQ:   \t\t 12\nBus Type: \t PCIe\n");
  put("sys/class/drm/card0/device/vendor", "0x10de\n");
  put("sys/class/drm/card1/device/vendor", "0x1002\n");
  put("sys/class/drm/card1/device/device", "0x744c\n");
  put("sys/class/drm/card1/device/mem_info_vram_total", "25753026560\n");
  put("sys/class/drm/card1-HDMI-A-1/device/vendor", "0x1002\n");
  put("sys/class/drm/card2/device/vendor", "0x1a03\n");
  std::filesystem::create_directory_symlink("../../../../bus/pci/drivers/amdgpu",
                                            dir->file("sys/class/drm/card1/device/driver"));
  const Hardware hardware = discover_hardware(dir->path());
  EXPECT_EQ(hardware.cpu_model, "Test CPU @ 3 GHz");
  EXPECT_EQ(hardware.physical_cores, 2u);
  EXPECT_EQ(hardware.isa,
            (std::vector<std::string>{"avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni"}));
  EXPECT_EQ(hardware.memory_bytes, 16'384'000'000u);
  ASSERT_EQ(hardware.gpus.size(), 2u);
  EXPECT_EQ(hardware.gpus[0].name, "NVIDIA H200");
  EXPECT_EQ(hardware.gpus[0].driver, "nvidia");
  EXPECT_FALSE(hardware.gpus[0].vram_bytes);
  EXPECT_EQ(hardware.gpus[1].name, "PCI 0x1002:0x744c");
  EXPECT_EQ(hardware.gpus[1].driver, "amdgpu");
  EXPECT_EQ(hardware.gpus[1].vram_bytes, 25'753'026'560u);
  EXPECT_EQ(json::dump(to_json(hardware).at("gpus").as_array()[0]),
            R"({"name":"NVIDIA H200","driver":"nvidia","vram_bytes":null})");
}

TEST_F(HardwareTree, CgroupLimitsMemory) {
  put("proc/meminfo", "MemTotal: 16000000 kB\n");
  put("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(discover_hardware(dir->path()).memory_bytes, 16'384'000'000u);
  put("sys/fs/cgroup/memory.max", "1073741824\n");
  EXPECT_EQ(discover_hardware(dir->path()).memory_bytes, 1'073'741'824u);
}

TEST(Hardware, ThisMachine) {
  const Hardware hardware = discover_hardware();
  EXPECT_GE(hardware.logical_cpus, 1u);
  ASSERT_TRUE(hardware.memory_bytes);
  EXPECT_GT(*hardware.memory_bytes, 100u << 20);
#if defined(__x86_64__)
  const bool listed = std::ranges::find(hardware.isa, "avx2") != hardware.isa.end();
  EXPECT_EQ(listed, __builtin_cpu_supports("avx2") != 0);
#endif
}

}  // namespace
}  // namespace assay::io
