// After a full audit that found another root: the first committed value that differs, with both
// sides' bits, from what the provider serves of its trace.
#pragma once
#include "verify/sampled.hpp"

namespace assay::verify {

// ours: the replay's trace. One more prefill of our own, up to the position, and two of the
// provider's. Nothing where the traces are one. Errors: mismatch when what is served is not what
// was signed (which proves nothing); the source's own.
Result<std::optional<Difference>> locate_difference(const TraceBuilder& ours,
                                                    const Execution& execution, const Hash& request,
                                                    const Hash& signed_root,
                                                    std::shared_ptr<const engine::Model> model,
                                                    StateSource& source, ThreadPool& pool,
                                                    engine::Isa isa);

}  // namespace assay::verify
