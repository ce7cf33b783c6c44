// The options that say how the next token is chosen, as `assay generate` takes them.
#pragma once
#include <CLI/CLI.hpp>

#include "base/result.hpp"
#include "engine/types.hpp"

namespace assay::cli {

struct SamplingOptions {
  engine::Sampling sampling;
  std::vector<std::string> biases;  // ID=BIAS

  void add_to(CLI::App* verb);
  // As the engine takes it, for an answer that begins at `answer_from`. Errors: a token outside the
  // vocabulary or named twice.
  Result<engine::Sampling> resolve(std::size_t vocabulary, std::uint32_t answer_from) const;
};

}  // namespace assay::cli
