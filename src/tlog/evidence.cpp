#include "tlog/evidence.hpp"

#include "crypto/merkle.hpp"
#include "tlog/proof_file.hpp"
#include "tlog/receipt_entry.hpp"

namespace assay::tlog {
namespace {

// The origin as the checkpoint tells it: only to find the keys that must have signed it.
Result<std::string> origin_of(const ProofFile& proof) {
  TRY(const Note note, parse_note(proof.checkpoint));
  TRY(Checkpoint checkpoint, parse_checkpoint(note.text));
  return std::move(checkpoint.origin);
}

// The keys of trusted witnesses, then those the bundle alone names.
Result<std::vector<VerifierKey>> witnesses_of(const protocol::LogEvidence& evidence,
                                              const LogTrust& trust) {
  std::vector<VerifierKey> out = trust.witnesses;
  for (const std::string& text : evidence.witness_keys) {
    auto key = VerifierKey::parse(text);
    if (!key) return fail_in("the bundle's witness key", key.error());
    if (std::ranges::find(out, *key) == out.end()) out.push_back(std::move(*key));
  }
  return out;
}

}  // namespace

Result<protocol::LogPlace> place_in_log(const protocol::LogEvidence& evidence,
                                        const protocol::ReceiptFile& file, const LogTrust& trust) {
  TRY(const ProofFile proof, parse_proof_file(evidence.proof));
  if (!proof.extra)
    return fail(Errc::invalid,
                "the proof does not carry its entry as extra data: `assay receipt bundle --log` "
                "and `assay log prove` write it");
  TRY(const LogEntry entry, LogEntry::parse(*proof.extra));
  CHECK_OK(check_receipt_entry(entry, file, evidence.salt));

  LogPolicy policy;
  TRY(policy.origin, origin_of(proof));
  for (const VerifierKey& key : trust.logs)
    if (key.name == policy.origin) policy.log.push_back(key);
  const bool trusted = !policy.log.empty();
  if (!trusted) {
    auto key = VerifierKey::parse(evidence.log_key);
    if (!key) return fail_in("the bundle's log key", key.error());
    policy.log.push_back(std::move(*key));
  }
  TRY(policy.witnesses, witnesses_of(evidence, trust));
  TRY(const auto opened, verify_proof_file(proof, crypto::leaf_hash(*proof.extra), policy));

  protocol::LogPlace out{.origin = policy.origin,
                         .index = proof.index,
                         .size = opened.checkpoint.size,
                         .root = opened.checkpoint.root,
                         .trusted = trusted};
  for (const Verified& v : opened.verified)
    if (v.key >= policy.log.size() && v.time) {
      const std::size_t witness = v.key - policy.log.size();
      out.cosignatures.push_back(
          {policy.witnesses[witness].name, *v.time, witness < trust.witnesses.size()});
    }
  std::ranges::sort(out.cosignatures, {}, [](const protocol::Cosignature& c) {
    return std::pair(c.time, std::string_view(c.witness));
  });
  return out;
}

}  // namespace assay::tlog
