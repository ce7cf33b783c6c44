// The verbs of `assay model` that have a file of their own.
#pragma once
#include "cli/cli.hpp"

namespace assay::cli {

void add_model_pull(CLI::App& model, Context& context);
void add_model_template(CLI::App& model, Context& context);
void add_model_signature(CLI::App& model, Context& context);
void add_model_vocabulary(CLI::App& model, Context& context);

}  // namespace assay::cli
