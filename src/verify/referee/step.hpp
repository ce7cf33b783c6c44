// One step of one element, executed from inputs somebody else supplies: the heart of the referee.
// The same function computes whole ops for a prover (inputs in memory), writes a proof (inputs that
// remember what was asked) and judges one (inputs opened from the proof).
#pragma once
#include "verify/referee/ops.hpp"

namespace assay::verify {

// Longest leaf of a piece that a proof may hold.
inline constexpr std::size_t kPieceLeafMax = 1024;

// What a step may ask for. Spans live until the next call. Errors: mismatch (a proof that does not
// open), invalid (its shape), unsupported (a weight chunk or tensor that makes the model invalid).
struct StepInputs {
  virtual ~StepInputs() = default;
  virtual Result<ByteView> op_chunk(std::uint32_t op, std::uint64_t chunk) = 0;
  enum class Row : std::uint8_t { x, k, v };
  // A vector of leaf (position, leaf), a cell (x also of a head).
  virtual Result<ByteView> leaf_chunk(Row row, std::uint32_t position, std::uint32_t leaf,
                                      std::uint32_t chunk) = 0;
  virtual Result<ByteView> weight(const TensorShape& tensor, std::uint64_t row,
                                  std::uint32_t chunk) = 0;  // GGUF bytes of ≤ 256 values
  virtual Result<ByteView> rope(std::uint64_t chunk) = 0;    // 256 floats of the RoPE table
  // le32 ids of chunk `chunk` of the prompt, or of the answer tape.
  virtual Result<ByteView> tokens(bool answer, std::uint32_t chunk) = 0;
  virtual Result<ByteView> logprobs(std::uint32_t answer_token) = 0;  // le32 numbers
  // What the request's constraint commits to (protocol/constraint.hpp): asked first; then the piece
  // of a token of the vocabulary, u8 kind ‖ bytes, of any length up to kPieceLeafMax; and the row
  // of a state below the number the parts have.
  virtual Result<ByteView> constraint_parts() = 0;
  virtual Result<ByteView> piece(std::uint32_t token) = 0;
  virtual Result<ByteView> automaton_row(std::uint32_t state) = 0;
};

struct StepPlace {
  LeafPlace leaf;
  std::uint32_t op = 0;
  std::uint64_t element = 0;
  std::uint32_t step = 0;
};

struct StepValue {
  std::uint32_t bits = 0;  // of the op's type, zero-extended (i8: two's complement byte)
  bool fault = false;      // NaN or infinite; bits mean nothing
};

// running: r_0 … r_{step-1} of the element, bits. Work is bounded by 256 values, memory too.
Result<StepValue> execute_step(const Subject& subject, const OpList& list, const StepPlace& place,
                               std::span<const std::uint32_t> running, StepInputs& inputs);

}  // namespace assay::verify
