// Groups of `assay attack` verbs.
#pragma once

namespace CLI {
class App;
}

namespace assay::cli {

class Context;
void add_auditor_attacks(CLI::App& attack, Context& context);

}  // namespace assay::cli
