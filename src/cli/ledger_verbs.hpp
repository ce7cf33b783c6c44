// The two halves of `assay ledger`: verbs that read and verbs that sign.
#pragma once

namespace CLI {
class App;
}

namespace assay::cli {

class Context;
void add_ledger_reading(CLI::App& ledger, Context& context);  // verify, show, account, lease, log
void add_ledger_signing(CLI::App& ledger, Context& context);  // deposit, stake, unbond, …
void add_ledger_demand(CLI::App& ledger, Context& context);

}  // namespace assay::cli
