// The files `assay verify` and `assay audit` read; errors name the file and the verb to use.
#pragma once
#include "protocol/files.hpp"

namespace assay::cli {

Result<protocol::ReceiptFile> read_receipt(const std::string& path);
Result<protocol::Opening> read_opening(const std::string& path);

}  // namespace assay::cli
