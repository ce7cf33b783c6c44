// The trace: salted commitments to every state of an execution (spec/trace.md).
//
//   chunk      ≤ 256 values: leaf_hash(LE bytes of f32 or fp16)
//   vector     merkle_root of its chunks
//   cell(t,l)  leaf_hash("cell" ‖ le32 t ‖ le32 l ‖ salt(t,l) ‖ root x ‖ root k ‖ root v)
//   head(t)    leaf_hash("head" ‖ le32 t ‖ salt(t,L) ‖ root x ‖ root logits ‖ le32 token)
//   fault      leaf_hash("falt" ‖ le32 t ‖ le32 l ‖ salt(t, l)) in the place of leaf l (l == L: the
//              head) of position t; ends the trace, whatever was emitted beyond it
//   position   merkle_root(cells 0…L-1, then head where a token was sampled)
//   trace root sha256("assay/trace/v0" ‖ le32 positions ‖ le32 L ‖
//   merkle_root(leaf_hash(position))) salt(t,l)  HMAC-SHA256(secret, "assay/leaf/v0" ‖ le32 t ‖
//   le32 l)
#pragma once
#include <optional>

#include "base/bytes.hpp"
#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"
#include "engine/types.hpp"

namespace assay::verify {

// Collects leaf hashes only (32 bytes a leaf); cells may come in any order of position and layer.
// What it keeps of a cell for a prefix cache are the roots of x, k and v: no salt is in them, so
// that they serve any request.
class TraceBuilder : public engine::StateSink {
 public:
  static constexpr std::size_t kMemoBytes = 3 * sizeof(Hash);

  TraceBuilder(const Hash& salt_secret, std::uint32_t layers)
      : TraceBuilder(salt_secret, layers, {}) {}

  void reserve(std::uint32_t positions) override;
  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override;
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            engine::Token token) override;
  void expect_logits(std::uint32_t position, std::size_t count) override;
  void logits(std::uint32_t position, std::size_t part, std::span<const float> values) override;
  void fault(engine::NumericFault fault) override;
  std::size_t memo_bytes() const override { return key_ ? 0 : kMemoBytes; }
  void keep(std::uint32_t position, std::uint32_t layer, std::span<std::uint8_t> memo) override;
  void recall(std::uint32_t position, std::uint32_t layer,
              std::span<const std::uint8_t> memo) override;

  // A head by the roots of its states.
  void recall_head(std::uint32_t position, const Hash& x_root, const Hash& logits_root,
                   engine::Token token);

  // Takes a position's leaves as leaves() gave them: its cells, and perhaps a head.
  void restore(std::uint32_t position, std::span<const Hash> leaves);

  // Positions whose leaves are complete, counted from 0 without a gap.
  std::uint32_t positions() const;
  // Root over those positions. Costs O(new positions) since the last call: asked for at every
  // progress message.
  Hash root() const;
  std::vector<Hash> position_roots() const;
  // Of a complete position; empty for any other.
  std::vector<Hash> leaves(std::uint32_t position) const;

 protected:
  // Where there is a key, every chunk is hashed after it: leaf_hash(key ‖ chunk). What only the key
  // gives serves no other request, so nothing is kept for a prefix cache.
  TraceBuilder(const Hash& salt_secret, std::uint32_t layers, std::optional<Hash> key);
  Hash salt(std::uint32_t position, std::uint32_t layer) const;

 private:
  using CellRoots = std::array<Hash, 3>;  // of x, k and v
  struct Position {
    std::vector<Hash> leaves;  // L cells, then the head; all zero where it has not come
    CellRoots last{};          // of the cell that came last
    std::vector<Hash> logits;  // roots of the parts of a head that is to come
    std::uint32_t cells = 0;   // how many cells have come
    bool head = false;
    bool fault = false;  // leaves end with the fault
  };
  Position& at(std::uint32_t position);
  void put(std::uint32_t position, std::uint32_t layer, const CellRoots& roots);
  bool complete(const Position& p) const { return p.fault || p.cells == layers_; }
  std::span<const Hash> leaves_of(const Position& p) const;

  // HMAC's two keyed states: a salt then costs two compressions instead of four.
  crypto::Sha256 inner_, outer_;
  std::uint32_t layers_;
  std::optional<Hash> key_;
  std::vector<Position> positions_;
  bool ended_ = false;  // a fault has come

  // Positions [0, folded_) are in tree_; whatever changes one of them starts it again.
  mutable crypto::MerkleBuilder tree_;
  mutable std::uint32_t folded_ = 0;
};

// Over ≤ 256-value chunks, little-endian.
Hash vector_root(std::span<const float> values);
Hash vector_root(std::span<const std::uint16_t> values);
// The same of chunks hashed after a key (spec/audits.md).
Hash vector_root(std::span<const float> values, const Hash& key);
Hash vector_root(std::span<const std::uint16_t> values, const Hash& key);
Hash position_root(std::span<const Hash> leaves);
Hash trace_root(std::span<const Hash> position_roots, std::uint32_t layers);
// From the root of the tree of positions.
Hash trace_root(const Hash& tree, std::uint32_t positions, std::uint32_t layers);

// How many layers the signed root says these positions have: a provider that ran another model may
// have run one of another depth. Tried up to 1024; nullopt: the roots are not what was signed.
std::optional<std::uint32_t> layers_behind(std::span<const Hash> position_roots,
                                           const Hash& signed_root);

}  // namespace assay::verify
