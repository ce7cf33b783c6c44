#include "services/log/witness_client.hpp"

#include "settle/http_json.hpp"

namespace assay::services {
namespace {

io::HttpClientOptions client_options(std::int64_t timeout_ms) {
  io::HttpClientOptions options;
  options.peer_word = "witness";
  options.connect_timeout_ms = options.total_timeout_ms = options.idle_timeout_ms = timeout_ms;
  options.max_body_bytes = 64u << 10;
  return options;
}

}  // namespace

Result<WitnessPeer> WitnessPeer::parse(std::string_view text) {
  const auto at = text.find('@', text.rfind('+') + 1);
  if (at == std::string_view::npos) return fail(Errc::invalid, "a witness is <vkey>@<url>");
  WitnessPeer out;
  TRY(out.key, tlog::VerifierKey::parse(text.substr(0, at)));
  if (out.key.type != tlog::KeyType::cosignature)
    return fail(Errc::invalid, "a witness's key is of type 0x04 (cosignature)");
  out.url = settle::without_slash(std::string(text.substr(at + 1)));
  return out;
}

WitnessClient::WitnessClient(WitnessPeer peer, std::int64_t timeout_ms)
    : peer_(std::move(peer)), client_(client_options(timeout_ms)) {}

Result<tlog::NoteSignature> WitnessClient::cosign(const tlog::Note& note, std::uint64_t size,
                                                  tlog::Tree& tree) {
  const std::string url = peer_.url + "/add-checkpoint";
  for (int attempt = 0;; ++attempt) {
    tlog::AddCheckpoint request{known_size_, {}, tlog::to_string(note)};
    TRY(request.proof, tree.consistency_proof(known_size_, size));
    TRY(const auto reply, client_.post_text(url, tlog::to_string(request)));
    if (reply.status == 409 && attempt == 0) {
      const std::string_view body = reply.body;
      const auto told = tlog::parse_size(body.substr(0, body.find('\n')));
      if (!told) return fail(Errc::unavailable, "witness {}: 409 without a size", peer_.key.name);
      if (*told > size)
        return fail(Errc::mismatch,
                    "witness {} has cosigned {} entries of this log, which now has {}: did its "
                    "folder go back to an old copy?",
                    peer_.key.name, *told, size);
      known_size_ = *told;
      continue;
    }
    if (reply.status != 200)
      return fail(Errc::unavailable, "witness {} answers {}: {}", peer_.key.name, reply.status,
                  std::string_view(reply.body).substr(0, reply.body.find('\n')));
    TRY(const auto lines, tlog::parse_signature_lines(reply.body));
    for (const auto& line : lines) {
      const tlog::Note alone{note.text, {line}};
      if (!tlog::verify_note(alone, std::span(&peer_.key, 1))) continue;
      known_size_ = size;
      return line;
    }
    return fail(Errc::mismatch, "witness {} sent no cosignature of its key", peer_.key.name);
  }
}

}  // namespace assay::services
