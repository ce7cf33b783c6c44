#include "verify/execution_inputs.hpp"

#include "crypto/sha256.hpp"
#include "protocol/tokens.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

// Chunk `chunk` of `values` values of `width` bytes; empty: there is none.
ByteView cut(ByteView bytes, std::uint64_t chunk, std::size_t width) {
  const std::size_t size = kChunkValues * width;
  if (chunk >= (bytes.size() + size - 1) / size) return {};
  return bytes.subspan(chunk * size, std::min(size, bytes.size() - chunk * size));
}

std::vector<Hash> chunk_hashes(ByteView bytes, std::size_t width) {
  std::vector<Hash> out;
  for (std::uint64_t c = 0; c * kChunkValues * width < bytes.size(); ++c)
    out.push_back(crypto::leaf_hash(cut(bytes, c, width)));
  return out;
}

std::unexpected<Error> absent(std::string_view what, std::uint64_t index) {
  return fail(Errc::invalid, "a step asks for {} {}, which this execution does not have", what,
              index);
}

}  // namespace

Result<ByteView> MemoryInputs::op_chunk(std::uint32_t op, std::uint64_t chunk) {
  if (op >= leaf_.ops().ops.size() || chunk >= leaf_.op(op).chunks)
    return absent("a chunk of op", op);
  const ByteView bytes = leaf_.chunk(op, chunk);
  if (bytes.empty()) return absent("a chunk of op", op);
  return bytes;
}

ByteView MemoryInputs::row(Row row, std::uint32_t position, std::uint32_t leaf) const {
  const LeafPlace& place = leaf_.place();
  const LeafStates& states = leaf_.states();
  if (row == Row::x) {
    if (position != place.position) return {};
    if (leaf == place.index) {
      for (std::uint32_t op = 0; op < leaf_.ops().ops.size(); ++op)
        if (leaf_.op(op).tie == Op::Tie::x) return leaf_.values(op);
      return {};
    }
    return leaf + 1 == place.index ? raw_view<float>(states.x) : ByteView{};
  }
  const LeafStates::Rows& rows = leaf == place.index ? states.own : states.before;
  if (leaf != place.index && leaf + 1 != place.index) return {};
  const std::size_t width = leaf_.run().subject.program.kv_dim();
  const std::span<const std::uint16_t> values = row == Row::k ? rows.k : rows.v;
  if ((std::size_t{position} + 1) * width > values.size()) return {};
  return raw_view(values.subspan(position * width, width));
}

Result<ByteView> MemoryInputs::leaf_chunk(Row which, std::uint32_t position, std::uint32_t leaf,
                                          std::uint32_t chunk) {
  const ByteView out = cut(row(which, position, leaf), chunk, which == Row::x ? 4 : 2);
  if (out.empty()) return absent("a state of position", position);
  return out;
}

Result<ByteView> MemoryInputs::weight(const TensorShape& tensor, std::uint64_t row,
                                      std::uint32_t chunk) {
  if (row >= tensor.rows || chunk >= row_chunks(tensor)) return absent("row", row);
  return leaf_.run().model->chunk(tensor.index, row, chunk);
}

Result<ByteView> MemoryInputs::rope(std::uint64_t chunk) {
  const Program& program = leaf_.run().subject.program;
  if (chunk >= chunks_of(std::uint64_t{program.context} * program.head_dim))
    return absent("RoPE chunk", chunk);
  return leaf_.run().model->rope(chunk, rope_);
}

Result<ByteView> MemoryInputs::tokens(bool answer, std::uint32_t chunk) {
  const Opened& run = leaf_.run();
  const std::span<const std::uint32_t> ids =
      answer ? std::span<const std::uint32_t>(run.opening.answer)
                   .first(std::min<std::size_t>(run.opening.answer.size(), run.subject.count))
             : run.opening.prompt;
  const ByteView out = cut(raw_view(ids), chunk, 4);
  if (out.empty()) return absent("token chunk", chunk);
  return out;
}

Result<ByteView> MemoryInputs::logprobs(std::uint32_t answer_token) {
  const Opened& run = leaf_.run();
  const std::size_t width = protocol::logprob_width(run.subject.request);
  if (width == 0 || (answer_token + std::size_t{1}) * width > run.opening.logprobs.size())
    return absent("the log-probabilities of answer token", answer_token);
  return raw_view(
      std::span<const std::uint32_t>(run.opening.logprobs).subspan(answer_token * width, width));
}

Result<ByteView> MemoryInputs::constraint_parts() {
  const auto& constraint = leaf_.run().constraint;
  if (!constraint) return absent("constraint", 0);
  parts_ = protocol::to_bytes(leaf_.run().parts);
  return ByteView(parts_);
}

Result<ByteView> MemoryInputs::piece(std::uint32_t token) {
  const auto& constraint = leaf_.run().constraint;
  if (!constraint || token >= constraint->pieces().list.size())
    return absent("the piece of token", token);
  piece_ = protocol::piece_leaf(constraint->pieces().list[token]);
  return ByteView(piece_);
}

