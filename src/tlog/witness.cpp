#include "tlog/witness.hpp"

#include "base/assert.hpp"
#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"

namespace assay::tlog {
namespace {

WitnessAnswer say(int status, std::string_view why) {
  return {status, std::string(WitnessAnswer::kText), std::string(why) + "\n"};
}

}  // namespace

std::string origin_hash(std::string_view origin) {
  return to_hex_bare(crypto::sha256(view(origin)));
}

std::string to_string(const AddCheckpoint& request) {
  std::string out = fmt::format("old {}\n", request.old_size);
  for (const Hash& hash : request.proof) out += to_base64(hash) + "\n";
  return out + "\n" + request.checkpoint;
}

Result<AddCheckpoint> parse_add_checkpoint(std::string_view body) {
  const auto take_line = [&]() -> Result<std::string_view> {
    const auto end = body.find('\n');
    if (end == std::string_view::npos)
      return fail(Errc::invalid, "the body is 'old N', hashes, an empty line and a checkpoint");
    const auto line = body.substr(0, end);
    body.remove_prefix(end + 1);
    return line;
  };
  AddCheckpoint out;
  TRY(auto line, take_line());
  if (!line.starts_with("old ")) return fail(Errc::invalid, "the first line is 'old N'");
  TRY(out.old_size, parse_size(line.substr(4)));
  for (;;) {
    TRY(line, take_line());
    if (line.empty()) break;
    if (out.proof.size() == kConsistencyHashesMax)
      return fail(Errc::invalid, "at most {} hashes", kConsistencyHashesMax);
    TRY(const Hash hash, parse_hash(line));
    out.proof.push_back(hash);
  }
  out.checkpoint = body;
  return out;
}

Witness::Witness(SignerKey key, std::vector<LogPolicy> logs, WitnessStore& store,
                 const Clock& clock)
    : key_(std::move(key)),
      verifier_(key_.verifier()),
      logs_(std::move(logs)),
      store_(store),
      clock_(clock) {
  ASSAY_ASSERT(key_.type == KeyType::cosignature);
}

WitnessAnswer Witness::add_checkpoint(std::string_view body) {
  const auto request = parse_add_checkpoint(body);
  if (!request) return say(400, request.error().message);
  const auto answer = judge(*request);
  // The store's: nothing was signed.
  return answer ? *answer : say(503, answer.error().message);
}

Result<WitnessAnswer> Witness::judge(const AddCheckpoint& request) {
  const auto note = parse_note(request.checkpoint);
  if (!note) return say(400, note.error().message);
  const auto checkpoint = parse_checkpoint(note->text);
  if (!checkpoint) return say(400, checkpoint.error().message);
  const auto log = std::ranges::find(logs_, checkpoint->origin, &LogPolicy::origin);
  if (log == logs_.end()) return say(404, "this witness does not know that log");
  const auto verified = verify_note(*note, log->log);
  if (!verified) return say(403, verified.error().message);
  if (request.old_size > checkpoint->size)
    return say(400, "the old size is above the checkpoint's");

  TRY(const auto stored, store_.latest(checkpoint->origin));
  const WitnessedLog known = stored.value_or(WitnessedLog{0, crypto::sha256({}), {}});
  if (request.old_size != known.size)
    return WitnessAnswer{409, std::string(WitnessAnswer::kSize), fmt::format("{}\n", known.size)};
  if (checkpoint->size == 0 && checkpoint->root != crypto::sha256({}))
    return say(422, "the root of an empty tree is the hash of nothing");
  if (!crypto::verify_consistency(known.root, known.size, checkpoint->root, checkpoint->size,
                                  request.proof))
    return say(422, "the checkpoint does not continue what this witness has seen");

  const NoteSignature cosignature =
      sign_note(note->text, key_, static_cast<std::uint64_t>(clock_.now_s()));
  Note kept{note->text, {}};
  for (const Verified& v : *verified) {
    const VerifierKey& key = log->log[v.key];
    for (const auto& line : note->signatures)
      if (line.name == key.name && line.id == key.id()) {
        kept.signatures.push_back(line);
        break;
      }
  }
  kept.signatures.push_back(cosignature);
  // A crash before the next line: nothing was signed that anybody has. After it: the signature may
  // be lost, and the log that asks again is told the new size.
  CHECK_OK(
      store_.replace(checkpoint->origin, {checkpoint->size, checkpoint->root, to_string(kept)}));
  return WitnessAnswer{200, std::string(WitnessAnswer::kText), to_line(cosignature)};
}

WitnessAnswer Witness::latest(std::string_view origin_hash_hex) {
  for (const auto& log : logs_) {
    if (origin_hash(log.origin) != origin_hash_hex) continue;
    const auto stored = store_.latest(log.origin);
    if (!stored) return say(503, stored.error().message);
    if (*stored) return {200, std::string(WitnessAnswer::kText), (*stored)->note};
  }
  return say(404, "nothing was cosigned for that log");
}

}  // namespace assay::tlog
