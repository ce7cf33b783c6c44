// From signed messages to what a dispute is about.
#pragma once
#include "verify/referee/ops.hpp"

namespace assay::verify {

// Errors: mismatch when the program is not the execution id's or the execution id not the
// request's, invalid when the program is malformed. Whether the statement answers the request, and
// signatures, are the caller's business.
Result<Subject> subject_of(const protocol::ExecutionId& execution, ByteView program,
                           const protocol::Request& request, const protocol::Receipt& receipt);
Result<Subject> subject_of(const protocol::ExecutionId& execution, ByteView program,
                           const protocol::Request& request, const protocol::Progress& progress);

}  // namespace assay::verify
