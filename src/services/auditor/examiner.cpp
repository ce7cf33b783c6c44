#include "services/auditor/examiner.hpp"

#include <algorithm>

#include "verify/claim.hpp"
#include "verify/keyed.hpp"

namespace assay::services {
namespace {

constexpr std::size_t kRememberedBytes = std::size_t{256} << 20;

verify::Claim claim_of(const AuditRecord& record) {
  return verify::claim_of(record.call.receipt.message);
}

}  // namespace

protocol::Opening Examiner::opening_of(const AuditRecord& record) {
  protocol::Opening opening;
  opening.request = record.call.receipt.message.request;
  opening.salt_secret = record.salt_secret.value_or(Hash{});
  opening.prompt = record.call.prompt;
  opening.answer = record.call.answer;
  opening.stop_ids = record.call.stop_ids;
  opening.automaton = record.call.automaton;
  opening.logprobs = record.call.logprobs;
  return opening;
}

Result<std::optional<Examiner::Examined>> Examiner::run(const AuditRecord& record,
                                                        engine::StateSink* also) {
  const protocol::Request& request = record.request();
  const verify::Claim claim = claim_of(record);
  if (verify::impossible(request, claim, opening_of(record))) return std::nullopt;
  TRY(const AuditedModel* model, core_.model_of(request.execution));
  TRY(engine::Sampling sampling,
      verify::sampling_of(request, record.call.automaton, *model->model));
  // No salt plays a part: none is known.
  const verify::Execution execution{
      std::move(sampling),  Hash{},        record.call.prompt, record.call.answer,
      request.continuation, claim.fault(), request.logprobs};
  Examined out{verify::BareTrace(model->model->hyper().layers), {}};
  std::optional<verify::TeeSink> tee;
  if (also) tee.emplace(out.trace, *also);
  auto rerun = verify::replay_into(execution, model->model, pool_, core_.options.isa, progress_,
                                   core_.options.kv_bytes,
                                   tee ? static_cast<engine::StateSink&>(*tee) : out.trace);
  if (!rerun && rerun.error().code == Errc::invalid) return std::nullopt;
  if (!rerun) return std::unexpected(rerun.error());
  out.rerun = std::move(*rerun);
  return out;
}

void Examiner::remember(const Hash& audit, std::optional<Examined> examined) {
  std::erase_if(remembered_, [&](const auto& known) { return known.first == audit; });
  remembered_.emplace_back(audit, std::move(examined));
  std::size_t bytes = 0;
  for (const auto& [id, known] : remembered_) bytes += known ? known->trace.bytes() : 0;
  while (bytes > kRememberedBytes && !remembered_.empty()) {
    const auto& oldest = remembered_.front().second;
    bytes -= oldest ? oldest->trace.bytes() : 0;
    remembered_.pop_front();
  }
}

Result<Hash> Examiner::keyed_root(const AuditRecord& record, const Hash& nonce) {
  TRY(const AuditedModel* model, core_.model_of(record.request().execution));
  verify::KeyedBuilder keyed(nonce, model->model->hyper().layers);
  TRY(auto examined, run(record, &keyed));
  const bool exists = examined.has_value();
  remember(record.id, std::move(examined));
  return exists ? keyed.root() : Hash{};
}

Result<verify::AuditReport> Examiner::judge(const AuditRecord& record) {
  TRY(const AuditedModel* model, core_.model_of(record.request().execution));
  const auto layers = model->model->hyper().layers;
  const auto is_it = [&](const auto& known) { return known.first == record.id; };
  auto known = std::ranges::find_if(remembered_, is_it);
  if (known == remembered_.end()) {
    TRY(auto examined, run(record, nullptr));
    remembered_.emplace_back(record.id, std::move(examined));
    known = std::prev(remembered_.end());
  }
  std::optional<verify::Replay> replay;
  if (known->second)
    replay =
        verify::Replay{{known->second->rerun}, known->second->trace.salted(*record.salt_secret)};
  auto report = verify::judge_replay(record.request(), record.call.receipt.message,
                                     opening_of(record), layers, std::move(replay));
  remembered_.erase(known);
  return report;
}

Result<std::vector<std::optional<Bytes>>> Examiner::answers(const AuditRecord& record,
                                                            const Hash& nonce,
                                                            std::span<const Bytes> check_proofs) {
  std::vector<verify::CheckPlace> places;
  for (const Bytes& proof : check_proofs) {
    TRY(const verify::CheckProof asked, verify::parse_check_proof(proof));
    places.push_back(asked.place);
  }
  TRY(const AuditedModel* model, core_.model_of(record.request().execution));
  auto seen = verify::PlaceRecorder::keyed(nonce, model->model->hyper().layers, std::move(places));
  TRY(const auto examined, run(record, &seen));
  std::vector<std::optional<Bytes>> out(check_proofs.size());
  for (std::size_t i = 0; examined && i < out.size(); ++i)
    if (const auto own = seen.proof(i))
      out[i] = verify::check_reply_bytes({.key = record.key, .path = own->path});
  return out;
}

}  // namespace assay::services
