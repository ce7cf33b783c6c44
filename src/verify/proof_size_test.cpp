// How long proofs get: every kind of step of a 70B model at position 32767, from shapes alone.
#include <gtest/gtest.h>
#include <set>

#include "protocol/tokens.hpp"
#include "verify/execution_testutil.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

// Answers with zeros, or ids from all over the vocabulary, and counts what a proof would hold.
class SizingInputs final : public StepInputs {
 public:
  SizingInputs(const Subject& subject, const OpList& list, const LeafPlace& place,
               std::uint32_t positions, std::size_t name)
      : subject_(subject), list_(list), place_(place), positions_(positions), name_(name) {}

  Result<ByteView> op_chunk(std::uint32_t op, std::uint64_t chunk) override {
    const Op& of = list_.ops[op];
    const std::size_t bytes = chunk_values(of, chunk, place_.position) * value_bytes(of.type);
    if (!of.scalar) count(bytes, chunk, of.chunks);
    answer_.assign(bytes, 0);
    for (std::uint32_t i = 0; of.type == ValueType::u32 && i < bytes / 4; ++i) {
      const std::uint32_t id = (i * 7919u + 4711u) % subject_.program.vocab;
      std::memcpy(&answer_[4 * i], &id, 4);
    }
    return ByteView(answer_);
  }
  Result<ByteView> leaf_chunk(Row row, std::uint32_t position, std::uint32_t leaf,
                              std::uint32_t chunk) override {
    const std::uint64_t values = row == Row::x ? subject_.program.dim : subject_.program.kv_dim();
    if (position != place_.position || leaf != place_.index) {
      size += 4 * sizeof(Hash);
      const bool here = position == place_.position;
      const std::uint32_t last = subject_.program.layers + 1;
      count(0, leaf,
            here && place_.fault ? place_.index + 1
            : here               ? last
                                 : position_leaves(subject_, position));
      if (!here) count(0, position, positions_);
    }
    return values_of(values, chunk, row == Row::x ? 4 : 2);
  }
  Result<ByteView> weight(const TensorShape& tensor, std::uint64_t row,
                          std::uint32_t chunk) override {
    const canon::FormatInfo& f = canon::info(tensor.format);
    const std::uint64_t values =
        std::min<std::uint64_t>(kChunkValues, tensor.cols - chunk * std::uint64_t{kChunkValues});
    const bool vector = tensor.rows == 1;
    size += 4 + 4 + name_ + 8 + (vector ? 8 : 16);
    const std::size_t bytes = values / f.block_values * f.block_bytes;
    count(bytes, row * row_chunks(tensor) + chunk, tensor.rows * row_chunks(tensor));
    count(0, tensor.index, subject_.program.formats.size());
    answer_.assign(bytes, 0);
    return ByteView(answer_);
  }
  Result<ByteView> rope(std::uint64_t chunk) override {
    return values_of(std::uint64_t{subject_.program.context} * subject_.program.head_dim, chunk, 4);
  }
  Result<ByteView> tokens(bool answer, std::uint32_t chunk) override {
    size += sizeof(Hash);
    return values_of(answer ? subject_.count : subject_.prompt(), chunk, 4);
  }
  Result<ByteView> logprobs(std::uint32_t answer_token) override {
    size += sizeof(Hash);
    const std::size_t bytes = 4 * std::size_t{protocol::logprob_width(subject_.request)};
    count(bytes, answer_token, subject_.count);
    answer_.assign(bytes, 0);
    return ByteView(answer_);
  }

  // The longest piece, and a row in the middle of the largest table.
  Result<ByteView> constraint_parts() override {
    answer_ =
        protocol::to_bytes({.table_root = {}, .states = canon::kStatesMax, .pieces_root = {}});
    size += answer_.size();
    return ByteView(answer_);
  }
  Result<ByteView> piece(std::uint32_t token) override {
    answer_.assign(1 + canon::kPieceMax, 1);
    size += 4;
    count(answer_.size(), token, subject_.program.vocab);
    return ByteView(answer_);
  }
  Result<ByteView> automaton_row(std::uint32_t state) override {
    answer_.assign(protocol::kAutomatonRowBytes, 0);
    count(answer_.size(), state, canon::kStatesMax);
    return ByteView(answer_);
  }

  std::size_t size = 0;

 private:
  void count(std::size_t bytes, std::uint64_t index, std::uint64_t leaves) {
    size += bytes + sizeof(Hash) * path_length(index, leaves);
  }
  Result<ByteView> values_of(std::uint64_t values, std::uint64_t chunk, std::size_t width) {
    const std::size_t bytes =
        std::min<std::uint64_t>(kChunkValues, values - chunk * kChunkValues) * width;
    count(bytes, chunk, (values + kChunkValues - 1) / kChunkValues);
    answer_.assign(bytes, 0);
    return ByteView(answer_);
  }

  const Subject& subject_;
  const OpList& list_;
  LeafPlace place_;
  std::uint32_t positions_;
  std::size_t name_;
  Bytes answer_;
};

