#include "tlog/proof_file.hpp"

#include "base/base64.hpp"
#include "crypto/merkle.hpp"

namespace assay::tlog {
namespace {

constexpr std::string_view kHead = "c2sp.org/tlog-proof@v1";

}  // namespace

std::string to_string(const ProofFile& proof) {
  std::string out = std::string(kHead) + "\n";
  if (proof.extra) out += "extra " + to_base64(*proof.extra) + "\n";
  out += fmt::format("index {}\n", proof.index);
  for (const Hash& hash : proof.hashes) out += to_base64(hash) + "\n";
  return out + "\n" + proof.checkpoint;
}

Result<ProofFile> parse_proof_file(std::string_view text) {
  const auto take_line = [&]() -> Result<std::string_view> {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return fail(Errc::invalid, "a tlog-proof ends too early");
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    return line;
  };
  if (text.size() > kNoteBytesMax)
    return fail(Errc::invalid, "a tlog-proof has at most {} bytes", kNoteBytesMax);
  TRY(auto line, take_line());
  if (line != kHead) return fail(Errc::invalid, "not a tlog-proof: its first line is '{}'", kHead);
  ProofFile out;
  TRY(line, take_line());
  if (line.starts_with("extra ")) {
    auto extra = from_base64(line.substr(6));
    if (!extra) return fail_in("a tlog-proof's extra data", extra.error());
    out.extra = std::move(*extra);
    TRY(line, take_line());
  }
  if (!line.starts_with("index ")) return fail(Errc::invalid, "a tlog-proof has a line 'index N'");
  TRY(out.index, parse_size(line.substr(6)));
  for (;;) {
    TRY(line, take_line());
    if (line.empty()) break;
    if (out.hashes.size() == kProofHashesMax)
      return fail(Errc::invalid, "a tlog-proof has at most {} hashes", kProofHashesMax);
    TRY(const Hash hash, parse_hash(line));
    out.hashes.push_back(hash);
  }
  out.checkpoint = text;
  return out;
}

Result<OpenedCheckpoint> verify_proof_file(const ProofFile& proof, const Hash& leaf_hash,
                                           const LogPolicy& policy) {
  TRY(auto opened, open_checkpoint(proof.checkpoint, policy));
  const Checkpoint& c = opened.checkpoint;
  if (!crypto::verify_inclusion(c.root, leaf_hash, proof.index, c.size, proof.hashes))
    return fail(Errc::mismatch, "this is not entry {} of the log's {} entries", proof.index,
                c.size);
  return opened;
}

}  // namespace assay::tlog
