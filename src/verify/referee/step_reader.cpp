#include "verify/referee/step_reader.hpp"

#include <bit>

#include "canon/elementary.hpp"
#include "canon/fp16.hpp"

namespace assay::verify {
namespace {

constexpr std::uint32_t part(std::uint64_t values, std::uint64_t chunk) {
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(kChunkValues, values - chunk * kChunkValues));
}

float float_at(ByteView bytes, std::size_t i) {
  return std::bit_cast<float>(load_le<std::uint32_t>(&bytes[4 * i]));
}

Status check_length(ByteView answer, std::size_t length, std::string_view what) {
  if (answer.size() == length) return {};
  return fail(Errc::invalid, "{} has {} bytes, the step needs {}", what, answer.size(), length);
}

}  // namespace

StepValue number(float value) {
  if (!canon::finite(value)) return fault();
  return word(std::bit_cast<std::uint32_t>(value));
}

StepValue exp_of(float x) {
  if (!(x <= 0.0f)) return fault();
  return number(canon::exp(x));
}

float StepReader::before() const { return std::bit_cast<float>(bits_before()); }
float StepReader::running(std::uint32_t step) const { return std::bit_cast<float>(running_[step]); }

Result<ByteView> StepReader::keep(const Asked& asked, Result<ByteView> answer, std::size_t length) {
  held_.reset();
  CHECK_OK(answer);
  CHECK_OK(check_length(*answer, length, "a chunk of values"));
  std::ranges::copy(*answer, buffer_.begin());
  held_ = asked;
  held_size_ = length;
  return ByteView{buffer_.data(), length};
}

Result<ByteView> StepReader::leaf_bytes(StepInputs::Row row, std::uint32_t position,
                                        std::uint32_t leaf, std::uint64_t chunk) {
  const Asked asked{true, static_cast<std::uint32_t>(row), position, leaf, chunk};
  if (held_ == asked) return ByteView{buffer_.data(), held_size_};
  const bool x = row == StepInputs::Row::x;
  const std::size_t length = part(x ? program().dim : program().kv_dim(), chunk) * (x ? 4u : 2u);
  return keep(asked, inputs_.leaf_chunk(row, position, leaf, static_cast<std::uint32_t>(chunk)),
              length);
}

Result<ByteView> StepReader::bytes(const Source& source, std::uint64_t chunk) {
  if (source.from == Source::From::leaf_x)
    return leaf_bytes(StepInputs::Row::x, position(), source.leaf, chunk);
  const Asked asked{.which = source.op, .chunk = chunk};
  if (held_ == asked) return ByteView{buffer_.data(), held_size_};
  const Op& from = list_.ops[source.op];
  return keep(asked, inputs_.op_chunk(source.op, chunk),
              chunk_values(from, chunk, position()) * value_bytes(from.type));
}

Result<std::uint32_t> StepReader::bits(const Source& source, std::uint64_t element) {
  TRY(const ByteView b, bytes(source, element / kChunkValues));
  return load_le<std::uint32_t>(&b[element % kChunkValues * 4]);
}

Result<float> StepReader::value(const Source& source, std::uint64_t element) {
  TRY(const std::uint32_t b, bits(source, element));
  return std::bit_cast<float>(b);
}

Result<Floats> StepReader::range(const Source& source, std::uint64_t begin, std::uint32_t count) {
  Floats out;
  for (std::uint64_t i = begin; i < begin + count; ++i) {
    TRY(const float v, value(source, i));
    out.push(v);
  }
  return out;
}

Result<Floats> StepReader::chunk(const Source& source, std::uint64_t chunk) {
  TRY(const ByteView b, bytes(source, chunk));
  Floats out;
  for (std::size_t i = 0; i < b.size() / 4; ++i) out.push(float_at(b, i));
  return out;
}

