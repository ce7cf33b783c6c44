// Public vectors that lie beside the repository (../shared/vectors), not in it.
#pragma once
#include <filesystem>
#include <fstream>
#include <iterator>

namespace assay::protocol {

inline std::filesystem::path shared_vectors(const std::string& folder) {
  return std::filesystem::path(ASSAY_SOURCE_DIR "/../shared/vectors") / folder;
}

inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace assay::protocol
