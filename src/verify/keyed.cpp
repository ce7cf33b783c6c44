#include "verify/keyed.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "protocol/audit_keys.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

using crypto::leaf_hash;

constexpr std::size_t kPathMax = 32;
constexpr std::size_t kChunkBytesMax = kChunkValues * sizeof(float);

// One list of fields for both directions: le32, one byte, hashes, lists of hashes with one byte of
// length, bytes with le32 of length.
struct Writer {
  Bytes& out;
  void u32(std::uint32_t& n) { append_le(out, n); }
  void u8(std::uint8_t& n) { out.push_back(n); }
  void hash(Hash& h) { append(out, h); }
  void hashes(std::vector<Hash>& list) {
    out.push_back(static_cast<std::uint8_t>(list.size()));
    for (const auto& h : list) append(out, h);
  }
  void bytes(Bytes& b) {
    append_le(out, static_cast<std::uint32_t>(b.size()));
    append(out, b);
  }
};

class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}
  void u32(std::uint32_t& n) {
    if (const auto b = take(4)) n = load_le<std::uint32_t>(b->data());
  }
  void u8(std::uint8_t& n) {
    if (const auto b = take(1)) n = b->front();
  }
  void hash(Hash& h) {
    if (const auto b = take(h.size())) std::ranges::copy(*b, h.begin());
  }
  void hashes(std::vector<Hash>& list) {
    std::uint8_t count = 0;
    u8(count);
    if (count > kPathMax) ok_ = false;
    for (std::size_t i = 0; ok_ && i < count; ++i) hash(list.emplace_back());
  }
  void bytes(Bytes& out) {
    std::uint32_t size = 0;
    u32(size);
    if (size > kChunkBytesMax) ok_ = false;
    if (const auto b = take(size)) out.assign(b->begin(), b->end());
  }
  Status finish(std::string_view what) const {
    if (ok_ && bytes_.empty()) return {};
    return fail(Errc::invalid, "{} is {}", what, ok_ ? "too long" : "cut off or malformed");
  }

 private:
  std::optional<ByteView> take(std::size_t count) {
    if (!ok_ || bytes_.size() < count) {
      ok_ = false;
      return std::nullopt;
    }
    const auto out = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return out;
  }
  ByteView bytes_;
  bool ok_ = true;
};

template <class V>
void fields(V& v, TracePath& p) {
  for (auto& root : p.roots) v.hash(root);
  v.hashes(p.chunk_path);
  v.hash(p.position_root);
  v.hashes(p.leaf_path);
  v.hash(p.tree_root);
  v.hashes(p.position_path);
}
template <class V>
void fields(V& v, CheckProof& p) {
  v.u32(p.place.position);
  v.u32(p.place.leaf);
  auto vector = static_cast<std::uint8_t>(p.place.vector);
  v.u8(vector);
  p.place.vector = static_cast<StateVector>(vector);
  v.u32(p.place.chunk);
  v.u32(p.positions);
  v.u32(p.layers);
  v.u32(p.leaves);
  v.u32(p.chunks);
  v.hash(p.salt);
  v.u32(p.token);
  fields(v, p.path);
  v.bytes(p.values);
}
template <class V>
void fields(V& v, CheckReply& r) {
  v.hash(r.key);
  fields(v, r.path);
}
template <class T>
Bytes bytes_of(T copy) {
  Bytes out;
  Writer w{out};
  fields(w, copy);
  return out;
}

// Where in the leaf the vector's root is.
std::size_t root_index(const CheckPlace& place) {
  return place.vector == StateVector::logits ? 1 : static_cast<std::size_t>(place.vector);
}

Hash leaf_of(const CheckProof& p, const Hash& salt, const std::array<Hash, 3>& roots) {
  const bool head = p.place.leaf == p.layers;
  Bytes b;
  append(b, view(head ? "head" : "cell"));
  append_le(b, p.place.position);
  if (!head) append_le(b, p.place.leaf);
  append(b, salt);
  for (std::size_t i = 0; i < (head ? 2u : 3u); ++i) append(b, roots[i]);
  if (head) append_le(b, p.token);
  return leaf_hash(b);
}

// From the chunk to the root of the tree of positions, at the place and in the sizes of `p`.
Status climb(const CheckProof& p, const Hash& chunk, const Hash& salt, const TracePath& path) {
  const auto& place = p.place;
  const auto& root = path.roots[root_index(place)];
  if (!crypto::verify_inclusion(root, chunk, place.chunk, p.chunks, path.chunk_path))
    return fail(Errc::mismatch, "the values are not in their vector");
  if (!crypto::verify_inclusion(path.position_root, leaf_of(p, salt, path.roots), place.leaf,
                                p.leaves, path.leaf_path))
    return fail(Errc::mismatch, "the vector is not in its position");
  if (!crypto::verify_inclusion(path.tree_root, leaf_hash(path.position_root), place.position,
                                p.positions, path.position_path))
    return fail(Errc::mismatch, "the position is not in its trace");
  return {};
}

