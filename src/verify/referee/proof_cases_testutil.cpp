#include "verify/referee/proof_cases_testutil.hpp"

#include <bit>
#include <gtest/gtest.h>

#include "base/assert.hpp"
#include "crypto/keccak.hpp"
#include "crypto/sha256.hpp"
#include "protocol/tokens.hpp"
#include "verify/referee/finish.hpp"
#include "verify/referee/opening.hpp"
#include "verify/referee/vector_sources_testutil.hpp"

namespace assay::verify::test {
namespace {

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
    return crypto::node_hash(node(first, split), node(first + split, size - split));
  }

  std::uint64_t size_;
  Random random_;
  std::map<std::uint64_t, Hash> leaves_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Hash> made_;
};

std::uint64_t chunks_of(std::uint64_t values) { return (values + kChunkValues - 1) / kChunkValues; }

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
        ops_.try_emplace(index, tree(op.chunks)).first->second.set(a.where[1],
                                                                   crypto::leaf_hash(a.bytes));
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
    const Hash leaf = cell_leaf(at.first, at.second, rows.parts[0], rows.parts[1], rows.parts[2],
                                rows.parts[3]);
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
      append(out, (a.what == "prompt" ? prompt_ : a.what == "tape" ? tape_ : logprobs_)
                      ->path(a.where[0]));
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
  std::optional<SparseTree> tensors_{}, tensor_tree_{}, rope_{}, prompt_{}, tape_{}, logprobs_{},
      position_{}, positions_{};
};

// Big-endian fields, as the EVM reads them.
template <class T>
void put(Bytes& out, T n) {
  for (std::size_t i = sizeof n; i-- > 0;) out.push_back(static_cast<std::uint8_t>(n >> (8 * i)));
}

// A word without the zeros in front: how many bytes, then they.
void put_word(Bytes& out, ByteView word) {
  while (!word.empty() && word.front() == 0) word = word.subspan(1);
  out.push_back(static_cast<std::uint8_t>(word.size()));
  append(out, word);
}
void put_number(Bytes& out, std::uint64_t n) {
  Bytes word;
  put(word, n);
  put_word(out, word);
}
// 32 bits each, the first lowest.
void put_numbers(Bytes& out, std::initializer_list<std::uint32_t> numbers) {
  Bytes word;
  for (std::size_t i = numbers.size(); i-- > 0;) put(word, numbers.begin()[i]);
  put_word(out, word);
}

Bytes biases_of(const Subject& s) {
  Bytes out;
  for (const protocol::LogitBias& b : s.request.logit_bias) {
    put(out, b.token);
    put(out, b.bias_bits);
  }
  return out;
}

void put_bytes(Bytes& out, ByteView bytes) {
  put(out, static_cast<std::uint16_t>(bytes.size()));
  append(out, bytes);
}

// `finish` of a statement that has none, and of one that nobody knows (contracts/src/referee/Terms.sol).
constexpr std::uint32_t kProgress = 0xffffffff, kUnknown = 4;
std::uint32_t finish_of(const Subject& s) {
  return s.finish ? std::min(*s.finish, kUnknown) : kProgress;
}

void put_subject(Bytes& out, const Subject& s, const Bytes& biases) {
  const protocol::Request& r = s.request;
  put_word(out, program_hash(s.program));
  for (const Hash& h : {s.weights_root, r.prompt_root, s.tape_root, s.logprobs_root})
    put_word(out, h);
  put_word(out, biases.empty() ? Hash{} : crypto::keccak256(biases));
  put_numbers(out, {s.prompt(), r.continuation, s.count, r.max_tokens, r.logprobs,
                    static_cast<std::uint32_t>(r.seed), static_cast<std::uint32_t>(r.seed >> 32),
                    finish_of(s)});
  put_numbers(out, {r.repetition_penalty_bits, r.presence_penalty_bits, r.frequency_penalty_bits,
                    r.temperature_bits, r.top_k, r.top_p_bits, r.min_p_bits});
}

