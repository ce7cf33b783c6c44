#pragma once

namespace CLI {
class App;
}

namespace assay::cli {

class Context;
void add_attack_delivery(CLI::App& attack, Context& context);

}  // namespace assay::cli
