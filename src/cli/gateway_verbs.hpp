// The verbs of `assay gateway` that have a file of their own: they work on its data directory,
// whether or not it is running.
#pragma once
#include "cli/cli.hpp"

namespace assay::cli {

void add_gateway_keys(CLI::App& gateway, Context& context);
void add_gateway_report(CLI::App& gateway, Context& context);

}  // namespace assay::cli
