// `assay verify --batch`: files and folders of evidence, on all threads.
#pragma once
#include <string>
#include <vector>

#include "cli/cli.hpp"

namespace assay::cli {

// Folders stand for the files in them, not for their folders. Names each file that is no evidence,
// fails, or does not prove what is required; exit 0 when there is none.
Result<int> verify_batch(const Context& context, const std::vector<std::string>& paths,
                         const std::vector<std::string>& require, unsigned threads);

}  // namespace assay::cli
