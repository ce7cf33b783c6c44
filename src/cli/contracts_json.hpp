// The compiled contracts (contracts/artifacts.json), carried in the binary.
#pragma once
#include "settle/evm/artifacts.hpp"

namespace assay::cli {

Result<settle::evm::Artifacts> built_in_contracts();

}  // namespace assay::cli