void put_revealed(Bytes& out, const ProofCase& c, const Op& op) {
  const Revealed& r = c.revealed;
  put_word(out, r.positions_root);
  put_word(out, r.position_root);
  put_number(out, r.positions);
  put_number(out, r.position_leaves);
  for (const Hash& h : {r.x, r.k, r.v}) put_word(out, h);
  put_word(out, r.op_roots[c.place.op]);
  for (const Source& s : {op.a, op.b, op.c, op.d})
    put_word(out, s.from == Source::From::op ? r.op_roots[s.op] : Hash{});
}

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

Bytes case_file(std::span<const ProofCase> cases) {
  std::map<Hash, Bytes> programs;
  for (const ProofCase& c : cases)
    programs.try_emplace(program_hash(c.subject.program), program_bytes(c.subject.program));
  Bytes out;
  put(out, static_cast<std::uint32_t>(programs.size()));
  for (const auto& [hash, bytes] : programs) put_bytes(out, bytes);
  put(out, static_cast<std::uint32_t>(cases.size()));
  for (const ProofCase& c : cases) {
    const OpList list = ops_of(c.subject, c.place.leaf);
    const Op& op = list.ops[c.place.op];
    const Bytes biases = biases_of(c.subject);
    out.push_back(static_cast<std::uint8_t>(op.kind));
    out.push_back(static_cast<std::uint8_t>(c.says));
    put(out, c.bits);
    put_subject(out, c.subject, biases);
    put_revealed(out, c, op);
    const StepPlace& p = c.place;
    for (const std::uint64_t n :
         {std::uint64_t{p.leaf.position}, std::uint64_t{p.leaf.index},
          std::uint64_t{p.leaf.fault ? 1u : 0u}, std::uint64_t{p.op}, p.element,
          std::uint64_t{p.step}})
      put_number(out, n);
    const std::uint32_t begin = p.step - p.step % kChunkValues;
    put_number(out, p.step == 0 ? 0 : c.running[p.step - 1]);
    put_number(out, begin == 0 ? 0 : c.running[begin - 1]);
    put_bytes(out, biases);
    put_bytes(out, c.proof);
  }
  return out;
}

RandomCases::RandomCases(std::uint32_t seed) : random_(seed) {
  for (const VectorSource& s : vector_sources()) subjects_.push_back(s.world->subject);
  const char* const architectures[] = {"llama", "qwen2", "qwen3"};
  for (int i = 0; i < 4; ++i) {
    Shape shape;
    shape.architecture = architectures[random_.below(3)];
    shape.vocab = 1 + random_.below(1500);
    shape.dim = 256 * (1 + random_.below(4));
    shape.layers = 1 + random_.below(3);
    shape.kv_heads = 1 + random_.below(3);
    shape.heads = shape.kv_heads * (1 + random_.below(3));
    shape.head_dim = 256 * (1 + random_.below(2));
    shape.ffn = 256 * (1 + random_.below(4));
    shape.tied = random_.below(2) == 0;
    shape.formats.clear();
    for (int f = 0; f < 11; ++f)
      shape.formats.push_back(canon::formats()[random_index(random_, canon::formats().size())].format);
    const World world(shape, random_.bits(), 1 + random_.below(700), 1 + random_.below(300));
    subjects_.push_back(world.subject);
  }
}

