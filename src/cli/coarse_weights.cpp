#include "cli/coarse_weights.hpp"

namespace assay::cli {
namespace {

constexpr std::size_t kBlockBytes = 34, kScaleBytes = 2;

}  // namespace

Status write_coarse_copy(const ModelFile& model, unsigned bits, const std::string& path) {
  const ByteView file = model.file.bytes();
  Bytes out(file.begin(), file.end());
  const int step = 1 << (8 - bits);
  bool any = false;
  for (const engine::Tensor& tensor : model.model->gguf().tensors()) {
    if (tensor.type != engine::TensorType::q8_0) continue;
    any = true;
    const auto from = static_cast<std::size_t>(tensor.data.data() - file.data());
    for (std::size_t i = 0; i < tensor.data.size(); ++i) {
      if (i % kBlockBytes < kScaleBytes) continue;
      const int value = static_cast<std::int8_t>(out[from + i]);
      const int level = (value + step / 2) >> (8 - bits);  // rounds to −∞
      out[from + i] = static_cast<std::uint8_t>(std::min(level * step, 128 - step));
    }
  }
  if (!any) return fail(Errc::unsupported, "{} has no Q8_0 weights", model.path);
  return io::write_file_atomic(path, out);
}

}  // namespace assay::cli
