#include "verify/referee/finish.hpp"

#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

enum class Kind : std::uint32_t { answer = 0, prompt = 1 };

using protocol::Finish;

// No execution of the request exists, or the statement cannot be one of it.
bool impossible(const Subject& s) {
  const protocol::Request& r = s.request;
  if (!protocol::check_runnable(r) || s.count > r.max_tokens) return true;
  const std::uint64_t positions =
      std::uint64_t{r.prompt_count} + s.count - (s.ends_in_fault() ? 0 : 1);
  if (positions > std::min<std::uint64_t>(s.program.context, kPositionsMax)) return true;
  for (const protocol::LogitBias& bias : r.logit_bias)
    if (bias.token >= s.program.vocab) return true;
  if (r.logprobs > s.program.vocab + 1) return true;
  if (s.finish && *s.finish > static_cast<std::uint32_t>(Finish::cancelled)) return true;
  return s.count == 0 && !s.ends_in_fault();
}

// The answer ends with this token, a stop id or none.
bool fits(const Subject& s, bool stops) {
  const auto finish = static_cast<Finish>(*s.finish);
  if (stops) return finish == Finish::stop;
  if (s.count == s.request.max_tokens) return finish == Finish::length;
  return finish == Finish::fault || finish == Finish::cancelled;
}

Result<std::uint32_t> take32(ByteView& rest) {
  if (rest.size() < 4) return fail(Errc::invalid, "the proof is too short");
  const auto n = load_le<std::uint32_t>(rest.data());
  rest = rest.subspan(4);
  return n;
}

// Token `index` of `count`, from the opening of its chunk that is all that is left of the proof.
Result<std::uint32_t> take_token(ByteView rest, std::uint32_t index, std::uint32_t count,
                                 const Hash& root) {
  if (index >= count) return fail(Errc::invalid, "token {} of {}", index, count);
  const std::uint32_t chunk = index / kChunkValues, chunks = (count - 1) / kChunkValues + 1;
  const std::size_t bytes = sizeof(Hash) + 4 * std::min(kChunkValues, count - chunk * kChunkValues);
  std::vector<Hash> path(path_length(chunk, chunks));
  if (rest.size() != bytes + path.size() * sizeof(Hash))
    return fail(Errc::invalid, "the opening of token {} has {} bytes, not {}", index, rest.size(),
                bytes + path.size() * sizeof(Hash));
  for (std::size_t i = 0; i < path.size(); ++i)
    std::ranges::copy(rest.subspan(bytes + i * sizeof(Hash), sizeof(Hash)), path[i].begin());
  if (!crypto::verify_inclusion(root, crypto::leaf_hash(rest.first(bytes)), chunk, chunks, path))
    return fail(Errc::mismatch, "the opening of token {} does not open", index);
  return load_le<std::uint32_t>(&rest[sizeof(Hash) + 4 * (index % kChunkValues)]);
}

Result<StepVerdict> judge_answer(const Subject& s, ByteView rest) {
  TRY(const std::uint32_t count, take32(rest));
  if (count > rest.size() / 4) return fail(Errc::invalid, "the proof is too short");
  std::vector<std::uint32_t> stops;
  for (std::uint32_t i = 0; i < count; ++i) {
    TRY(const std::uint32_t id, take32(rest));
    stops.push_back(id);
  }
  if (protocol::stop_root(stops) != s.request.stop_root)
    return fail(Errc::mismatch, "the stop ids are not those the request commits to");
  TRY(const std::uint32_t index, take32(rest));
  TRY(const std::uint32_t token, take_token(rest, index, s.count, s.tape_root));
  const bool stop = std::ranges::find(stops, token) != stops.end();
  const bool right = index + 1 < s.count ? !stop : !s.finish || fits(s, stop);
  return right ? StepVerdict::follows : StepVerdict::differs;
}

Result<StepVerdict> judge_prompt(const Subject& s, ByteView rest) {
  TRY(const std::uint32_t index, take32(rest));
  TRY(const std::uint32_t token, take_token(rest, index, s.prompt(), s.request.prompt_root));
  return token < s.program.vocab ? StepVerdict::follows : StepVerdict::differs;
}

Bytes opening(Bytes out, std::uint32_t token, ByteView chunk, std::span<const Hash> path) {
  append_le(out, token);
  append(out, chunk);
  for (const Hash& hash : path) append(out, hash);
  return out;
}

}  // namespace

Result<StepVerdict> judge_finish(const Subject& subject, ByteView proof) {
  if (impossible(subject)) return StepVerdict::differs;
  if (proof.size() > kProofMax)
    return fail(Errc::invalid, "the proof has {} bytes, at most {} are read", proof.size(),
                kProofMax);
  TRY(const std::uint32_t kind, take32(proof));
  switch (static_cast<Kind>(kind)) {
    case Kind::answer:
      return judge_answer(subject, proof);
    case Kind::prompt:
      return judge_prompt(subject, proof);
  }
  return fail(Errc::invalid, "a proof of kind {}: 0 is about the answer, 1 about the prompt", kind);
}

Bytes finish_proof(std::span<const std::uint32_t> stop_ids, std::uint32_t answer_token,
                   ByteView chunk, std::span<const Hash> path) {
  Bytes out;
  append_le(out, static_cast<std::uint32_t>(Kind::answer));
  append_le(out, static_cast<std::uint32_t>(stop_ids.size()));
  for (const std::uint32_t id : stop_ids) append_le(out, id);
  return opening(std::move(out), answer_token, chunk, path);
}

Bytes prompt_proof(std::uint32_t prompt_token, ByteView chunk, std::span<const Hash> path) {
  Bytes out;
  append_le(out, static_cast<std::uint32_t>(Kind::prompt));
  return opening(std::move(out), prompt_token, chunk, path);
}

}  // namespace assay::verify
