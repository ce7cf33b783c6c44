// Keyed traces and checks of an auditor's pass (spec/audits.md): an auditor commits to a tree that
// only whoever has the values can make for its nonce, and is asked later for one place of it.
//
//   keyed chunk  leaf_hash(n ‖ chunk bytes), n the auditor's nonce (protocol/audit_keys.hpp)
//   the rest     as the trace, with salts from n
//
// judge: pure functions of the bytes beside the operations; they take hostile input.
#pragma once
#include <map>

#include "protocol/messages.hpp"
#include "verify/referee/ops.hpp"
#include "verify/trace.hpp"

namespace assay::verify {

// As TraceBuilder, of the keyed tree. root() is what the auditor commits to.
class KeyedBuilder : public TraceBuilder {
 public:
  KeyedBuilder(const Hash& nonce, std::uint32_t layers) : TraceBuilder(nonce, layers, nonce) {}
};

enum class StateVector : std::uint8_t { x = 0, k = 1, v = 2, logits = 3 };

// A chunk of one vector of one leaf. leaf == layers: the head, whose vectors are x and logits.
struct CheckPlace {
  std::uint32_t position = 0, leaf = 0;
  StateVector vector = StateVector::x;
  std::uint32_t chunk = 0;
  bool operator==(const CheckPlace&) const = default;
};

// From a chunk up to the root of the tree of positions.
struct TracePath {
  std::array<Hash, 3> roots{};  // of x, k and v; of x and logits, the third zero
  std::vector<Hash> chunk_path, leaf_path, position_path;
  Hash position_root{}, tree_root{};
};

// Beside an AuditCheck: values the provider committed to.
struct CheckProof {
  CheckPlace place;
  std::uint32_t positions = 0, layers = 0, leaves = 0, chunks = 0;  // sizes of the trees
  Hash salt{};                                                      // of the leaf
  std::uint32_t token = 0;                                          // of a head
  TracePath path;
  Bytes values;
};
// Beside a CheckAnswer.
struct CheckReply {
  Hash key{};
  TracePath path;
};
Bytes check_proof_bytes(const CheckProof& proof);
Bytes check_reply_bytes(const CheckReply& reply);
// Any bytes. invalid: malformed.
Result<CheckProof> parse_check_proof(ByteView bytes);
Result<CheckReply> parse_check_reply(ByteView bytes);

// The proof opens these values under the subject's trace root, at a place that a trace of this
// subject has. Errors: invalid (malformed; no such place), mismatch (does not open).
Status open_check(const Subject& subject, ByteView proof);

// What the auditor's nonce is made from, and what it committed.
struct KeyedTerms {
  Hash beacon{}, audit{};
  protocol::Address auditor{};
  Hash nonce_hash{}, root_hash{};
};
// `proof` was opened before. Errors: invalid (malformed), mismatch (another key than the one
// committed, other values, another tree).
Status judge_check(ByteView proof, const KeyedTerms& terms, ByteView reply);

// Watches an execution go by for any number of places: run it into a recorder with the request's
// salt secret to make proofs, with the nonce to make replies.
class PlaceRecorder final : public TraceBuilder {
 public:
  // Of the trace.
  PlaceRecorder(const Hash& salt_secret, std::uint32_t layers, std::vector<CheckPlace> places);
  // Of the keyed tree.
  static PlaceRecorder keyed(const Hash& nonce, std::uint32_t layers,
                             std::vector<CheckPlace> places);

  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override;
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            engine::Token token) override;
  // Values must come by: nothing of a prefix cache will do.
  std::size_t memo_bytes() const override { return 0; }

  // Once the execution is over, of the places in their order. nullopt: it has no such place.
  std::optional<CheckProof> proof(std::size_t index = 0) const;

 private:
  struct Seen {
    CheckPlace place;
    std::array<Hash, 3> roots{};
    std::vector<Hash> chunk_leaves{};
    std::uint32_t token = 0;
    Bytes values{};
  };
  PlaceRecorder(const Hash& salt_secret, std::uint32_t layers, std::vector<CheckPlace> places,
                std::optional<Hash> key);
  template <class T>
  Hash root_of(std::span<const T> values) const;
  template <class T>
  void take(Seen& seen, std::span<const T> values) const;

  std::uint32_t depth_;
  std::optional<Hash> key_;
  std::vector<Seen> seen_;
  // Position and leaf → seen_.
  std::multimap<std::pair<std::uint32_t, std::uint32_t>, std::size_t> at_;
};

// A proof from what a provider serves (protocol/states.hpp), without a model. `chunk_leaves` are
// those of the whole vector; the place must exist in what is given (asserted).
CheckProof make_check_proof(const CheckPlace& place, std::span<const Hash> position_roots,
                            std::uint32_t layers, std::span<const Hash> leaves,
                            const std::array<Hash, 3>& roots, std::span<const Hash> chunk_leaves,
                            const Hash& salt, std::uint32_t token, Bytes values);

}  // namespace assay::verify
