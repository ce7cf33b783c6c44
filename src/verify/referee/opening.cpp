#include "verify/referee/opening.hpp"

#include "crypto/sha256.hpp"
#include "protocol/tokens.hpp"

namespace assay::verify {
namespace {

void append_text(Bytes& out, std::string_view s) { append(out, view(s)); }

Hash to_hash(ByteView bytes) {
  Hash out;
  std::ranges::copy(bytes, out.begin());
  return out;
}

std::uint64_t values_in(std::uint64_t values, std::uint64_t chunk) {
  return std::min<std::uint64_t>(kChunkValues, values - chunk * kChunkValues);
}

std::size_t weight_bytes(canon::Format format, std::uint64_t values) {
  const canon::FormatInfo& info = canon::info(format);
  return values / info.block_values * info.block_bytes;
}

// The preimage of a tensor's leaf, without its root, is that of a tensor of this type and shape:
// string(name) ‖ u32 type ‖ u32 dimensions ‖ u64 each. Names do not matter, the index does.
bool describes(ByteView leaf, const TensorShape& tensor) {
  if (leaf.size() < 4) return false;
  const std::uint64_t name = load_le<std::uint32_t>(leaf.data());
  if (name > leaf.size() - 4 || leaf.size() - 4 - name < 8) return false;
  leaf = leaf.subspan(4 + name);
  if (load_le<std::uint32_t>(leaf.data()) != static_cast<std::uint32_t>(tensor.format))
    return false;
  const std::uint32_t dimensions = load_le<std::uint32_t>(&leaf[4]);
  leaf = leaf.subspan(8);
  const std::uint32_t wanted = tensor.rows == 1 ? 1 : 2;
  if ((dimensions != wanted && dimensions != 2) || leaf.size() != 8 * std::size_t{dimensions})
    return false;
  return load_le<std::uint64_t>(leaf.data()) == tensor.cols &&
         (dimensions == 1 || load_le<std::uint64_t>(&leaf[8]) == tensor.rows);
}

}  // namespace

Hash leaf_salt(const Hash& secret, std::uint32_t position, std::uint32_t leaf) {
  Bytes message;
  append_text(message, "assay/leaf/v0");
  append_le(message, position);
  append_le(message, leaf);
  return crypto::hmac_sha256(secret, message);
}

Hash cell_leaf(std::uint32_t position, std::uint32_t layer, const Hash& salt, const Hash& x,
               const Hash& k, const Hash& v) {
  Bytes out;
  append_text(out, "cell");
  append_le(out, position);
  append_le(out, layer);
  for (const Hash* part : {&salt, &x, &k, &v}) append(out, *part);
  return crypto::leaf_hash(out);
}

Hash head_leaf(std::uint32_t position, const Hash& salt, const Hash& x, const Hash& logits,
               std::uint32_t token) {
  Bytes out;
  append_text(out, "head");
  append_le(out, position);
  for (const Hash* part : {&salt, &x, &logits}) append(out, *part);
  append_le(out, token);
  return crypto::leaf_hash(out);
}

Hash fault_leaf(std::uint32_t position, std::uint32_t layer, const Hash& salt) {
  Bytes out;
  append_text(out, "falt");
  append_le(out, position);
  append_le(out, layer);
  append(out, salt);
  return crypto::leaf_hash(out);
}

std::uint32_t position_leaves(const Subject& subject, std::uint32_t position) {
  return subject.program.layers + (position >= subject.first_sampled() ? 1 : 0);
}

// RFC 9162 section 2.1.3.2, as in crypto::verify_inclusion.
std::size_t path_length(std::uint64_t index, std::uint64_t size) {
  std::size_t length = 0;
  for (std::uint64_t node = index, last = size - 1; last != 0; node >>= 1, last >>= 1) {
    ++length;
    if ((node & 1) == 0 && node == last)
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
  }
  return length;
}

std::uint32_t row_chunks(const TensorShape& tensor) {
  return static_cast<std::uint32_t>(chunks_of(tensor.cols));
}

Hash weight_leaf(std::uint32_t tensor, std::uint64_t row, std::uint32_t chunk, ByteView bytes) {
  Bytes out;
  out.reserve(16 + bytes.size());
  append_le(out, tensor);
  append_le(out, row);
  append_le(out, chunk);
  append(out, bytes);
  return crypto::leaf_hash(out);
}

ProofInputs::ProofInputs(const Subject& subject, const Revealed& revealed, const OpList& list,
                         const LeafPlace& leaf, ByteView proof)
    : subject_(subject), revealed_(revealed), list_(list), leaf_(leaf), rest_(proof) {}

Result<ByteView> ProofInputs::take(std::size_t bytes) {
  if (bytes > rest_.size())
    return fail(Errc::invalid, "the proof ends {} bytes early", bytes - rest_.size());
  const ByteView out = rest_.first(bytes);
  rest_ = rest_.subspan(bytes);
  return out;
}

Result<Hash> ProofInputs::take_hash() {
  TRY(const ByteView bytes, take(sizeof(Hash)));
  return to_hash(bytes);
}

Result<Hash> ProofInputs::climb(Hash hash, std::uint64_t index, std::uint64_t size) {
  for (std::uint64_t node = index, last = size - 1; last != 0; node >>= 1, last >>= 1) {
    TRY(const Hash sibling, take_hash());
    if ((node & 1) == 0 && node != last) {
      hash = crypto::node_hash(hash, sibling);
      continue;
    }
    hash = crypto::node_hash(sibling, hash);
    // A right edge without a sibling was promoted: climb to where it has one.
    while ((node & 1) == 0 && node != 0) {
      node >>= 1;
      last >>= 1;
    }
  }
  return hash;
}

Status ProofInputs::expect(const Hash& leaf, std::uint64_t index, std::uint64_t size,
                           const Hash& root, std::string_view what) {
  TRY(const Hash found, climb(leaf, index, size));
  if (found != root) return fail(Errc::mismatch, "the proof of {} does not open", what);
  return {};
}

Result<ByteView> ProofInputs::op_chunk(std::uint32_t op, std::uint64_t chunk) {
  if (op >= list_.ops.size() || op >= revealed_.op_roots.size() || chunk >= list_.ops[op].chunks)
    return fail(Errc::invalid, "a step asks for chunk {} of op {}, which does not exist", chunk,
                op);
  const Op& of = list_.ops[op];
  if (of.scalar) return ByteView(revealed_.op_roots[op]).first(value_bytes(of.type));
  TRY(const ByteView bytes, take(chunk_values(of, chunk, leaf_.position) * value_bytes(of.type)));
  CHECK_OK(expect(crypto::leaf_hash(bytes), chunk, of.chunks, revealed_.op_roots[op], of.name));
  return bytes;
}

Result<ByteView> ProofInputs::leaf_chunk(Row row, std::uint32_t position, std::uint32_t leaf,
                                         std::uint32_t chunk) {
  const Program& program = subject_.program;
  const std::uint64_t values = row == Row::x ? program.dim : program.kv_dim();
  const std::size_t width = row == Row::x ? 4 : 2;
  const bool own = position == leaf_.position && leaf == leaf_.index;
  const bool head = own && leaf == program.layers;  // only x
  if (position > leaf_.position ||
      (own ? leaf_.fault || (head && row != Row::x) : leaf >= program.layers) ||
      (position == leaf_.position && leaf > leaf_.index) || chunk >= chunks_of(values))
    return fail(Errc::invalid, "a step asks for leaf {} of position {}, which it cannot read", leaf,
                position);
  const std::size_t bytes = values_in(values, chunk) * width;

  Hash root = row == Row::x ? revealed_.x : row == Row::k ? revealed_.k : revealed_.v;
  if (!own) {
    std::array<Hash, 4> parts;  // salt, x, k, v
    for (Hash& part : parts) {
      TRY(part, take_hash());
    }
    const Hash hash = cell_leaf(position, leaf, parts[0], parts[1], parts[2], parts[3]);
    if (position == leaf_.position) {
      CHECK_OK(expect(hash, leaf, revealed_.position_leaves, revealed_.position_root,
                      "an earlier leaf of this position"));
    } else {
      TRY(const Hash of_position, climb(hash, leaf, position_leaves(subject_, position)));
      CHECK_OK(expect(crypto::leaf_hash(of_position), position, revealed_.positions,
                      revealed_.positions_root, "a leaf of an earlier position"));
    }
    root = parts[1 + static_cast<std::size_t>(row)];
  }
  TRY(const ByteView out, take(bytes));
  CHECK_OK(expect(crypto::leaf_hash(out), chunk, chunks_of(values), root, "a vector of a leaf"));
  return out;
}

Result<ByteView> ProofInputs::weight(const TensorShape& tensor, std::uint64_t row,
                                     std::uint32_t chunk) {
  const std::uint64_t tensors = subject_.program.formats.size();
  if (tensor.index >= tensors || row >= tensor.rows || chunk >= row_chunks(tensor))
    return fail(Errc::invalid, "a step asks for row {} of tensor {}, which does not exist", row,
                tensor.index);
  TRY(const ByteView length, take(4));
  const std::uint32_t leaf_bytes = load_le<std::uint32_t>(length.data());
  if (leaf_bytes > kTensorLeafMax)
    return fail(Errc::invalid, "the proof's description of a tensor has {} bytes, at most {} fit",
                leaf_bytes, kTensorLeafMax);
  TRY(const ByteView description, take(leaf_bytes));
  const bool described = describes(description, tensor);
  ByteView bytes;
  Hash root;
  const std::uint64_t values = values_in(tensor.cols, chunk);
  if (described) {
    TRY(bytes, take(weight_bytes(tensor.format, values)));
    TRY(root, climb(weight_leaf(tensor.index, row, chunk, bytes), row * row_chunks(tensor) + chunk,
                    tensor.rows * row_chunks(tensor)));
  } else {
    TRY(root, take_hash());
  }
  Bytes leaf(description.begin(), description.end());
  append(leaf, root);
  CHECK_OK(
      expect(crypto::leaf_hash(leaf), tensor.index, tensors, subject_.weights_root, "a weight"));
  if (!described || canon::find_non_finite(tensor.format, bytes.data(), values)) {
    invalid_model_ = true;
    return fail(Errc::unsupported, "tensor {} is none of a valid model", tensor.index);
  }
  return bytes;
}

Result<ByteView> ProofInputs::rope(std::uint64_t chunk) {
  const std::uint64_t values = std::uint64_t{subject_.program.context} * subject_.program.head_dim;
  if (chunk >= chunks_of(values))
    return fail(Errc::invalid, "a step asks for chunk {} of the RoPE table, which has {}", chunk,
                chunks_of(values));
  TRY(const ByteView bytes, take(values_in(values, chunk) * 4));
  CHECK_OK(expect(crypto::leaf_hash(bytes), chunk, chunks_of(values), subject_.program.rope_root,
                  "the RoPE table"));
  return bytes;
}

// Leaves that begin with a salt nobody needs to know.
Result<ByteView> ProofInputs::salted(std::size_t bytes, std::uint64_t index, std::uint64_t size,
                                     const Hash& root, std::string_view what) {
  TRY(const ByteView leaf, take(sizeof(Hash) + bytes));
  CHECK_OK(expect(crypto::leaf_hash(leaf), index, size, root, what));
  return leaf.subspan(sizeof(Hash));
}

Result<ByteView> ProofInputs::tokens(bool answer, std::uint32_t chunk) {
  const std::uint64_t count = answer ? subject_.count : subject_.prompt();
  if (chunk >= chunks_of(count))
    return fail(Errc::invalid, "a step asks for token {}, there are {}",
                std::uint64_t{chunk} * kChunkValues, count);
  return salted(values_in(count, chunk) * 4, chunk, chunks_of(count),
                answer ? subject_.tape_root : subject_.request.prompt_root,
                answer ? "the answer's tokens" : "the prompt's tokens");
}

Result<ByteView> ProofInputs::logprobs(std::uint32_t answer_token) {
  const std::size_t width = protocol::logprob_width(subject_.request);
  if (answer_token >= subject_.count || width == 0)
    return fail(Errc::invalid, "a step asks for log-probabilities of answer token {}",
                answer_token);
  return salted(width * 4, answer_token, subject_.count, subject_.logprobs_root,
                "the log-probabilities");
}

Result<ByteView> ProofInputs::constraint_parts() {
  TRY(const ByteView bytes, take(protocol::kConstraintPartsBytes));
  parts_ = protocol::constraint_parts(bytes.first<protocol::kConstraintPartsBytes>());
  if (protocol::constraint_root(*parts_) != subject_.request.constraint)
    return fail(Errc::mismatch, "the proof of the constraint does not open");
  return bytes;
}

Result<ByteView> ProofInputs::piece(std::uint32_t token) {
  if (!parts_ || token >= subject_.program.vocab)
    return fail(Errc::invalid, "a step asks for the piece of token {}, which does not exist",
                token);
  TRY(const ByteView length, take(4));
  const std::uint32_t size = load_le<std::uint32_t>(length.data());
  if (size == 0 || size > kPieceLeafMax)
    return fail(Errc::invalid, "the proof's piece has {} bytes, 1 to {} fit", size, kPieceLeafMax);
  TRY(const ByteView leaf, take(size));
  CHECK_OK(expect(crypto::leaf_hash(leaf), token, subject_.program.vocab, parts_->pieces_root,
                  "a piece"));
  return leaf;
}

Result<ByteView> ProofInputs::automaton_row(std::uint32_t state) {
  if (!parts_ || state >= parts_->states)
    return fail(Errc::invalid, "a step asks for state {}, which does not exist", state);
  TRY(const ByteView row, take(protocol::kAutomatonRowBytes));
  CHECK_OK(expect(crypto::leaf_hash(row), state, parts_->states, parts_->table_root,
                  "a row of the automaton"));
  return row;
}

}  // namespace assay::verify