std::uint32_t float_bits(float f) { return std::bit_cast<std::uint32_t>(f); }

Subject subject_of_70b(std::string architecture, canon::Format format) {
  Subject s;
  Program& p = s.program;
  p.architecture = std::move(architecture);
  p.vocab = 128256, p.dim = 8192, p.layers = 80, p.heads = 64, p.kv_heads = 8, p.head_dim = 128;
  p.ffn = 28672, p.context = 131072, p.rms_epsilon = 1e-5f, p.rope_base = 5e5f;
  p.qkv_bias = p.architecture == "qwen2";
  p.qk_norm = p.architecture == "qwen3";
  p.rope_halves = p.qkv_bias || p.qk_norm;
  p.formats.assign(80 * (9 + (p.qkv_bias ? 3 : 0) + (p.qk_norm ? 2 : 0)) + 3, format);
  protocol::Request& r = s.request;
  r.prompt_count = 32768 - 500;
  r.logit_bias = {{9, float_bits(40.0f)}};
  r.repetition_penalty_bits = float_bits(1.1f), r.presence_penalty_bits = float_bits(0.5f);
  r.temperature_bits = float_bits(0.7f), r.top_k = 100, r.top_p_bits = float_bits(0.95f),
  r.logprobs = 21;
  r.constraint.fill(1);
  s.count = 501;
  s.finish = 0;
  return s;
}

TEST(ProofSize, SeventyBillionAt32K) {
  std::map<std::string, std::size_t> largest;
  std::size_t all = 0;
  for (const char* architecture : {"llama", "qwen2", "qwen3"})
    for (const canon::FormatInfo& format : canon::formats()) {
      const Subject subject = subject_of_70b(architecture, format.format);
      for (const LeafPlace& place :
           {LeafPlace{32767, 0}, LeafPlace{32767, 40}, LeafPlace{32767, 80},
            LeafPlace{32767, 40, true}, LeafPlace{32767, 80, true}, LeafPlace{30000, 79}}) {
        const OpList list = ops_of(subject, place);
        for (std::uint32_t op = 0; op < list.ops.size(); ++op) {
          const Op& of = list.ops[op];
          if (of.kind == OpKind::threshold) continue;
          for (const std::uint64_t chunk : {std::uint64_t{0}, of.chunks / 2, of.chunks - 1}) {
            const std::uint64_t element =
                chunk * kChunkValues + chunk_values(of, chunk, place.position) - 1;
            const std::uint32_t steps = steps_of(of, element, place.position);
            for (const std::uint32_t step : std::set<std::uint32_t>{0, steps / 2, steps - 1}) {
              SizingInputs inputs(subject, list, place, 32768, 64);
              const std::vector<std::uint32_t> running(step);
              const auto value =
                  execute_step(subject, list, {place, op, element, step}, running, inputs);
              ASSERT_TRUE(value) << of.name << ": " << value.error().message;
              ASSERT_LE(inputs.size, kProofMax) << of.name;
              std::size_t& most = largest[of.name];
              most = std::max(most, inputs.size);
              all = std::max(all, inputs.size);
            }
          }
        }
      }
    }
  for (const auto& [name, bytes] : largest) RecordProperty("bytes_" + name, std::to_string(bytes));
  EXPECT_GT(all, 3072u);
  fmt::print("largest proof: {} bytes\n", all);
}

// What is counted here is what is written.
TEST(ProofSize, IsThatOfWrittenProofs) {
  ToyAsk ask{.shape = {.layers = 2, .context = 32}, .prompt = {1, 4, 8}};
  ask.ask = [](protocol::Request& r) {
    r.repetition_penalty_bits = float_bits(1.1f), r.temperature_bits = float_bits(1.0f),
    r.logprobs = 1;
    r.top_k = 3, r.top_p_bits = float_bits(0.9f);
  };
  ToyRun toy(ask);
  const OwnTrace paths(*toy.trace);
  for (const LeafPlace& place : toy.leaves()) {
    const LeafExecution leaf = toy.leaf(place);
    for (std::uint32_t op = 0; op < leaf.ops().ops.size(); ++op) {
      const Op& of = leaf.op(op);
      if (of.kind == OpKind::threshold) continue;
      const StepPlace at{place, op, 0, 0};
      std::size_t name = 0;
      if (of.tensor) name = toy.run.model->tensor(of.tensor->index).name.size();
      SizingInputs inputs(toy.run.subject, leaf.ops(), place, toy.positions(), name);
      ASSERT_TRUE(execute_step(toy.run.subject, leaf.ops(), at, {}, inputs));
      // Without a head a position has a leaf less than the largest that is counted.
      const std::size_t written = leaf.write_proof(at, paths, toy.pool)->size();
      // What is filtered out needs no noise: zeros are not.
      if (place.position >= toy.run.subject.first_sampled() && of.kind != OpKind::noisy) {
        EXPECT_EQ(inputs.size, written) << of.name;
      } else {
        EXPECT_GE(inputs.size, written) << of.name;
      }
    }
  }
}

}  // namespace
}  // namespace assay::verify
