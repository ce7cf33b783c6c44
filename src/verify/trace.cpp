#include "verify/trace.hpp"

#include <algorithm>
#include <bit>

#include "base/assert.hpp"
#include "verify/referee/ops.hpp"

namespace assay::verify {
namespace {

// States are hashed where they lie.
static_assert(std::endian::native == std::endian::little && sizeof(float) == 4);

Hash keyed_leaf(const Hash& key, ByteView chunk) {
  constexpr std::uint8_t kLeaf = 0;
  crypto::Sha256 h;
  h.update({&kLeaf, 1});
  h.update(key);
  h.update(chunk);
  return h.finish();
}

template <class T>
Hash root_of_chunks(std::span<const T> values, const Hash* key) {
  const auto leaf = [key](ByteView chunk) {
    return key == nullptr ? crypto::leaf_hash(chunk) : keyed_leaf(*key, chunk);
  };
  const ByteView bytes = raw_view(values);
  constexpr std::size_t chunk_bytes = kChunkValues * sizeof(T);
  if (bytes.size() <= chunk_bytes && !bytes.empty()) return leaf(bytes);
  crypto::MerkleBuilder tree;
  for (std::size_t i = 0; i < bytes.size(); i += chunk_bytes)
    tree.append(leaf(bytes.subspan(i, std::min(chunk_bytes, bytes.size() - i))));
  return tree.root();
}

// The fixed-size preimages of leaves, built on the stack.
class Preimage {
 public:
  Preimage& tag(std::string_view s) { return bytes(view(s)); }
  Preimage& le32(std::uint32_t n) {
    for (int i = 0; i < 4; ++i) data_[size_++] = static_cast<std::uint8_t>(n >> (8 * i));
    return *this;
  }
  Preimage& bytes(ByteView b) {
    std::copy(b.begin(), b.end(), data_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += b.size();
    return *this;
  }
  ByteView done() const { return {data_.data(), size_}; }

 private:
  std::array<std::uint8_t, 160> data_;
  std::size_t size_ = 0;
};

crypto::Sha256 keyed_state(const Hash& secret, std::uint8_t pad) {
  std::array<std::uint8_t, 64> block;
  block.fill(pad);
  for (std::size_t i = 0; i < secret.size(); ++i) block[i] ^= secret[i];
  crypto::Sha256 state;
  state.update(block);
  return state;
}

Hash finish_root(const Hash& tree, std::uint32_t positions, std::uint32_t layers) {
  Preimage p;
  return crypto::sha256(p.tag("assay/trace/v0").le32(positions).le32(layers).bytes(tree).done());
}

}  // namespace

Hash vector_root(std::span<const float> values) { return root_of_chunks(values, nullptr); }
Hash vector_root(std::span<const std::uint16_t> values) { return root_of_chunks(values, nullptr); }
Hash vector_root(std::span<const float> values, const Hash& key) {
  return root_of_chunks(values, &key);
}
Hash vector_root(std::span<const std::uint16_t> values, const Hash& key) {
  return root_of_chunks(values, &key);
}

Hash position_root(std::span<const Hash> leaves) { return crypto::merkle_root(leaves); }

namespace {

Hash tree_of_positions(std::span<const Hash> position_roots) {
  crypto::MerkleBuilder tree;
  for (const Hash& root : position_roots) tree.append(crypto::leaf_hash(root));
  return tree.root();
}

}  // namespace

Hash trace_root(std::span<const Hash> position_roots, std::uint32_t layers) {
  return finish_root(tree_of_positions(position_roots),
                     static_cast<std::uint32_t>(position_roots.size()), layers);
}

Hash trace_root(const Hash& tree, std::uint32_t positions, std::uint32_t layers) {
  return finish_root(tree, positions, layers);
}

std::optional<std::uint32_t> layers_behind(std::span<const Hash> position_roots,
                                           const Hash& signed_root) {
  constexpr std::uint32_t kLayersMax = 1024;
  const Hash tree = tree_of_positions(position_roots);
  for (std::uint32_t layers = 1; layers <= kLayersMax; ++layers)
    if (finish_root(tree, static_cast<std::uint32_t>(position_roots.size()), layers) == signed_root)
      return layers;
  return std::nullopt;
}

TraceBuilder::TraceBuilder(const Hash& salt_secret, std::uint32_t layers, std::optional<Hash> key)
    : inner_(keyed_state(salt_secret, 0x36)),
      outer_(keyed_state(salt_secret, 0x5c)),
      layers_(layers),
      key_(key) {}

Hash TraceBuilder::salt(std::uint32_t position, std::uint32_t layer) const {
  Preimage p;
  crypto::Sha256 inner = inner_, outer = outer_;
  inner.update(p.tag("assay/leaf/v0").le32(position).le32(layer).done());
  outer.update(inner.finish());
  return outer.finish();
}

void TraceBuilder::reserve(std::uint32_t positions) {
  const std::size_t before = positions_.size();
  if (positions <= before) return;
  positions_.resize(positions);
  for (std::size_t t = before; t < positions; ++t)
    positions_[t].leaves.resize(std::size_t{layers_} + 1);
}

// Touches nothing but the position itself where that is reserved and not yet complete.
TraceBuilder::Position& TraceBuilder::at(std::uint32_t position) {
  if (position >= positions_.size()) reserve(position + 1);
  if (position < folded_) {
    tree_ = {};
    folded_ = 0;
  }
  return positions_[position];
}

void TraceBuilder::put(std::uint32_t position, std::uint32_t layer, const CellRoots& roots) {
  ASSAY_ASSERT(layer < layers_ && !ended_);
  Preimage p;
  p.tag("cell").le32(position).le32(layer).bytes(salt(position, layer));
  for (const Hash& root : roots) p.bytes(root);
  Position& into = at(position);
  if (into.leaves[layer] == Hash{}) ++into.cells;
  into.leaves[layer] = crypto::leaf_hash(p.done());
}

void TraceBuilder::cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
                        std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) {
  const Hash* key = key_ ? &*key_ : nullptr;
  const CellRoots roots{root_of_chunks(x, key), root_of_chunks(k, key), root_of_chunks(v, key)};
  put(position, layer, roots);
  positions_[position].last = roots;
}

void TraceBuilder::keep(std::uint32_t position, std::uint32_t layer, std::span<std::uint8_t> memo) {
  ASSAY_ASSERT(memo.size() == kMemoBytes && positions_[position].leaves[layer] != Hash{});
  auto to = memo.begin();
  for (const Hash& root : positions_[position].last) to = std::ranges::copy(root, to).out;
}

void TraceBuilder::recall(std::uint32_t position, std::uint32_t layer,
                          std::span<const std::uint8_t> memo) {
  ASSAY_ASSERT(memo.size() == kMemoBytes);
  CellRoots roots;
  for (std::size_t i = 0; i < roots.size(); ++i)
    std::ranges::copy(memo.subspan(i * sizeof(Hash), sizeof(Hash)), roots[i].begin());
  put(position, layer, roots);
}

void TraceBuilder::head(std::uint32_t position, std::span<const float> x,
                        std::span<const float> logits, engine::Token token) {
  Position& into = at(position);
  const Hash* key = key_ ? &*key_ : nullptr;
  const Hash root =
      into.logits.empty() ? root_of_chunks(logits, key) : crypto::merkle_root(into.logits);
  recall_head(position, root_of_chunks(x, key), root, token);
  into.logits = {};
}

void TraceBuilder::recall_head(std::uint32_t position, const Hash& x_root, const Hash& logits_root,
                               engine::Token token) {
  ASSAY_ASSERT(!ended_);
  Position& into = at(position);
  Preimage p;
  p.tag("head").le32(position).bytes(salt(position, layers_));
  p.bytes(x_root).bytes(logits_root).le32(token);
  into.leaves[layers_] = crypto::leaf_hash(p.done());
  into.head = true;
}

void TraceBuilder::expect_logits(std::uint32_t position, std::size_t count) {
  at(position).logits.assign((count + engine::kLogitsPart - 1) / engine::kLogitsPart, Hash{});
}

// The root of a full part is a node of the vector's tree, and that of the last its right edge.
void TraceBuilder::logits(std::uint32_t position, std::size_t part, std::span<const float> values) {
  static_assert(engine::kLogitsPart % kChunkValues == 0 &&
                std::has_single_bit(engine::kLogitsPart / kChunkValues));
  positions_[position].logits[part] = root_of_chunks(values, key_ ? &*key_ : nullptr);
}

void TraceBuilder::fault(engine::NumericFault fault) {
  ASSAY_ASSERT(fault.layer <= layers_ && !ended_);
  ended_ = true;
  // A batch may have carried later positions through earlier layers: not part of the trace.
  at(fault.position);
  positions_.resize(std::size_t{fault.position} + 1);
  Preimage p;
  p.tag("falt").le32(fault.position).le32(fault.layer).bytes(salt(fault.position, fault.layer));
  Position& into = positions_.back();
  into.leaves.resize(std::size_t{fault.layer} + 1);
  into.leaves[fault.layer] = crypto::leaf_hash(p.done());
  into.fault = true;
}

void TraceBuilder::restore(std::uint32_t position, std::span<const Hash> leaves) {
  ASSAY_ASSERT(!ended_ && (leaves.size() == layers_ || leaves.size() == std::size_t{layers_} + 1));
  Position& into = at(position);
  std::ranges::copy(leaves, into.leaves.begin());
  into.cells = layers_;
  into.head = leaves.size() > layers_;
}

std::span<const Hash> TraceBuilder::leaves_of(const Position& p) const {
  if (p.fault) return p.leaves;
  return std::span<const Hash>(p.leaves).first(std::size_t{layers_} + (p.head ? 1 : 0));
}

std::uint32_t TraceBuilder::positions() const {
  auto n = folded_;
  while (n < positions_.size() && complete(positions_[n])) ++n;
  return n;
}

Hash TraceBuilder::root() const {
  const auto count = positions();
  for (; folded_ < count; ++folded_)
    tree_.append(crypto::leaf_hash(position_root(leaves_of(positions_[folded_]))));
  return finish_root(tree_.root(), count, layers_);
}

std::vector<Hash> TraceBuilder::position_roots() const {
  std::vector<Hash> out;
  const auto count = positions();
  out.reserve(count);
  for (std::uint32_t t = 0; t < count; ++t) out.push_back(position_root(leaves_of(positions_[t])));
  return out;
}

std::vector<Hash> TraceBuilder::leaves(std::uint32_t position) const {
  if (position >= positions_.size() || !complete(positions_[position])) return {};
  const auto leaves = leaves_of(positions_[position]);
  return {leaves.begin(), leaves.end()};
}

}  // namespace assay::verify
