// Openings: values with the Merkle paths that tie them to what a provider committed or a request
// binds (spec/dispute.md section 5), and a step's inputs read from a list of them.
#pragma once
#include "crypto/merkle.hpp"
#include "protocol/constraint.hpp"
#include "verify/referee/referee.hpp"

namespace assay::verify {

// Longest preimage of a tensor's leaf that a proof may hold.
inline constexpr std::uint32_t kTensorLeafMax = 256;

// The commitments of spec/trace.md to one leaf; `leaf` is the layer, or the layers for a head.
Hash leaf_salt(const Hash& secret, std::uint32_t position, std::uint32_t leaf);
Hash cell_leaf(std::uint32_t position, std::uint32_t layer, const Hash& salt, const Hash& x,
               const Hash& k, const Hash& v);
Hash head_leaf(std::uint32_t position, const Hash& salt, const Hash& x, const Hash& logits,
               std::uint32_t token);
Hash fault_leaf(std::uint32_t position, std::uint32_t layer, const Hash& salt);

// Leaves of a position that no fault ends: its cells, and a head from n - c - 1 on.
std::uint32_t position_leaves(const Subject& subject, std::uint32_t position);

// Hashes on the path from leaf `index` of `size` (index < size) to the root.
std::size_t path_length(std::uint64_t index, std::uint64_t size);

// A chunk of a tensor: how many a row has, and its leaf (spec/model.md, "Weights root").
std::uint32_t row_chunks(const TensorShape& tensor);
Hash weight_leaf(std::uint32_t tensor, std::uint64_t row, std::uint32_t chunk, ByteView bytes);

// Reads the openings in the order in which a step asks for them. Subject, Revealed, OpList and the
// proof must outlive it; the spans it gives live as long as they do. Any proof is safe; so is any
// question of a step whose inputs came from a proof (an index out of range is an error: invalid).
class ProofInputs final : public StepInputs {
 public:
  ProofInputs(const Subject& subject, const Revealed& revealed, const OpList& list,
              const LeafPlace& leaf, ByteView proof);

  Result<ByteView> op_chunk(std::uint32_t op, std::uint64_t chunk) override;
  Result<ByteView> leaf_chunk(Row row, std::uint32_t position, std::uint32_t leaf,
                              std::uint32_t chunk) override;
  Result<ByteView> weight(const TensorShape& tensor, std::uint64_t row,
                          std::uint32_t chunk) override;
  Result<ByteView> rope(std::uint64_t chunk) override;
  Result<ByteView> tokens(bool answer, std::uint32_t chunk) override;
  Result<ByteView> logprobs(std::uint32_t answer_token) override;
  Result<ByteView> constraint_parts() override;
  Result<ByteView> piece(std::uint32_t token) override;
  Result<ByteView> automaton_row(std::uint32_t state) override;

  bool finished() const { return rest_.empty(); }
  // A weight that no valid model has was proven: the last opening, after which the step ended.
  bool invalid_model() const { return invalid_model_; }

 private:
  Result<ByteView> take(std::size_t bytes);
  Result<Hash> take_hash();
  // The root of a tree of `size` leaves over leaf `index`, by the path that comes next.
  Result<Hash> climb(Hash hash, std::uint64_t index, std::uint64_t size);
  Status expect(const Hash& leaf, std::uint64_t index, std::uint64_t size, const Hash& root,
                std::string_view what);
  Result<ByteView> salted(std::size_t bytes, std::uint64_t index, std::uint64_t size,
                          const Hash& root, std::string_view what);

  const Subject& subject_;
  const Revealed& revealed_;
  const OpList& list_;
  LeafPlace leaf_;
  ByteView rest_;
  std::optional<protocol::ConstraintParts> parts_;
  bool invalid_model_ = false;
};

}  // namespace assay::verify
