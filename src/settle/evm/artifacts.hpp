// The compiled contracts: creation bytecode by name (contracts/artifacts.json, which
// contracts/scripts/artifacts.mjs writes from the compiler's output).
#pragma once
#include <map>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace assay::settle::evm {

class Artifacts {
 public:
  // Errors: invalid, naming what is wrong.
  static Result<Artifacts> parse(std::string_view text);
  // not_found: there is none of this name.
  Result<Bytes> bytecode(const std::string& name) const;

 private:
  std::map<std::string, Bytes> contracts_;
};

}  // namespace assay::settle::evm
