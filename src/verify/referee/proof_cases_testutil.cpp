#include "verify/referee/proof_cases_testutil.hpp"

#include <bit>
#include <gtest/gtest.h>

#include "base/assert.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify::test {
std::size_t random_index(Random& random, std::size_t size) {
  return random.below(static_cast<std::uint32_t>(size));
}

Hash random_hash(Random& random) {
  Hash out;
  for (std::size_t i = 0; i < out.size(); i += 4) {
    const std::uint32_t bits = random.bits();
    std::memcpy(&out[i], &bits, 4);
  }
  return out;
}

namespace {

// A tree of any size of which only the leaves set are known; everything beside their paths is made
// up once.
class SparseTree {
 public:
  explicit SparseTree(std::uint64_t size, std::uint32_t seed) : size_(size), random_(seed) {}
  void set(std::uint64_t index, const Hash& leaf) {
    ASSAY_ASSERT(index < size_ && made_.empty());
    leaves_[index] = leaf;
  }
  Hash root() { return node(0, size_); }
  Bytes path(std::uint64_t index) {
    std::vector<Hash> siblings;
    std::uint64_t first = 0, size = size_;
    while (size > 1) {
      const std::uint64_t split = std::bit_floor(size - 1);
      const bool left = index < first + split;
      siblings.push_back(left ? node(first + split, size - split) : node(first, split));
      if (!left) first += split;
      size = left ? split : size - split;
    }
    Bytes out;
    for (std::size_t i = siblings.size(); i-- > 0;) append(out, siblings[i]);
    return out;
  }

 private:
  Hash node(std::uint64_t first, std::uint64_t size) {
    const auto it = leaves_.lower_bound(first);
    if (it == leaves_.end() || it->first >= first + size) {
      const auto [at, added] = made_.try_emplace({first, size});
      if (added) at->second = random_hash(random_);
      return at->second;
    }
    if (size == 1) return it->second;
    const std::uint64_t split = std::bit_floor(size - 1);
    // One after the other: compilers differ in which argument of a call they compute first.
    const Hash right = node(first + split, size - split);
    return crypto::node_hash(node(first, split), right);
  }

  std::uint64_t size_;
  Random random_;
  std::map<std::uint64_t, Hash> leaves_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Hash> made_;
};

// Everything that the inputs of one step open to.
class Commitments {
 public:
  Commitments(ProofCase& c, const OpList& list, Random& random, bool not_the_programs)
      : c_(c), list_(list), random_(random), other_tensor_(not_the_programs) {}

  void collect(const std::vector<Asked>& inputs) {
    for (const Asked& a : inputs) {
      salts_.push_back(random_hash(random_));
      add(a, salts_.back());
    }
  }

  void commit() {
    Revealed& r = c_.revealed;
    r.op_roots.assign(list_.ops.size(), Hash{});
    for (auto& [op, bytes] : scalars_) std::ranges::copy(bytes, r.op_roots[op].begin());
    for (auto& [op, tree] : ops_) r.op_roots[op] = tree.root();
    const LeafPlace& leaf = c_.place.leaf;
    r.positions = leaf.position + 1 + random_.below(400);
    r.position_leaves = leaf.fault ? leaf.index + 1 : position_leaves(c_.subject, leaf.position);
    r.x = r.k = r.v = random_hash(random_);
    for (auto& [at, rows] : leaves_) commit_leaf(at, rows);
    r.position_root = position_ ? position_->root() : random_hash(random_);
    r.positions_root = positions_ ? positions_->root() : random_hash(random_);
    Subject& s = c_.subject;
    s.weights_root = s.tape_root = s.logprobs_root = s.request.prompt_root = random_hash(random_);
    if (tensors_) {
      tensors_->set(tensor_.index, crypto::leaf_hash(tensor_leaf()));
      s.weights_root = tensors_->root();
    }
    if (rope_) s.program.rope_root = rope_->root();
    if (prompt_) s.request.prompt_root = prompt_->root();
    if (tape_) s.tape_root = tape_->root();
    if (logprobs_) s.logprobs_root = logprobs_->root();
    if (constraint_.empty()) return;
    parts_.table_root = table_ ? table_->root() : random_hash(random_);
    parts_.pieces_root = pieces_ ? pieces_->root() : random_hash(random_);
    s.request.constraint = protocol::constraint_root(parts_);
    if (constraint_.size() == protocol::kConstraintPartsBytes)
      constraint_ = protocol::to_bytes(parts_);
  }

  void write(const std::vector<Asked>& inputs) {
    for (std::size_t i = 0; i < inputs.size(); ++i) write_one(inputs[i], salts_[i]);
  }

 private:
  using At = std::pair<std::uint32_t, std::uint32_t>;  // position, leaf
  struct Rows {
    std::map<std::string, SparseTree> trees;  // of x, k, v
    std::array<Hash, 4> parts{};              // salt, x, k, v
    std::optional<SparseTree> position{};     // of another position
  };