// One of them with another request about the choice of tokens.
Subject RandomCases::subject() {
  Subject s = subjects_[random_index(random_, subjects_.size())];
  protocol::Request& r = s.request;
  const auto chance = [&](std::uint32_t n) { return random_.below(n) == 0; };
  const auto number = [&](float most) {
    return std::bit_cast<std::uint32_t>(most * (0.01f + 0.99f * std::fabs(random_.unit())));
  };
  r.continuation = random_.below(r.prompt_count);
  r.logit_bias.clear();
  if (chance(2))
    for (std::uint32_t id = 0; id < s.program.vocab && r.logit_bias.size() < 20;
         id += 1 + random_.below(9))
      r.logit_bias.push_back({id, number(50.0f)});
  r.repetition_penalty_bits = chance(2) ? 0x3f800000 : number(2.0f);
  r.presence_penalty_bits = chance(2) ? 0 : number(-1.0f);
  r.frequency_penalty_bits = chance(2) ? 0 : number(1.0f);
  r.temperature_bits = chance(4) ? 0 : number(1.5f);
  r.top_k = chance(3) ? 0 : random_.below(s.program.vocab);
  r.top_p_bits = chance(3) ? 0x3f800000 : number(1.0f);
  r.min_p_bits = chance(2) ? 0 : number(1.0f);
  r.seed = std::uint64_t{random_.bits()} << 32 | random_.bits();
  r.logprobs = chance(3) ? 0 : 1 + random_.below(21);
  r.max_tokens = s.count + random_.below(3);
  return s;
}

std::optional<ProofCase> RandomCases::attempt(OpKind kind) {
  const Subject s = subject();
  const std::uint32_t positions = s.prompt() + s.count - 1;
  LeafPlace leaf{random_.below(positions), random_.below(s.program.layers + 1),
                 random_.below(8) == 0};
  if (random_.below(4) == 0) leaf.position = positions - 1;
  if (leaf.index == s.program.layers && leaf.position < s.first_sampled()) return std::nullopt;
  const OpList list = ops_of(s, leaf);
  std::vector<std::uint32_t> found;
  for (std::uint32_t i = 0; i < list.ops.size(); ++i)
    if (list.ops[i].kind == kind) found.push_back(i);
  if (found.empty()) return std::nullopt;

  StepPlace place{leaf, found[random_index(random_, found.size())], 0, 0};
  const Op& op = list.ops[place.op];
  const auto some = [&](std::uint64_t n) {
    return random_.below(3) == 0 ? n - 1 : random_.below(static_cast<std::uint32_t>(n));
  };
  const std::uint64_t chunk = some(op.chunks);
  place.element = chunk * kChunkValues + some(chunk_values(op, chunk, leaf.position));
  place.step = static_cast<std::uint32_t>(some(steps_of(op, place.element, leaf.position)));
  const std::uint32_t mode = random_.below(kModes);
  std::vector<std::uint32_t> running;
  for (std::uint32_t i = 0; i < place.step; ++i)
    running.push_back(hostile_running(s, op, random_, mode));

  const bool bad_scale = random_.below(20) == 0, other_tensor = random_.below(40) == 0;
  const auto answer = hostile(s, list, leaf.position, random_.bits(), mode);
  Recorder recorder([&](const Asked& q) {
    Result<Bytes> out = answer(q);
    if (bad_scale && q.what == "weight" && out->size() >= 4) {
      const std::size_t at = random_.below(2) == 0 ? 0 : out->size() - 2;
      (*out)[at] = static_cast<std::uint8_t>(random_.bits());
      (*out)[at + 1] = 0x7c | static_cast<std::uint8_t>(random_.bits());
      if (random_.below(2) == 0) (*out)[3] = 0xff, (*out)[2] = 0x80;
    }
    return out;
  });
  static_cast<void>(execute_step(s, list, place, running, recorder));
  std::vector<Asked> asked = recorder.asked();
  const auto weight = std::ranges::find(asked, "weight", &Asked::what);
  const bool other = other_tensor && weight != asked.end();
  if (other) asked.erase(weight + 1, asked.end());
  ProofCase c = proof_case(s, list, place, running, asked, random_, other);
  if (random_.below(6) == 0) tamper(c, op);
  judge(c);
  return c;
}