Result<ByteView> StepReader::weights(const TensorShape& tensor, std::uint64_t row,
                                     std::uint32_t chunk) {
  const canon::FormatInfo& f = canon::info(tensor.format);
  const std::uint32_t cols = part(tensor.cols, chunk);
  TRY(const ByteView b, inputs_.weight(tensor, row, chunk));
  CHECK_OK(check_length(b, cols / f.block_values * f.block_bytes, "a chunk of weights"));
  if (canon::find_non_finite(tensor.format, b.data(), cols))
    return fail(Errc::unsupported,
                "the model is invalid: tensor {}, row {}, chunk {} has a number that is not finite",
                tensor.index, row, chunk);
  return b;
}

Result<float> StepReader::weight(const TensorShape& tensor, std::uint64_t column) {
  TRY(const ByteView b, weights(tensor, 0, static_cast<std::uint32_t>(column / kChunkValues)));
  return float_at(b, column % kChunkValues);
}

Result<Floats> StepReader::cache(StepInputs::Row row, const Source& own, std::uint32_t position_of,
                                 std::uint32_t begin, std::uint32_t count) {
  Floats out;
  for (std::uint32_t i = begin; i < begin + count; ++i) {
    const std::uint32_t chunk = i / kChunkValues;
    TRY(const ByteView b, given(own) && position_of == position()
                              ? bytes(own, chunk)
                              : leaf_bytes(row, position_of, op().layer, chunk));
    out.push(canon::from_fp16(load_le<std::uint16_t>(&b[i % kChunkValues * 2])));
  }
  return out;
}

Result<std::array<float, 2>> StepReader::rotation(std::uint32_t pair) {
  const std::uint64_t width = program().head_dim, values = program().context * width;
  const std::uint64_t at = position() * width + 2 * pair;
  TRY(const ByteView b, inputs_.rope(at / kChunkValues));
  CHECK_OK(check_length(b, part(values, at / kChunkValues) * 4, "a chunk of the RoPE table"));
  const std::size_t i = at % kChunkValues;
  return std::array{float_at(b, i), float_at(b, i + 1)};
}

Result<ByteView> StepReader::tokens(bool answer, std::uint32_t chunk) {
  const std::uint32_t count = answer ? subject_.count : subject_.prompt();
  TRY(const ByteView b, inputs_.tokens(answer, chunk));
  CHECK_OK(check_length(b, part(count, chunk) * 4, "a chunk of token ids"));
  return b;
}

Result<std::uint32_t> StepReader::token(std::uint32_t index) {
  const bool answer = index >= subject_.prompt();
  const std::uint32_t i = answer ? index - subject_.prompt() : index;
  if (answer && i >= subject_.count)
    return fail(Errc::invalid, "token {} is beyond prompt and answer", index);
  TRY(const ByteView b, tokens(answer, i / kChunkValues));
  return load_le<std::uint32_t>(&b[i % kChunkValues * 4]);
}

Result<std::uint32_t> StepReader::logprob_number(std::uint32_t answer_token, std::uint64_t index) {
  TRY(const ByteView b, inputs_.logprobs(answer_token));
  CHECK_OK(check_length(b, op().values * 4, "a list of log-probabilities"));
  return load_le<std::uint32_t>(&b[4 * index]);
}

Result<protocol::ConstraintParts> StepReader::constraint() {
  TRY(const ByteView b, inputs_.constraint_parts());
  CHECK_OK(check_length(b, protocol::kConstraintPartsBytes, "the constraint"));
  return protocol::constraint_parts(b.first<protocol::kConstraintPartsBytes>());
}

Result<ByteView> StepReader::piece(std::uint32_t token) {
  TRY(const ByteView b, inputs_.piece(token));
  if (b.empty() || b.size() > kPieceLeafMax)
    return fail(Errc::invalid, "the piece of token {} has {} bytes", token, b.size());
  return b;
}

Result<ByteView> StepReader::automaton_row(std::uint32_t state) {
  TRY(const ByteView b, inputs_.automaton_row(state));
  CHECK_OK(check_length(b, protocol::kAutomatonRowBytes, "a row of the automaton"));
  return b;
}

}  // namespace assay::verify
