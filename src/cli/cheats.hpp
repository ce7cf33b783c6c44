// Ways to compute something else than what is signed for: what `assay attack compute` serves with.
// Each stands where the canonical engine does (services::Computer); the service around it is the
// ordinary one and knows nothing of it.
#pragma once
#include <memory>
#include <span>
#include <string>

#include "engine/model.hpp"
#include "engine/tokenizer.hpp"
#include "services/provider/provider_run.hpp"

namespace assay::cli {

struct CheatName {
  std::string_view name, what;
};
std::span<const CheatName> cheat_names();

struct CheatPlan {
  std::string name;                            // one of cheat_names()
  std::shared_ptr<const engine::Model> model;  // what is signed for
  std::shared_ptr<const engine::Model> cheap;  // what decodes; cheap-decode only
  engine::Tokenizer tokenizer;
  std::uint32_t layer = 0, from = 0;  // skip: which layer, from which position on
};

// It commits to what it computed, as far as it can, and serves those states to auditors: what an
// audit finds is the cheat and no clumsiness. Requests with a continuation or log-probabilities are
// refused (unsupported). Answers older than the last 64 are forgotten.
std::shared_ptr<services::Computer> make_cheat(CheatPlan plan);

}  // namespace assay::cli