void RandomCases::tamper(ProofCase& c, const Op& op) {
  const auto flip = [&](Bytes::value_type& byte) {
    byte = static_cast<std::uint8_t>(byte ^ 1u << random_.below(8));
  };
  switch (c.proof.empty() ? 1 : random_.below(6)) {
    case 0:
      c.proof.resize(random_index(random_, c.proof.size()));
      return;
    case 1:
      c.proof.resize(c.proof.size() + 1 + random_.below(40));
      return;
    case 2: {  // the proof of another element
      const std::uint64_t chunk = c.place.element / kChunkValues;
      const std::uint32_t n = chunk_values(op, chunk, c.place.leaf.position);
      const std::uint64_t other = chunk * kChunkValues + random_.below(n);
      if (steps_of(op, other, c.place.leaf.position) > c.place.step) c.place.element = other;
      return;
    }
    case 3:
      flip(c.revealed.op_roots[random_index(random_, c.revealed.op_roots.size())][random_.below(32)]);
      return;
    default:
      flip(c.proof[random_index(random_, c.proof.size())]);
      return;
  }
}

ProofCase RandomCases::next(OpKind kind) {
  for (int tries = 0;; ++tries) {
    ASSAY_ASSERT(tries < 100000);
    if (auto c = attempt(kind)) return *std::move(c);
  }
}

namespace {

Subject real_subject(const Shape& shape) {
  Subject s;
  s.program = program_of(shape);
  protocol::Request& r = s.request;
  r.prompt_count = 32000;
  r.logit_bias = {{.token = 3, .bias_bits = 0x3fc00000}, {.token = 77, .bias_bits = 0xc2210000}};
  r.repetition_penalty_bits = 0x3fa66666;  // 1.3
  r.presence_penalty_bits = 0x3ecccccd;
  r.frequency_penalty_bits = 0x3dcccccd;
  r.temperature_bits = 0x3f333333;  // 0.7
  r.top_k = 40;
  r.top_p_bits = 0x3f733333;  // 0.95
  r.min_p_bits = 0x3d4ccccd;
  r.seed = 0x0123456789abcdef;
  r.max_tokens = 768;
  r.logprobs = 6;
  s.count = 768;
  s.finish = static_cast<std::uint32_t>(protocol::Finish::length);
  return s;
}

// Mostly what a model's numbers are: quants near zero, scales that fp16 holds.
Bytes lifelike(const Asked& q, const Op* op, Bytes bytes, Random& random) {
  if (op == nullptr) return bytes;
  const bool scale = op->kind == OpKind::q8_scale || op->kind == OpKind::q8k_scale;
  for (std::size_t i = 0; i + 4 <= bytes.size() && op->type == ValueType::f32; i += 4) {
    const float x = random.unit();
    auto bits = std::bit_cast<std::uint32_t>(scale ? std::fabs(x) * 0.125f + 1e-3f : x);
    if (scale) bits &= 0xffffe000u;
    for (int b = 0; b < 4; ++b) bytes[i + b] = static_cast<std::uint8_t>(bits >> (8 * b));
  }
  static_cast<void>(q);
  return bytes;
}

void add_real_cases(std::vector<NamedCase>& out, const std::string& name, const Subject& s,
                    const LeafPlace& leaf, Random& random, bool products_only) {
  const OpList list = ops_of(s, leaf);
  for (std::uint32_t i = 0; i < list.ops.size(); ++i) {
    const Op& op = list.ops[i];
    if (op.kind == OpKind::threshold || (products_only && op.kind != OpKind::product)) continue;
    StepPlace place{leaf, i, 0, 0};
    place.element = (op.chunks - 1) * kChunkValues + chunk_values(op, op.chunks - 1, leaf.position);
    --place.element;
    place.step = steps_of(op, place.element, leaf.position) - 1;
    std::vector<std::uint32_t> running(place.step, op.type == ValueType::u32 ? 5 : 0x3f9a1234);
    const auto answer = hostile(s, list, leaf.position, random.bits(), 0);
    Recorder recorder([&](const Asked& q) -> Result<Bytes> {
      TRY(Bytes bytes, answer(q));
      return lifelike(q, q.what == "op" ? &list.ops[q.where[0]] : nullptr, std::move(bytes),
                      random);
    });
    static_cast<void>(execute_step(s, list, place, running, recorder));
    ProofCase c = proof_case(s, list, place, running, recorder.asked(), random);
    judge(c);
    out.push_back({fmt::format("{} {}", name, op.name), std::move(c)});
  }
}

}  // namespace