Hash keyed_chunk(const Hash& nonce, ByteView values) {
  Bytes b(nonce.begin(), nonce.end());
  append(b, values);
  return leaf_hash(b);
}

struct Widths {
  std::uint32_t values = 0;
  std::size_t bytes = 0;  // of one
};
std::optional<Widths> widths_of(const Program& program, const CheckPlace& place) {
  const bool head = place.leaf == program.layers;
  switch (place.vector) {
    case StateVector::x:
      return Widths{program.dim, sizeof(float)};
    case StateVector::k:
    case StateVector::v:
      if (head) return std::nullopt;
      return Widths{program.kv_dim(), sizeof(std::uint16_t)};
    case StateVector::logits:
      if (!head) return std::nullopt;
      return Widths{program.vocab, sizeof(float)};
  }
  return std::nullopt;
}

// The sizes are those of a trace of this subject: with others, one path would name two places.
Status check_sizes(const Subject& s, const CheckProof& p) {
  if (s.request.prompt_count == 0 || s.request.continuation >= s.request.prompt_count)
    return fail(Errc::invalid, "the request has no execution");
  const bool head = p.place.position >= s.first_sampled();
  if (p.layers != s.program.layers || p.leaves != s.program.layers + (head ? 1 : 0) ||
      p.place.leaf >= p.leaves)
    return fail(Errc::invalid, "position {} of this trace has no such leaf", p.place.position);
  if (p.positions > kPositionsMax || p.place.position >= p.positions)
    return fail(Errc::invalid, "position {} of {}", p.place.position, p.positions);
  if (s.ends_in_fault() && p.place.position + 1 == p.positions)
    return fail(Errc::invalid, "where the trace ends in a fault nothing is checked");
  const auto width = widths_of(s.program, p.place);
  if (!width) return fail(Errc::invalid, "this leaf has no such vector");
  const auto chunks = (width->values + kChunkValues - 1) / kChunkValues;
  if (p.chunks != chunks || p.place.chunk >= chunks)
    return fail(Errc::invalid, "chunk {} of {}, the vector has {}", p.place.chunk, p.chunks,
                chunks);
  const auto values = std::min(kChunkValues, width->values - kChunkValues * p.place.chunk);
  if (p.values.size() != values * width->bytes)
    return fail(Errc::invalid, "{} bytes of values, chunk {} has {}", p.values.size(),
                p.place.chunk, values * width->bytes);
  return {};
}

}  // namespace

Bytes check_proof_bytes(const CheckProof& proof) { return bytes_of(proof); }
Bytes check_reply_bytes(const CheckReply& reply) { return bytes_of(reply); }

Result<CheckProof> parse_check_proof(ByteView bytes) {
  CheckProof out;
  Reader r(bytes);
  fields(r, out);
  CHECK_OK(r.finish("the proof"));
  if (out.place.vector > StateVector::logits)
    return fail(Errc::invalid, "the proof names an unknown vector");
  return out;
}

Result<CheckReply> parse_check_reply(ByteView bytes) {
  CheckReply out;
  Reader r(bytes);
  fields(r, out);
  CHECK_OK(r.finish("the answer"));
  return out;
}

Status open_check(const Subject& subject, ByteView bytes) {
  TRY(const auto proof, parse_check_proof(bytes));
  CHECK_OK(check_sizes(subject, proof));
  CHECK_OK(climb(proof, leaf_hash(proof.values), proof.salt, proof.path));
  if (trace_root(proof.path.tree_root, proof.positions, proof.layers) != subject.trace_root)
    return fail(Errc::mismatch, "the provider signed another trace");
  return {};
}

Status judge_check(ByteView bytes, const KeyedTerms& terms, ByteView answer) {
  TRY(const auto proof, parse_check_proof(bytes));
  TRY(const auto reply, parse_check_reply(answer));
  const Hash nonce = protocol::key_nonce(terms.beacon, terms.audit, terms.auditor, reply.key);
  if (protocol::nonce_hash(nonce) != terms.nonce_hash)
    return fail(Errc::mismatch, "the key is not the one committed");
  const Hash root = trace_root(reply.path.tree_root, proof.positions, proof.layers);
  if (protocol::keyed_root_hash(root, reply.key) != terms.root_hash)
    return fail(Errc::mismatch, "the keyed root is not the one committed");
  return climb(proof, keyed_chunk(nonce, proof.values),
               leaf_salt(nonce, proof.place.position, proof.place.leaf), reply.path);
}

