// The one-file evidence bundle (spec/export.md): what an auditor or a journalist files away. A
// receipt and whatever else is there: the opening or chosen chunks of it, a log proof, an anchor,
// attestations of the model file's name. Reading it checks forms only; verify/bundle.hpp judges.
#pragma once
#include <optional>

#include "protocol/files.hpp"
#include "protocol/tokens.hpp"

namespace assay::protocol {

inline constexpr std::size_t kBundleChunksMax = 4096, kBundleAliasesMax = 16,
                             kBundleWitnessesMax = 64;

// One chunk of 256 tokens of the prompt or the answer: it discloses these and nothing else.
struct OpenedChunk {
  TokenList list = TokenList::tape;
  std::uint32_t chunk = 0;
  Bytes leaf{};  // salt ‖ le32 ids
  std::vector<Hash> path{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("list", s.list);
    v("chunk", s.chunk);
    v("leaf", s.leaf);
    v("path", s.path);
  }
};

// Where the log has the receipt. The keys are hints: a reader brings those it trusts.
struct LogEvidence {
  std::string proof{};  // C2SP tlog-proof: the entry, the checkpoint and its cosignatures included
  Hash salt{};          // of the entry's commitment (spec/log.md section 1); opens nothing else
  std::string log_key{};                    // verifier key (vkey) of the log
  std::vector<std::string> witness_keys{};  // vkeys
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("proof", s.proof);
    v("salt", s.salt);
    v("log_key", s.log_key);
    v("witness_keys", s.witness_keys);
  }
};

// What a log's section proves, once tlog/evidence.hpp has judged it.
struct Cosignature {
  std::string witness{};
  std::uint64_t time = 0;  // Unix seconds, the witness's word
  bool trusted = false;    // by a key that the reader brought, not the bundle
};
struct LogPlace {
  std::string origin{};
  std::uint64_t index = 0, size = 0;
  Hash root{};
  bool trusted = false;  // the checkpoint is signed by a key that the reader brought
  std::vector<Cosignature> cosignatures{};  // in the order of time
};

// The chain's transaction that carries the root of a log's checkpoint.
struct Anchor {
  std::uint64_t chain_id = 0, block = 0;
  Address contract{};
  Hash transaction{};
  std::uint64_t size = 0;  // of the log
  Hash root{};
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("chain_id", s.chain_id);
    v("block", s.block);
    v("contract", s.contract);
    v("transaction", s.transaction);
    v("size", s.size);
    v("root", s.root);
  }
};

// Somebody's signature over the model's files (an OpenSSF Model Signing bundle). The key is a hint.
struct AliasAttestation {
  std::string public_key{};  // PEM; empty: the bundle carries a certificate
  json::object bundle{};     // Sigstore bundle, as it was published
  template <class S, class V>
  static void fields(S& s, V&& v) {
    v("public_key", s.public_key);
    v("bundle", s.bundle);
  }
};

struct Bundle {
  ReceiptFile receipt{};
  std::optional<Opening> opening{};
  std::vector<OpenedChunk> chunks{};
  std::optional<LogEvidence> log{};
  std::optional<Anchor> anchor{};
  std::vector<AliasAttestation> aliases{};
};

std::string to_text(const Bundle& bundle);  // "assay": "bundle/0"; what is absent is null or []
Result<Bundle> bundle_from_json(const json::object& o);
Result<Anchor> anchor_from_json(const json::value& v);  // that section alone

// The answer's chunks, or the prompt's: made from an opening, without its secret.
std::vector<OpenedChunk> open_chunks(const Opening& opening, TokenList list);
// The ids a chunk discloses. Errors: mismatch unless it is a chunk of what the receipt and its
// request commit to.
Result<std::vector<std::uint32_t>> check_chunk(const ReceiptFile& file, const OpenedChunk& chunk);

}  // namespace assay::protocol
