// A model's own weights at fewer bits, in a file of the same shape: what a provider that saves
// memory might serve as the original. Its answers are often as good; its bits are others.
#pragma once
#include "cli/model_file.hpp"

namespace assay::cli {

// Every weight of a Q8_0 tensor to the nearest of 2^bits levels. Errors: unsupported (no such
// tensor in it), io.
Status write_coarse_copy(const ModelFile& model, unsigned bits, const std::string& path);

}  // namespace assay::cli
