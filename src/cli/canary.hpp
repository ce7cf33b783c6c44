// A false receipt of one's own (spec/audits.md, "Canaries").
#pragma once
#include "cli/model_file.hpp"
#include "settle/audit_escort.hpp"

namespace assay::cli {

struct CanaryParties {
  crypto::SecretKey buyer, provider;
};

// Signs request and receipt of the lease's next sequence: an answer that `serve` gives and that is
// sold as `execution`, whose model is of the same vocabulary.
Result<settle::AuditedReceipt> lay_canary(
    const protocol::Domain& domain, const CanaryParties& parties, const protocol::Lease& lease,
    const Hash& lease_id, const protocol::ExecutionId& execution, const ModelFile& serve,
    std::string_view prompt, std::uint32_t max_tokens, std::uint64_t expires, ThreadPool& pool);

}  // namespace assay::cli
