// What tests/fuzz/proof_fuzz.cpp runs and corpus_test.cpp replays: the referee on hostile bytes. A
// liar's commitments open to whatever it likes, so steps are executed on arbitrary inputs, too.
#pragma once
#include "base/assert.hpp"
#include "protocol/tokens.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {

// Inputs of the right length out of arbitrary bytes, over and over.
class ArbitraryInputs final : public StepInputs {
 public:
  ArbitraryInputs(const Subject& subject, const OpList& list, std::uint32_t position, ByteView data)
      : subject_(subject), list_(list), position_(position), data_(data) {}

  Result<ByteView> op_chunk(std::uint32_t op, std::uint64_t chunk) override {
    if (op >= list_.ops.size() || chunk >= list_.ops[op].chunks)
      return fail(Errc::invalid, "no such chunk");
    return next(chunk_values(list_.ops[op], chunk, position_) * value_bytes(list_.ops[op].type));
  }
  Result<ByteView> leaf_chunk(Row row, std::uint32_t, std::uint32_t, std::uint32_t chunk) override {
    const bool x = row == Row::x;
    return part(x ? subject_.program.dim : subject_.program.kv_dim(), chunk, x ? 4 : 2);
  }
  Result<ByteView> weight(const TensorShape& tensor, std::uint64_t row,
                          std::uint32_t chunk) override {
    if (row >= tensor.rows || chunk >= row_chunks(tensor))
      return fail(Errc::invalid, "no such row");
    const canon::FormatInfo& f = canon::info(tensor.format);
    const std::uint64_t values =
        std::min<std::uint64_t>(kChunkValues, tensor.cols - std::uint64_t{chunk} * kChunkValues);
    return next(values / f.block_values * f.block_bytes);
  }
  Result<ByteView> rope(std::uint64_t chunk) override {
    return part(std::uint64_t{subject_.program.context} * subject_.program.head_dim, chunk, 4);
  }
  Result<ByteView> tokens(bool answer, std::uint32_t chunk) override {
    return part(answer ? subject_.count : subject_.prompt(), chunk, 4);
  }
  Result<ByteView> logprobs(std::uint32_t) override {
    return next(4 * std::size_t{protocol::logprob_width(subject_.request)});
  }
  Result<ByteView> constraint_parts() override { return next(protocol::kConstraintPartsBytes); }
  Result<ByteView> piece(std::uint32_t token) override { return next(1 + token % 70); }
  Result<ByteView> automaton_row(std::uint32_t) override {
    return next(protocol::kAutomatonRowBytes);
  }

 private:
  Result<ByteView> part(std::uint64_t values, std::uint64_t chunk, std::size_t width) {
    if (chunk * kChunkValues >= values) return fail(Errc::invalid, "no such chunk");
    return next(std::min<std::uint64_t>(kChunkValues, values - chunk * kChunkValues) * width);
  }
  ByteView next(std::size_t bytes) {
    answer_.resize(bytes);
    for (std::uint8_t& b : answer_) b = data_.empty() ? 0 : data_[at_++ % data_.size()];
    return answer_;
  }

  const Subject& subject_;
  const OpList& list_;
  std::uint32_t position_;
  ByteView data_;
  std::size_t at_ = 0;
  Bytes answer_;
};

// A subject of small shapes with every piece of sampling switched by a bit.
inline Subject fuzz_subject(std::uint8_t format, std::uint8_t sampling) {
  Subject s;
  Program& p = s.program;
  p.qkv_bias = (format & 0x40) != 0;
  p.qk_norm = (format & 0x80) != 0;
  p.architecture = p.qkv_bias ? "qwen2" : p.qk_norm ? "qwen3" : "llama";
  p.qk_norm = p.qk_norm && !p.qkv_bias;
  p.rope_halves = p.qkv_bias || p.qk_norm;
  p.vocab = 600, p.dim = 512, p.layers = 2, p.heads = 4, p.kv_heads = 2, p.head_dim = 128;
  p.ffn = 768, p.context = 1024, p.rms_epsilon = 1e-5f, p.rope_base = 1e4f;
  p.formats.assign(2 * (9 + (p.qkv_bias ? 3 : 0) + (p.qk_norm ? 2 : 0)) + 3,
                   canon::formats()[format % canon::formats().size()].format);
  protocol::Request& r = s.request;
  r.prompt_count = 500;
  r.continuation = (sampling & 1) != 0 ? 20 : 0;
  if ((format & 0x20) != 0) r.constraint.fill(7);
  if ((sampling & 2) != 0) r.logit_bias = {{9, 0x42280000}, {70000, 0x42280000}};
  if ((sampling & 4) != 0) r.repetition_penalty_bits = 0x3f8ccccd;
  if ((sampling & 8) != 0) r.presence_penalty_bits = r.frequency_penalty_bits = 0x3f000000;
  if ((sampling & 16) != 0) r.temperature_bits = 0x3f333333;
  if ((sampling & 32) != 0) r.top_k = 40;
  if ((sampling & 64) != 0) r.top_p_bits = 0x3f733333, r.min_p_bits = 0x3c23d70a;
  if ((sampling & 128) != 0) r.logprobs = 4;
  s.count = 100;
  s.finish = 1;
  return s;
}

// format, sampling, leaf, op (a byte each), position (2), element (4), step (2), then the running
// value before the step (4) and proof or inputs.
inline std::optional<StepValue> fuzz_proof(ByteView data) {
  if (data.size() < 16) return std::nullopt;
  const Subject subject = fuzz_subject(data[0], data[1]);
  LeafPlace leaf{load_le<std::uint16_t>(&data[4]) % 599u, data[2] % 3u, (data[2] & 0x80) != 0};
  if (leaf.index == 2 && leaf.position < subject.first_sampled()) leaf.index = 1;
  const OpList list = ops_of(subject, leaf);
  const std::uint32_t op = static_cast<std::uint32_t>(data[3] % list.ops.size());
  const std::uint64_t elements = list.ops[op].chunks * kChunkValues;
  const StepPlace place{leaf, op, load_le<std::uint32_t>(&data[6]) % elements,
                        load_le<std::uint16_t>(&data[10]) % list.ops[op].steps};
  const std::vector<std::uint32_t> running(place.step, load_le<std::uint32_t>(&data[12]));
  data = data.subspan(16);

  // Nothing opens against roots that are all zero but what has no path to climb.
  Revealed revealed;
  revealed.positions = 599;
  revealed.position_leaves = leaf.fault ? leaf.index + 1 : position_leaves(subject, leaf.position);
  revealed.op_roots.resize(list.ops.size());
  const auto verdict = judge_step(subject, revealed, place, running, 0, data);
  ASSAY_ASSERT(!verdict || *verdict != StepVerdict::invalid_model);

  ArbitraryInputs inputs(subject, list, leaf.position, data), again = inputs;
  const auto value = execute_step(subject, list, place, running, inputs);
  const auto same = execute_step(subject, list, place, running, again);
  ASSAY_ASSERT(value.has_value() == same.has_value());
  if (!value) return std::nullopt;
  ASSAY_ASSERT(value->fault == same->fault && (value->fault || value->bits == same->bits));
  const std::size_t width = value_bytes(list.ops[op].type);
  ASSAY_ASSERT(value->fault || width == 4 || value->bits >> (8 * width) == 0);
  return *value;
}

}  // namespace assay::verify
