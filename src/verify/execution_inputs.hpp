// Inputs of steps out of the memory of somebody who executes a leaf, and the same with every
// opening written down (spec/dispute.md section 5).
#pragma once
#include "verify/execution.hpp"

namespace assay::verify {

// For one thread; the execution must outlive it.
class MemoryInputs : public StepInputs {
 public:
  explicit MemoryInputs(const LeafExecution& leaf) : leaf_(leaf) {}

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

 protected:
  // The whole vector; empty: this execution does not have it.
  ByteView row(Row row, std::uint32_t position, std::uint32_t leaf) const;

  const LeafExecution& leaf_;

 private:
  std::vector<float> rope_;
  Bytes parts_, piece_, automaton_row_;
};

// Appends to `proof` what a referee's ProofInputs reads for the same questions.
class RecordingInputs final : public MemoryInputs {
 public:
  RecordingInputs(const LeafExecution& leaf, const TracePaths& paths, ThreadPool& pool,
                  Bytes& proof)
      : MemoryInputs(leaf), paths_(paths), pool_(pool), proof_(proof) {}

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

 private:
  void write(ByteView bytes, std::span<const Hash> path);

  const TracePaths& paths_;
  ThreadPool& pool_;
  Bytes& proof_;
};

}  // namespace assay::verify
