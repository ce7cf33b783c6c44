// `assay verify --batch`: files and folders of evidence, on all threads.
#pragma once
#include <string>
#include <vector>

#include "cli/cli.hpp"
#include "verify/evidence.hpp"

namespace assay::cli {

// Folders stand for the files in them, not for their folders. Names each file that is no evidence,
// fails, or does not prove what is required; exit 0 when there is none.
Result<int> verify_batch(const Context& context, const std::vector<std::string>& paths,
                         const std::vector<std::string>& require, const verify::Given& given,
                         unsigned threads);

// Of what is required (a question's word or a finding's code), what is not proven.
std::vector<std::string> not_proven(const verify::VerifyReport& report,
                                    const std::vector<std::string>& require);

}  // namespace assay::cli
