// The verbs of `assay chain` that have a file of their own.
#pragma once
#include "cli/settlement_flags.hpp"
#include "cli/signing_key.hpp"

namespace assay::cli {

class Context;
void add_chain_deploy(CLI::App& chain, Context& context);
void add_chain_beacon(CLI::App& chain, Context& context);
void add_chain_anchor(CLI::App& chain, Context& context);
void add_chain_attest(CLI::App& chain, Context& context);
void add_chain_events(CLI::App& chain, Context& context);
void add_chain_deposit(CLI::App& chain, Context& context);

}  // namespace assay::cli
