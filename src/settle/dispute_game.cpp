#include "settle/dispute_game.hpp"

#include "verify/dispute/subject.hpp"

namespace assay::settle {

Result<verify::Subject> subject_of(const protocol::ExecutionId& execution, ByteView program,
                                   const protocol::Request& request,
                                   const market::Statement& statement) {
  return std::visit(
      [&](const auto& s) { return verify::subject_of(execution, program, request, s.message); },
      statement);
}

Result<verify::Transcript> transcript_of(const protocol::Domain& domain,
                                         const protocol::Address& provider,
                                         const market::FileDispute& dispute) {
  TRY(verify::Subject subject,
      subject_of(dispute.execution, dispute.program, dispute.evidence.request.message,
                 dispute.evidence.statement));
  TRY(auto transcript,
      verify::Transcript::start(domain, dispute.dispute, provider,
                                std::make_shared<const verify::Subject>(std::move(subject))));
  for (const market::SignedMove& move : dispute.transcript)
    if (const auto added = transcript.add(as_next(transcript, move)); !added)
      return fail_in(fmt::format("move {}", transcript.moves().size()), added.error());
  return transcript;
}

verify::PlayedMove as_next(const verify::Transcript& transcript, const market::SignedMove& move) {
  return {{transcript.next(move.payload), move.signature}, move.payload};
}

verify::PlayedMove sign_next(const protocol::Domain& domain, const verify::Transcript& transcript,
                             Bytes payload, const crypto::SecretKey& key) {
  auto move = protocol::sign(domain, transcript.next(payload), key);
  return {std::move(move), std::move(payload)};
}

market::SignedMove as_signed(const verify::PlayedMove& move) {
  return {move.payload, move.move.signature};
}

market::DisputeMove as_operation(const verify::PlayedMove& move) {
  return {move.move, move.payload};
}

}  // namespace assay::settle
