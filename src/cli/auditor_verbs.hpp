// Verbs of `assay auditor` beside serving: auditor_canary.cpp.
#pragma once
#include <functional>
#include <optional>

#include "base/result.hpp"

namespace CLI {
class App;
}

namespace assay::cli {

class Context;
// Runs the one of them that was on the command line; nullopt: none was.
using AuditorTrial = std::function<std::optional<Result<int>>()>;
// Adds `canary` and `report`.
AuditorTrial add_auditor_trials(CLI::App& auditor, Context& context);

}  // namespace assay::cli