std::vector<NamedCase> cases_of_real_shapes() {
  std::vector<NamedCase> out;
  Random random(11);
  Shape small{.architecture = "qwen3",
              .vocab = 128256,
              .dim = 4096,
              .layers = 32,
              .heads = 32,
              .kv_heads = 8,
              .head_dim = 128,
              .ffn = 14336,
              .context = 131072,
              .formats = {}};
  Shape large = small;
  large.dim = 8192, large.layers = 80, large.heads = 64, large.ffn = 28672;
  const LeafPlace cell{32766, 5}, head{32766, 0};
  for (const auto& [name, shape] : {std::pair{"8B", small}, {"70B", large}})
    for (const canon::FormatInfo& f : canon::formats()) {
      Shape typed = shape;
      typed.formats = {f.format};
      const Subject s = real_subject(typed);
      const bool products_only = f.format != Format::q8_0;
      const std::string model = fmt::format("{} {}", name, f.name);
      LeafPlace at_head = head;
      at_head.index = typed.layers;
      add_real_cases(out, model, s, cell, random, products_only);
      add_real_cases(out, model, s, at_head, random, products_only);
      if (!products_only) add_real_cases(out, model, s, {32766, 0}, random, false);
    }
  return out;
}

namespace {

// One thing of a request or a statement that makes, or might make, it wrong.
void spoil(Subject& s, Random& random) {
  protocol::Request& r = s.request;
  const auto special = [&] {
    constexpr std::uint32_t kBits[] = {0,          0x80000000, 0x3f800000, 0x3f800001, 0x7f800000,
                                       0xff800000, 0x7fc00000, 0x00000001, 0xbf800000, 0x7f7fffff};
    return kBits[random_index(random, std::size(kBits))];
  };
  std::uint32_t* const floats[] = {&r.repetition_penalty_bits, &r.presence_penalty_bits,
                                   &r.frequency_penalty_bits,  &r.temperature_bits,
                                   &r.top_p_bits,              &r.min_p_bits};
  switch (random.below(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
      *floats[random_index(random, std::size(floats))] = special();
      return;
    case 4:
      r.continuation = random.below(2) == 0 ? r.prompt_count : r.prompt_count - 1;
      return;
    case 5:
      r.max_tokens = random.below(3) == 0 ? 0 : s.count - 1 + random.below(2);
      return;
    case 6:
      r.logprobs = random.below(25);
      r.max_tokens = std::max(s.count, random.below(60000));
      return;
    case 7:
      r.logprobs = s.program.vocab + random.below(3);
      return;
    case 8:
      s.finish = random.below(7) == 0 ? 0xffffffff : random.below(6);
      return;
    case 9:
      s.program.context = r.prompt_count + s.count - 2 + random.below(3);
      return;
    case 10:
      r.logit_bias = {{random.below(4), special()}, {1 + random.below(3), 0x3f000000}};
      return;
    case 11:
      r.logit_bias = {{s.program.vocab - random.below(2), 0x3f000000}};
      return;
    case 12:
      r.logit_bias.assign(255 + random.below(3), {});
      for (std::uint32_t i = 0; i < r.logit_bias.size(); ++i) r.logit_bias[i] = {i, 0x40000000};
      return;
    default:
      s.count = 0;
      if (random.below(2) == 0) s.finish = static_cast<std::uint32_t>(protocol::Finish::fault);
      return;
  }
}

FinishCase finish_case(Random& random) {
  FinishCase c;
  Subject& s = c.subject;
  protocol::Request& r = s.request;
  const Hash secret = random_hash(random);
  const std::size_t most = random.below(8) == 0 ? 600 : 20;
  s.program.vocab = 280 + random.below(100);
  s.program.context = 4096;
  std::vector<std::uint32_t> stops, prompt(1 + random_index(random, most)),
      answer(1 + random_index(random, most));
  for (std::uint32_t id = 0; id < s.program.vocab && random.below(6) != 0;
       id += 1 + random.below(9))
    stops.push_back(id);
  if (random.below(20) == 0)
    for (std::uint32_t id = s.program.vocab; id < 1000; ++id) stops.push_back(id);
  for (std::uint32_t& id : prompt) id = random.below(s.program.vocab + 3);
  for (std::uint32_t& id : answer) id = 100 + random.below(200);
  if (!stops.empty() && random.below(2) == 0) answer.back() = stops.back();
  r.prompt_count = static_cast<std::uint32_t>(prompt.size());
  s.count = static_cast<std::uint32_t>(answer.size());
  r.max_tokens = s.count + random.below(2);
  if (random.below(4) != 0) s.finish = random.below(4);
  r.prompt_root = protocol::prompt_root(secret, prompt);
  s.tape_root = protocol::tape_root(secret, answer);
  r.stop_root = protocol::stop_root(stops);
  if (random.below(3) == 0) spoil(s, random);

  const bool about_answer = random.below(3) != 0;
  const auto& tokens = about_answer ? answer : prompt;
  const auto token = static_cast<std::uint32_t>(
      random.below(2) == 0 ? tokens.size() - 1 : random_index(random, tokens.size()));
  const auto list = about_answer ? protocol::TokenList::tape : protocol::TokenList::prompt;
  const auto chunk = protocol::open_tokens(secret, list, tokens, token / kChunkValues);
  c.proof = about_answer ? finish_proof(stops, token, chunk.leaf, chunk.path)
                         : prompt_proof(token, chunk.leaf, chunk.path);
  switch (random.below(24)) {
    case 0:
      c.proof.resize(random_index(random, c.proof.size()));
      break;
    case 1:
      c.proof.resize(c.proof.size() + 1 + random.below(40));
      break;
    case 2:
      c.proof[random_index(random, c.proof.size())] ^= 1;
      break;
    case 3:
      c.proof[0] = static_cast<std::uint8_t>(random.below(4));
      break;
    case 4:
      r.stop_root[random.below(32)] ^= 1;
      break;
    default:
      break;
  }
  return c;
}

}  // namespace

std::vector<FinishCase> finish_cases(std::uint32_t seed, std::size_t count) {
  Random random(seed);
  std::vector<FinishCase> out;
  while (out.size() < count) out.push_back(finish_case(random));
  return out;
}

Bytes finish_file(std::span<const FinishCase> cases, std::uint32_t seed) {
  Bytes out;
  put(out, static_cast<std::uint32_t>(cases.size()));
  for (const FinishCase& c : cases) {
    using Says = ProofCase::Says;
    const auto verdict = judge_finish(c.subject, c.proof);
    // follows, differs; or the two errors.
    out.push_back(verdict ? static_cast<std::uint8_t>(*verdict)
                          : static_cast<std::uint8_t>(verdict.error().code == Errc::mismatch
                                                          ? Says::mismatch
                                                          : Says::invalid));
    put_number(out, c.subject.program.vocab);
    put_number(out, c.subject.program.context);
    const Bytes biases = biases_of(c.subject);
    put_subject(out, c.subject, biases);
    put_word(out, c.subject.request.stop_root);
    put_bytes(out, biases);
    put_bytes(out, c.proof);
  }
  Random random(seed);
  constexpr std::uint32_t kSalts = 8;
  put(out, kSalts);
  for (std::uint32_t i = 0; i < kSalts; ++i) {
    const Hash secret = random_hash(random);
    const std::uint32_t position = i == 0 ? 0 : random.below(1u << 18), leaf = random.below(200);
    append(out, secret);
    append(out, protocol::salt_commitment(secret));
    put(out, position);
    put(out, leaf);
    append(out, leaf_salt(secret, position, leaf));
  }
  return out;
}

}  // namespace assay::verify::test