Result<ByteView> MemoryInputs::automaton_row(std::uint32_t state) {
  const auto& constraint = leaf_.run().constraint;
  if (!constraint || state >= constraint->automaton().states()) return absent("state", state);
  automaton_row_ = protocol::automaton_row(constraint->automaton(), state);
  return ByteView(automaton_row_);
}

void RecordingInputs::write(ByteView bytes, std::span<const Hash> path) {
  append(proof_, bytes);
  for (const Hash& hash : path) append(proof_, hash);
}

Result<ByteView> RecordingInputs::op_chunk(std::uint32_t op, std::uint64_t chunk) {
  TRY(const ByteView bytes, MemoryInputs::op_chunk(op, chunk));
  if (!leaf_.op(op).scalar) write(bytes, crypto::inclusion_proof(leaf_.chunk_leaves(op), chunk));
  return bytes;
}

Result<ByteView> RecordingInputs::leaf_chunk(Row which, std::uint32_t position, std::uint32_t leaf,
                                             std::uint32_t chunk) {
  TRY(const ByteView bytes, MemoryInputs::leaf_chunk(which, position, leaf, chunk));
  const LeafPlace& place = leaf_.place();
  if (position != place.position || leaf != place.index) {
    const LeafStates& states = leaf_.states();
    const LeafStates::Rows& rows = leaf == place.index ? states.own : states.before;
    append(proof_, leaf_salt(leaf_.run().secret(), position, leaf));
    append(proof_, rows.x_roots[position]);
    for (const Row cache : {Row::k, Row::v})
      append(proof_, crypto::merkle_root(chunk_hashes(row(cache, position, leaf), 2)));
    write({}, paths_.in_position(position, leaf));
    if (position != place.position) write({}, paths_.over_positions(position));
  }
  const auto hashes = chunk_hashes(row(which, position, leaf), which == Row::x ? 4 : 2);
  write(bytes, crypto::inclusion_proof(hashes, chunk));
  return bytes;
}

Result<ByteView> RecordingInputs::weight(const TensorShape& tensor, std::uint64_t row,
                                         std::uint32_t chunk) {
  TRY(const ByteView bytes, MemoryInputs::weight(tensor, row, chunk));
  const ModelTrees& model = *leaf_.run().model;
  const Bytes description = tensor_description(model.tensor(tensor.index));
  append_le(proof_, static_cast<std::uint32_t>(description.size()));
  append(proof_, description);
  write(bytes, model.chunk_path(tensor.index, row, chunk, pool_));
  write({}, model.tensor_path(tensor.index));
  return bytes;
}

Result<ByteView> RecordingInputs::rope(std::uint64_t chunk) {
  TRY(const ByteView bytes, MemoryInputs::rope(chunk));
  write(bytes, leaf_.run().model->rope_path(chunk));
  return bytes;
}

Result<ByteView> RecordingInputs::tokens(bool answer, std::uint32_t chunk) {
  TRY(const ByteView bytes, MemoryInputs::tokens(answer, chunk));
  const Opened& run = leaf_.run();
  const auto opened =
      answer ? protocol::open_tokens(
                   run.secret(), protocol::TokenList::tape,
                   std::span(run.opening.answer)
                       .first(std::min<std::size_t>(run.opening.answer.size(), run.subject.count)),
                   chunk)
             : protocol::open_tokens(run.secret(), protocol::TokenList::prompt, run.opening.prompt,
                                     chunk);
  write(opened.leaf, opened.path);
  return bytes;
}

Result<ByteView> RecordingInputs::logprobs(std::uint32_t answer_token) {
  TRY(const ByteView bytes, MemoryInputs::logprobs(answer_token));
  const Opened& run = leaf_.run();
  const auto opened = protocol::open_logprobs(
      run.secret(), run.subject.request,
      std::span(run.opening.logprobs)
          .first(std::min(
              run.opening.logprobs.size(),
              std::size_t{run.subject.count} * protocol::logprob_width(run.subject.request))),
      answer_token);
  write(opened.leaf, opened.path);
  return bytes;
}

Result<ByteView> RecordingInputs::constraint_parts() {
  TRY(const ByteView bytes, MemoryInputs::constraint_parts());
  write(bytes, {});
  return bytes;
}

Result<ByteView> RecordingInputs::piece(std::uint32_t token) {
  TRY(const ByteView leaf, MemoryInputs::piece(token));
  append_le(proof_, static_cast<std::uint32_t>(leaf.size()));
  write(leaf, crypto::inclusion_proof(protocol::piece_hashes(leaf_.run().constraint->pieces().list),
                                      token));
  return leaf;
}

Result<ByteView> RecordingInputs::automaton_row(std::uint32_t state) {
  TRY(const ByteView row, MemoryInputs::automaton_row(state));
  write(row,
        crypto::inclusion_proof(protocol::row_hashes(leaf_.run().constraint->automaton()), state));
  return row;
}

}  // namespace assay::verify
