// A ledger's log, replayed from a host or from a file: nobody has to be believed.
#pragma once
#include "settle/embedded/ledger_log.hpp"

namespace assay::cli {

// `source`: a host's address, a market's data folder, or its ledger.db.
Result<settle::LogReplay> replay_ledger(const std::string& source);

}  // namespace assay::cli