CheckProof make_check_proof(const CheckPlace& place, std::span<const Hash> position_roots,
                            std::uint32_t layers, std::span<const Hash> leaves,
                            const std::array<Hash, 3>& roots, std::span<const Hash> chunk_leaves,
                            const Hash& salt, std::uint32_t token, Bytes values) {
  ASSAY_ASSERT(place.position < position_roots.size() && place.leaf < leaves.size() &&
               place.chunk < chunk_leaves.size());
  CheckProof p;
  p.place = place;
  p.positions = static_cast<std::uint32_t>(position_roots.size());
  p.layers = layers;
  p.leaves = static_cast<std::uint32_t>(leaves.size());
  p.chunks = static_cast<std::uint32_t>(chunk_leaves.size());
  p.salt = salt;
  p.token = token;
  p.path.roots = roots;
  p.path.chunk_path = crypto::inclusion_proof(chunk_leaves, place.chunk);
  p.path.position_root = position_root(leaves);
  p.path.leaf_path = crypto::inclusion_proof(leaves, place.leaf);
  std::vector<Hash> tree;
  tree.reserve(position_roots.size());
  for (const auto& root : position_roots) tree.push_back(leaf_hash(root));
  p.path.tree_root = crypto::merkle_root(tree);
  p.path.position_path = crypto::inclusion_proof(tree, place.position);
  p.values = std::move(values);
  return p;
}

PlaceRecorder::PlaceRecorder(const Hash& salt_secret, std::uint32_t layers,
                             std::vector<CheckPlace> places)
    : PlaceRecorder(salt_secret, layers, std::move(places), std::nullopt) {}

PlaceRecorder PlaceRecorder::keyed(const Hash& nonce, std::uint32_t layers,
                                   std::vector<CheckPlace> places) {
  return {nonce, layers, std::move(places), nonce};
}

PlaceRecorder::PlaceRecorder(const Hash& salt_secret, std::uint32_t layers,
                             std::vector<CheckPlace> places, std::optional<Hash> key)
    : TraceBuilder(salt_secret, layers, key), depth_(layers), key_(key) {
  for (const CheckPlace& place : places) {
    at_.emplace(std::pair(place.position, place.leaf), seen_.size());
    seen_.push_back({.place = place});
  }
}

template <class T>
Hash PlaceRecorder::root_of(std::span<const T> values) const {
  return key_ ? vector_root(values, *key_) : vector_root(values);
}

template <class T>
void PlaceRecorder::take(Seen& seen, std::span<const T> values) const {
  const ByteView bytes{reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
  constexpr std::size_t kBytes = kChunkValues * sizeof(T);
  seen.chunk_leaves.clear();
  seen.values.clear();
  for (std::size_t i = 0; i < bytes.size(); i += kBytes) {
    const auto chunk = bytes.subspan(i, std::min(kBytes, bytes.size() - i));
    if (seen.chunk_leaves.size() == seen.place.chunk)
      seen.values.assign(chunk.begin(), chunk.end());
    seen.chunk_leaves.push_back(key_ ? keyed_chunk(*key_, chunk) : leaf_hash(chunk));
  }
}

void PlaceRecorder::cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
                         std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) {
  TraceBuilder::cell(position, layer, x, k, v);
  const auto [first, last] = at_.equal_range({position, layer});
  for (auto it = first; it != last; ++it) {
    Seen& seen = seen_[it->second];
    seen.roots = {root_of(x), root_of(k), root_of(v)};
    if (seen.place.vector == StateVector::x) take(seen, x);
    if (seen.place.vector == StateVector::k) take(seen, k);
    if (seen.place.vector == StateVector::v) take(seen, v);
  }
}

void PlaceRecorder::head(std::uint32_t position, std::span<const float> x,
                         std::span<const float> logits, engine::Token token) {
  TraceBuilder::head(position, x, logits, token);
  const auto [first, last] = at_.equal_range({position, depth_});
  for (auto it = first; it != last; ++it) {
    Seen& seen = seen_[it->second];
    seen.roots = {root_of(x), root_of(logits), Hash{}};
    seen.token = token;
    if (seen.place.vector == StateVector::x) take(seen, x);
    if (seen.place.vector == StateVector::logits) take(seen, logits);
  }
}

std::optional<CheckProof> PlaceRecorder::proof(std::size_t index) const {
  ASSAY_ASSERT(index < seen_.size());
  const Seen& seen = seen_[index];
  const auto of_position = leaves(seen.place.position);
  const auto roots = position_roots();
  if (seen.place.chunk >= seen.chunk_leaves.size() || seen.place.leaf >= of_position.size() ||
      seen.place.position >= roots.size())
    return std::nullopt;
  return make_check_proof(seen.place, roots, depth_, of_position, seen.roots, seen.chunk_leaves,
                          salt(seen.place.position, seen.place.leaf), seen.token, seen.values);
}

}  // namespace assay::verify
