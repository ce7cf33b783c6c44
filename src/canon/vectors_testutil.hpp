// Writes spec/vectors/canon/*.json (with ASSAY_WRITE_VECTORS=1), else compares what was computed
// with them byte for byte. Floats are the hex of their bits; arrays of bytes are hex strings.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "base/hex.hpp"
#include "base/json.hpp"
#include "canon/canon_testutil.hpp"

namespace assay::canon::test {

inline json::value hex(float x) { return json::value(fmt::format("{:08x}", test::bits(x))); }
inline json::value hex(std::uint16_t x) { return json::value(fmt::format("{:04x}", x)); }

template <class T>
json::value hex_array(const std::vector<T>& values) {
  json::array out;
  for (T v : values) out.push_back(hex(v));
  return out;
}

inline json::value hex_bytes(const std::vector<std::int8_t>& q) {
  return json::value(to_hex_bare({reinterpret_cast<const std::uint8_t*>(q.data()), q.size()}));
}

inline void check_vectors(const std::string& name, const json::array& cases) {
  const std::filesystem::path path =
      std::filesystem::path(ASSAY_SOURCE_DIR) / "spec/vectors/canon" / (name + ".json");
  json::object file;
  file["canon"] = 0;
  file["operation"] = name;
  file["cases"] = cases;
  const std::string text = json::dump_pretty(file) + "\n";
  if (const char* write = std::getenv("ASSAY_WRITE_VECTORS"); write && *write == '1') {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  std::ifstream in(path, std::ios::binary);
  const std::string committed{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(committed, text) << path << " differs: the canon changed, or it was never written";
}

}  // namespace assay::canon::test
