#include "cli/contracts_json.hpp"

// g++ 12 has no #embed; the assembler reads a file as well.
__asm__(
    ".section .rodata\n"
    ".global assay_contracts_json\n"
    ".global assay_contracts_json_end\n"
    "assay_contracts_json:\n"
    ".incbin \"" ASSAY_CONTRACTS_JSON "\"\n"
    "assay_contracts_json_end:\n"
    ".byte 0\n"
    ".text\n");
extern "C" const char assay_contracts_json[];      // NOLINT: named by the assembler
extern "C" const char assay_contracts_json_end[];  // NOLINT

namespace assay::cli {

Result<settle::evm::Artifacts> built_in_contracts() {
  return settle::evm::Artifacts::parse(std::string_view(
      assay_contracts_json,
      static_cast<std::size_t>(assay_contracts_json_end - assay_contracts_json)));
}

}  // namespace assay::cli
