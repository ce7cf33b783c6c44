#include "verify/dispute/party.hpp"

#include <algorithm>

#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "verify/referee/finish.hpp"

namespace assay::verify {
namespace {

std::optional<std::uint32_t> beside_trace(const Opened& run, const Replay& replay) {
  const protocol::Opening& opening = run.opening;
  const std::size_t n = opening.prompt.size(), first = run.subject.first_sampled();
  std::optional<std::size_t> at;
  for (std::size_t i = 0; i < replay.sampled.size() && !at; ++i) {
    const std::size_t next = first + i + 1;
    const auto& list = next < n ? opening.prompt : opening.answer;
    const std::size_t index = next < n ? next : next - n;
    if (index < list.size() && list[index] != replay.sampled[i]) at = first + i;
  }
  if (const std::uint32_t width = protocol::logprob_width(run.subject.request)) {
    const auto [ours, theirs] = std::ranges::mismatch(replay.logprobs, opening.logprobs);
    if (ours != replay.logprobs.end() && theirs != opening.logprobs.end()) {
      const std::size_t token = static_cast<std::size_t>(ours - replay.logprobs.begin()) / width;
      at = std::min(at.value_or(SIZE_MAX), n - 1 + token);
    }
  }
  if (!at) return std::nullopt;
  return static_cast<std::uint32_t>(*at);
}

}  // namespace

Result<std::unique_ptr<Party>> Party::prepare(Subject subject,
                                              std::shared_ptr<const ModelTrees> model,
                                              protocol::Opening opening, ThreadPool& pool,
                                              engine::Isa isa, const ReplayProgress& progress,
                                              std::size_t kv_bytes_max) {
  const protocol::Request request = subject.request;
  CHECK_OK(protocol::check_secrets(request, opening.salt_secret, opening.prompt, opening.stop_ids));
  if (opening.answer.size() < subject.count)
    return fail(Errc::mismatch, "the opening has {} answer tokens, the statement counts {}",
                opening.answer.size(), subject.count);
  opening.answer.resize(subject.count);
  const std::size_t numbers = std::size_t{subject.count} * protocol::logprob_width(request);
  opening.logprobs.resize(std::min(opening.logprobs.size(), numbers));
  if (protocol::tape_root(opening.salt_secret, opening.answer) != subject.tape_root)
    return fail(Errc::mismatch, "the opening's answer is not the one the statement commits to");
  CHECK_OK(protocol::check_runnable(request));

  TRY(engine::Sampling sampling, sampling_of(request, opening.automaton, model->model()));
  const auto constraint = sampling.constraint;
  const Execution execution{std::move(sampling), opening.salt_secret,  opening.prompt,
                            opening.answer,      request.continuation, subject.ends_in_fault(),
                            request.logprobs};
  TRY(Replay replayed, replay(execution, model->shared_model(), pool, isa, progress, kv_bytes_max));
  const auto fault = replayed.fault;
  Opened run{std::move(subject), std::move(model), std::move(opening), constraint};
  if (constraint) run.parts = parts_of(constraint->automaton(), constraint->pieces());
  const auto beside = beside_trace(run, replayed);
  std::unique_ptr<Party> party(new Party(std::move(run), std::move(replayed)));
  party->evidence_ = std::make_unique<OwnEvidence>(party->run_, party->trace_, fault, pool, isa,
                                                   beside, kv_bytes_max);
  return party;
}

std::optional<Bytes> finish_evidence(const Subject& subject, const protocol::Opening& opening) {
  const auto convicts = [&](const Bytes& proof) {
    const auto judged = judge_finish(subject, proof);
    return judged && *judged == StepVerdict::differs;
  };
  if (convicts({})) return Bytes{};
  const auto token_of = [&](protocol::TokenList list, std::span<const std::uint32_t> tokens,
                            std::uint32_t index) {
    return protocol::open_tokens(opening.salt_secret, list, tokens, index / kChunkValues);
  };
  const auto answer =
      std::span(opening.answer).first(std::min<std::size_t>(opening.answer.size(), subject.count));
  // A stop id before the end, or how the last token fits the ending.
  for (std::uint32_t i = 0; i < answer.size(); ++i) {
    const bool last = i + 1 == answer.size();
    if (!last && std::ranges::find(opening.stop_ids, answer[i]) == opening.stop_ids.end()) continue;
    const auto chunk = token_of(protocol::TokenList::tape, answer, i);
    if (Bytes proof = finish_proof(opening.stop_ids, i, chunk.leaf, chunk.path); convicts(proof))
      return proof;
    if (!last) break;
  }
  for (std::uint32_t i = 0; i < opening.prompt.size(); ++i)
    if (opening.prompt[i] >= subject.program.vocab) {
      const auto chunk = token_of(protocol::TokenList::prompt, opening.prompt, i);
      if (Bytes proof = prompt_proof(i, chunk.leaf, chunk.path); convicts(proof)) return proof;
      break;
    }
  return std::nullopt;
}

}  // namespace assay::verify
