#include "tlog/checkpoint.hpp"

#include "base/base64.hpp"
#include "base/json.hpp"

namespace assay::tlog {
namespace {

// The next line without its break; nullopt when there is none.
std::optional<std::string_view> take_line(std::string_view& text) {
  const auto end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const auto line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto size = json::parse_u64(text);
  if (!size || *size > kTreeSizeMax)
    return fail(Errc::invalid, "a tree size is a decimal number below 2^63 without leading zeros");
  return size;
}

Result<Hash> parse_hash(std::string_view base64) {
  const auto bytes = from_base64(base64);
  if (!bytes || bytes->size() != 32) return fail(Errc::invalid, "a hash is 32 bytes in base64");
  Hash out;
  std::ranges::copy(*bytes, out.begin());
  return out;
}

std::string to_text(const Checkpoint& checkpoint) {
  std::string out =
      fmt::format("{}\n{}\n{}\n", checkpoint.origin, checkpoint.size, to_base64(checkpoint.root));
  for (const auto& line : checkpoint.extensions) out += line + "\n";
  return out;
}

Result<Checkpoint> parse_checkpoint(std::string_view text) {
  const auto origin = take_line(text), size = take_line(text), root = take_line(text);
  if (!root || origin->empty())
    return fail(Errc::invalid, "a checkpoint has at least three lines: origin, size, root");
  Checkpoint out;
  out.origin = *origin;
  TRY(out.size, parse_size(*size));
  TRY(out.root, parse_hash(*root));
  while (!text.empty()) {
    const auto line = take_line(text);
    if (!line || line->empty())
      return fail(Errc::invalid, "a checkpoint's extension lines are not empty and end in breaks");
    out.extensions.emplace_back(*line);
  }
  return out;
}

Note sign_checkpoint(const Checkpoint& checkpoint, const SignerKey& log) {
  Note out{to_text(checkpoint), {}};
  out.signatures.push_back(sign_note(out.text, log));
  return out;
}

LogPolicy LogPolicy::of(const VerifierKey& log) { return {log.name, {log}}; }

Result<OpenedCheckpoint> open_checkpoint(std::string_view note, const LogPolicy& policy) {
  OpenedCheckpoint out;
  TRY(out.note, parse_note(note));
  TRY(out.checkpoint, parse_checkpoint(out.note.text));
  if (out.checkpoint.origin != policy.origin)
    return fail(Errc::mismatch, "a checkpoint of '{}', expected '{}'", out.checkpoint.origin,
                policy.origin);
  std::vector<VerifierKey> keys = policy.log;
  keys.insert(keys.end(), policy.witnesses.begin(), policy.witnesses.end());
  TRY(out.verified, verify_note(out.note, keys));
  std::size_t logs = 0;
  for (const auto& verified : out.verified) logs += verified.key < policy.log.size();
  if (logs == 0) return fail(Errc::mismatch, "the checkpoint is not signed by its log");
  if (out.verified.size() - logs < policy.quorum)
    return fail(Errc::mismatch, "the checkpoint has {} of {} cosignatures",
                out.verified.size() - logs, policy.quorum);
  return out;
}

}  // namespace assay::tlog
