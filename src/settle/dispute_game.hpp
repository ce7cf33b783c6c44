// A dispute as a ledger carries it and as the two sides play it: between market/ and verify/.
#pragma once
#include "market/operation.hpp"
#include "verify/dispute/transcript.hpp"

namespace assay::settle {

// What the statement of a dispute is about. Errors: as verify::subject_of.
Result<verify::Subject> subject_of(const protocol::ExecutionId& execution, ByteView program,
                                   const protocol::Request& request,
                                   const market::Statement& statement);

// The game of this dispute with all its moves so far; every signature is checked. Errors: as
// Transcript::start and add.
Result<verify::Transcript> transcript_of(const protocol::Domain& domain,
                                         const protocol::Address& provider,
                                         const market::FileDispute& dispute);

// The move of whoever's turn it is, to be added with Transcript::add.
verify::PlayedMove as_next(const verify::Transcript& transcript, const market::SignedMove& move);
// Signed with the key of the side whose turn it is.
verify::PlayedMove sign_next(const protocol::Domain& domain, const verify::Transcript& transcript,
                             Bytes payload, const crypto::SecretKey& key);
market::SignedMove as_signed(const verify::PlayedMove& move);
market::DisputeMove as_operation(const verify::PlayedMove& move);

}  // namespace assay::settle