  SparseTree tree(std::uint64_t size) { return SparseTree(size, random_.bits()); }
  bool own(const At& at) const {
    return at.first == c_.place.leaf.position && at.second == c_.place.leaf.index;
  }
  static At at_of(const Asked& a) {
    return {static_cast<std::uint32_t>(a.where[0]), static_cast<std::uint32_t>(a.where[1])};
  }
  std::uint64_t row_chunks_of(const std::string& what) const {
    return chunks_of(what == "x" ? c_.subject.program.dim : c_.subject.program.kv_dim());
  }
  static void salted(Bytes& out, const Hash& salt, ByteView bytes) {
    append(out, salt);
    append(out, bytes);
  }

  void add(const Asked& a, const Hash& salt) {
    const auto leaf_of_salted = [&] {
      Bytes leaf;
      salted(leaf, salt, a.bytes);
      return crypto::leaf_hash(leaf);
    };
    const auto single = [&](std::optional<SparseTree>& t, std::uint64_t size, const Hash& leaf) {
      if (!t) t.emplace(tree(size));
      t->set(a.where[0], leaf);
    };
    const Subject& s = c_.subject;
    if (a.what == "op") {
      const auto index = static_cast<std::uint32_t>(a.where[0]);
      const Op& op = list_.ops[index];
      if (op.scalar)
        scalars_[index] = a.bytes;
      else
        ops_.try_emplace(index, tree(op.chunks))
            .first->second.set(a.where[1], crypto::leaf_hash(a.bytes));
    } else if (a.what == "weight") {
      const auto op = std::ranges::find_if(
          list_.ops, [&](const Op& o) { return o.tensor && o.tensor->index == a.where[0]; });
      tensor_ = *op->tensor;
      describe();
      tensors_.emplace(tree(s.program.formats.size()));
      const auto chunk = static_cast<std::uint32_t>(a.where[2]);
      tensor_tree_.emplace(tree(tensor_.rows * row_chunks(tensor_)));
      tensor_tree_->set(a.where[1] * row_chunks(tensor_) + chunk,
                        weight_leaf(tensor_.index, a.where[1], chunk, a.bytes));
    } else if (a.what == "rope") {
      single(rope_, chunks_of(std::uint64_t{s.program.context} * s.program.head_dim),
             crypto::leaf_hash(a.bytes));
    } else if (a.what == "prompt") {
      single(prompt_, chunks_of(s.prompt()), leaf_of_salted());
    } else if (a.what == "tape") {
      single(tape_, chunks_of(s.count), leaf_of_salted());
    } else if (a.what == "logprobs") {
      single(logprobs_, s.count, leaf_of_salted());
    } else if (a.what == "constraint") {
      // Of the answer only how many states there are: the roots are those of the trees.
      constraint_ = a.bytes;
      if (constraint_.size() == protocol::kConstraintPartsBytes)
        parts_ = protocol::constraint_parts(
            ByteView(constraint_).first<protocol::kConstraintPartsBytes>());
    } else if (a.what == "piece") {
      single(pieces_, s.program.vocab, crypto::leaf_hash(a.bytes));
    } else if (a.what == "row") {
      single(table_, parts_.states, crypto::leaf_hash(a.bytes));
    } else {
      Rows& rows = leaves_[at_of(a)];
      rows.trees.try_emplace(a.what, tree(row_chunks_of(a.what)))
          .first->second.set(a.where[2], crypto::leaf_hash(a.bytes));
    }
  }

  // string(name) ‖ type ‖ dimensions: the program's, or another.
  void describe() {
    const std::uint32_t name = random_.below(30);
    append_le(description_, name);
    for (std::uint32_t i = 0; i < name; ++i)
      description_.push_back(static_cast<std::uint8_t>('a' + i % 26));
    const std::uint32_t dimensions = tensor_.rows == 1 && random_.below(2) == 0 ? 1 : 2;
    const std::uint32_t wrong = other_tensor_ ? 1 + random_.below(4) : 0;
    append_le(description_, static_cast<std::uint32_t>(tensor_.format) + (wrong == 1 ? 1 : 0));
    append_le(description_, dimensions + (wrong == 2 ? 1 : 0));
    append_le(description_, tensor_.cols + (wrong == 3 ? 1 : 0));
    if (dimensions == 2) append_le(description_, tensor_.rows + (wrong == 4 ? 1 : 0));
    if (wrong == 4) description_.push_back(0);
  }
  Bytes tensor_leaf() {
    Bytes leaf = description_;
    append(leaf, tensor_tree_->root());
    return leaf;
  }

