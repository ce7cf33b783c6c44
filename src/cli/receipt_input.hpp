// The files `assay verify`, `assay receipt` and `assay audit` read; errors name the file and the
// verb to use.
#pragma once
#include "protocol/files.hpp"
#include "verify/evidence.hpp"

namespace assay::cli {

Result<protocol::ReceiptFile> read_receipt(const std::string& path);
Result<protocol::Opening> read_opening(const std::string& path);
Result<verify::Exhibit> read_evidence(const std::string& path);

}  // namespace assay::cli
