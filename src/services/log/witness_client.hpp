// The log's side of the witness protocol: one witness, asked for its cosignature.
#pragma once
#include "io/http_client.hpp"
#include "tlog/tree.hpp"
#include "tlog/witness.hpp"

namespace assay::services {

struct WitnessPeer {
  tlog::VerifierKey key;  // of type cosignature
  std::string url;        // submission prefix
  // "<vkey>@<url>". Errors: invalid.
  static Result<WitnessPeer> parse(std::string_view text);
};

// One thread at a time.
class WitnessClient {
 public:
  WitnessClient(WitnessPeer peer, std::int64_t timeout_ms);

  // The cosignature of this witness on the note, verified. A witness that knows another size is
  // told from there. Errors: mismatch when the witness has seen more than this tree (then this log
  // has forgotten something it signed), or answers with no signature of its own; unavailable.
  Result<tlog::NoteSignature> cosign(const tlog::Note& note, std::uint64_t size, tlog::Tree& tree);
  const WitnessPeer& peer() const { return peer_; }

 private:
  WitnessPeer peer_;
  io::HttpClient client_;
  std::uint64_t known_size_ = 0;  // what the witness last said it had
};

}  // namespace assay::services