  void commit_leaf(const At& at, Rows& rows) {
    Revealed& r = c_.revealed;
    std::array<Hash*, 3> own_roots{&r.x, &r.k, &r.v};
    rows.parts = {random_hash(random_), random_hash(random_), random_hash(random_),
                  random_hash(random_)};
    const char* names[] = {"x", "k", "v"};
    for (std::size_t i = 0; i < 3; ++i)
      if (const auto t = rows.trees.find(names[i]); t != rows.trees.end())
        (own(at) ? *own_roots[i] : rows.parts[1 + i]) = t->second.root();
    if (own(at)) return;
    const Hash leaf =
        cell_leaf(at.first, at.second, rows.parts[0], rows.parts[1], rows.parts[2], rows.parts[3]);
    if (at.first == c_.place.leaf.position) {
      position_.emplace(tree(r.position_leaves));
      position_->set(at.second, leaf);
      return;
    }
    rows.position.emplace(tree(position_leaves(c_.subject, at.first)));
    rows.position->set(at.second, leaf);
    if (!positions_) positions_.emplace(tree(r.positions));
    positions_->set(at.first, crypto::leaf_hash(rows.position->root()));
  }

  void write_one(const Asked& a, const Hash& salt) {
    Bytes& out = c_.proof;
    if (a.what == "op") {
      const auto index = static_cast<std::uint32_t>(a.where[0]);
      if (list_.ops[index].scalar) return;
      append(out, a.bytes);
      append(out, ops_.at(index).path(a.where[1]));
    } else if (a.what == "weight") {
      append_le(out, static_cast<std::uint32_t>(description_.size()));
      append(out, description_);
      if (other_tensor_) {
        append(out, tensor_tree_->root());
      } else {
        append(out, a.bytes);
        append(out, tensor_tree_->path(a.where[1] * row_chunks(tensor_) + a.where[2]));
      }
      append(out, tensors_->path(tensor_.index));
    } else if (a.what == "rope") {
      append(out, a.bytes);
      append(out, rope_->path(a.where[0]));
    } else if (a.what == "prompt" || a.what == "tape" || a.what == "logprobs") {
      salted(out, salt, a.bytes);
      append(out, (a.what == "prompt" ? prompt_
                   : a.what == "tape" ? tape_
                                      : logprobs_)
                      ->path(a.where[0]));
    } else if (a.what == "constraint") {
      append(out, constraint_);
    } else if (a.what == "piece") {
      append_le(out, static_cast<std::uint32_t>(a.bytes.size()));
      append(out, a.bytes);
      append(out, pieces_->path(a.where[0]));
    } else if (a.what == "row") {
      append(out, a.bytes);
      append(out, table_->path(a.where[0]));
    } else {
      const At at = at_of(a);
      Rows& rows = leaves_.at(at);
      if (!own(at)) {
        for (const Hash& part : rows.parts) append(out, part);
        if (at.first == c_.place.leaf.position) {
          append(out, position_->path(at.second));
        } else {
          append(out, rows.position->path(at.second));
          append(out, positions_->path(at.first));
        }
      }
      append(out, a.bytes);
      append(out, rows.trees.at(a.what).path(a.where[2]));
    }
  }

  ProofCase& c_;
  const OpList& list_;
  Random& random_;
  bool other_tensor_;
  std::vector<Hash> salts_;
  std::map<std::uint32_t, Bytes> scalars_;
  std::map<std::uint32_t, SparseTree> ops_;
  std::map<At, Rows> leaves_;
  TensorShape tensor_{};
  Bytes description_;
  Bytes constraint_;
  protocol::ConstraintParts parts_{};
  std::optional<SparseTree> tensors_{}, tensor_tree_{}, rope_{}, prompt_{}, tape_{}, logprobs_{},
      pieces_{}, table_{}, position_{}, positions_{};
};

}  // namespace

ProofCase proof_case(const Subject& subject, const OpList& list, const StepPlace& place,
                     std::vector<std::uint32_t> running, const std::vector<Asked>& inputs,
                     Random& random, bool not_the_programs) {
  ProofCase c{subject, {}, place, std::move(running), {}};
  Commitments commitments(c, list, random, not_the_programs);
  commitments.collect(inputs);
  commitments.commit();
  commitments.write(inputs);
  return c;
}

void judge(ProofCase& c) {
  const OpList list = ops_of(c.subject, c.place.leaf);
  const auto verdict = [&](std::optional<std::uint32_t> claimed) {
    return judge_step(c.subject, c.revealed, c.place, c.running, claimed, c.proof);
  };
  const auto of_fault = verdict(std::nullopt);
  using Says = ProofCase::Says;
  c.bits = 0;
  if (!of_fault) {
    c.says = of_fault.error().code == Errc::mismatch ? Says::mismatch : Says::invalid;
    return;
  }
  if (*of_fault != StepVerdict::differs) {
    c.says = *of_fault == StepVerdict::follows ? Says::fault : Says::invalid_model;
    return;
  }
  ProofInputs inputs(c.subject, c.revealed, list, c.place.leaf, c.proof);
  const auto value = execute_step(c.subject, list, c.place, c.running, inputs);
  ASSERT_TRUE(value.has_value());
  c.says = Says::value;
  c.bits = value->bits;
  EXPECT_EQ(verdict(c.bits), StepVerdict::follows);
  EXPECT_EQ(verdict(c.bits ^ 1u), StepVerdict::differs);
}

}  // namespace assay::verify::test
