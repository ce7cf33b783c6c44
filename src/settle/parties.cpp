#include "settle/parties.hpp"

namespace assay::settle {

Result<verify::Party*> Parties::of(const market::FileDispute& dispute,
                                   const DisputedSources& sources) {
  const Hash& subject_id = dispute.dispute.message.subject;
  if (party_ && about_ == subject_id) return party_.get();
  party_.reset();
  auto& trees = trees_[dispute.evidence.request.message.execution];
  if (!trees) {
    TRY(DisputedModel model, sources.model());
    trees = std::make_shared<const verify::ModelTrees>(std::move(model.model), pool_);
  }
  TRY(protocol::Opening opening, sources.opening());
  TRY(verify::Subject subject,
      subject_of(dispute.execution, dispute.program, dispute.evidence.request.message,
                 dispute.evidence.statement));
  TRY(party_, verify::Party::prepare(std::move(subject), trees, std::move(opening), pool_, isa_,
                                     progress_, kv_bytes_max_));
  about_ = subject_id;
  return party_.get();
}

Result<verify::PlayedMove> Parties::respond(const protocol::Domain& domain,
                                            const crypto::SecretKey& key,
                                            const market::FileDispute& dispute,
                                            const DisputedSources& sources) {
  TRY(verify::Transcript transcript, transcript_of(domain, crypto::address_of(key), dispute));
  const verify::Game& game = transcript.game();
  if (game.outcome() != verify::DisputeOutcome::open || game.turn() != verify::Side::provider)
    return fail(Errc::refused, "it is not the defending side's turn in this dispute");
  TRY(verify::Party * party, of(dispute, sources));
  TRY(Bytes payload, party->respond(game));
  return sign_next(domain, transcript, std::move(payload), key);
}

}  // namespace assay::settle
