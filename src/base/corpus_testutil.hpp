// What a fuzzer found or began with (tests/fuzz/corpus), in unit tests.
#pragma once
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <string>

#include "base/bytes.hpp"

namespace assay {

// Calls entry(bytes, file name) for every file of a corpus; returns how many there are.
inline std::size_t replay_corpus(const std::filesystem::path& folder,
                                 const std::function<void(ByteView, const std::string&)>& entry) {
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(file.path().string());
    std::ifstream in(file.path(), std::ios::binary);
    EXPECT_TRUE(in.is_open());
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    entry(view(bytes), file.path().filename().string());
    ++files;
  }
  return files;
}

}  // namespace assay
