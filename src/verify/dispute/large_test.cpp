// Rounds and sizes of a dispute about 32k positions of a 70B model, on synthetic trees.
#include <bit>
#include <gtest/gtest.h>
#include <map>

#include "crypto/merkle.hpp"
#include "crypto/sha256.hpp"
#include "verify/dispute/players.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

constexpr std::uint32_t kPositions = 32768, kPrompt = 16000;

Program shape_of_70b() {
  Program p;
  p.architecture = "llama";
  p.vocab = 128256;
  p.dim = 8192;
  p.layers = 80;
  p.heads = 64;
  p.kv_heads = 8;
  p.head_dim = 128;
  p.ffn = 28672;
  p.context = 131072;
  p.rms_epsilon = 1e-5f;
  p.rope_base = 500000.0f;
  p.formats.assign(3 + 80 * 9, canon::Format::q8_0);
  for (const TensorRole role : {TensorRole::attn_norm, TensorRole::ffn_norm})
    for (std::uint32_t l = 0; l < 80; ++l)
      p.formats[tensor_shape(p, role, l).index] = canon::Format::f32;
  p.formats[tensor_shape(p, TensorRole::output_norm, 0).index] = canon::Format::f32;
  return p;
}

Hash noise(std::uint32_t a, std::uint64_t b, std::uint64_t c = 0) {
  Bytes data;
  append_le(data, a);
  append_le(data, b);
  append_le(data, c);
  return crypto::sha256(data);
}

// A leaf whose every chunk is noise that fits the rules of the game.
class NoiseLeaf final : public LeafEvidence {
 public:
  NoiseLeaf(const Subject& subject, const LeafPlace& place)
      : place_(place), list_(ops_of(subject, place)), layers_(subject.program.layers) {
    for (std::uint32_t op = 0; op < list_.ops.size(); ++op) {
      std::vector<Hash> hashes;
      for (std::uint64_t c = 0; c < list_.ops[op].chunks; ++c)
        hashes.push_back(crypto::leaf_hash(chunk(op, c)));
      Hash root{};
      if (list_.ops[op].scalar)
        std::ranges::copy(chunk(op, 0), root.begin());
      else
        root = crypto::merkle_root(hashes);
      chunks_.push_back(std::move(hashes));
      roots_.push_back(root);
    }
  }
  const OpList& ops() const override { return list_; }
  Hash salt() const override { return {}; }
  Bytes preimage() const override {
    Bytes out(32, 0);
    for (const auto tie : {Op::Tie::x, Op::Tie::k, Op::Tie::v, Op::Tie::logits, Op::Tie::token})
      for (std::size_t i = 0; i < roots_.size(); ++i)
        if (list_.ops[i].tie == tie)
          append(out, ByteView(roots_[i]).first(tie == Op::Tie::token ? 4 : 32));
    return out;
  }
  std::optional<Hash> leaf_hash() const override {
    const auto root = [&](Op::Tie tie) {
      for (std::size_t i = 0; i < roots_.size(); ++i)
        if (list_.ops[i].tie == tie) return roots_[i];
      return Hash{};
    };
    const Hash x = root(Op::Tie::x);
    if (place_.index == layers_) return head_leaf(place_.position, {}, x, root(Op::Tie::logits), 1);
    return cell_leaf(place_.position, place_.index, {}, x, root(Op::Tie::k), root(Op::Tie::v));
  }
  std::uint32_t known_ops() const override { return static_cast<std::uint32_t>(list_.ops.size()); }
  std::optional<FaultClaim> fault() const override { return std::nullopt; }
  Hash op_root(std::uint32_t op) const override { return roots_[op]; }
  std::vector<Hash> chunk_leaves(std::uint32_t op) const override { return chunks_[op]; }
  Bytes chunk(std::uint32_t op, std::uint64_t chunk) const override {
    const Op& of = list_.ops[op];
    const std::size_t bytes = chunk_values(of, chunk, place_.position) * value_bytes(of.type);
    if (of.scalar) {
      const bool alternatives = std::string_view(of.name) == "lct";
      return {static_cast<std::uint8_t>(alternatives ? 20 : 1), 0, 0, 0};
    }
    const bool logprobs = of.kind == OpKind::logprob || of.kind == OpKind::logprob_leaf;
    const Hash h = noise(logprobs ? 0 : op, chunk);
    Bytes out(bytes);
    for (std::size_t i = 0; i < bytes; ++i) out[i] = h[i % h.size()];
    return out;
  }
  Result<std::vector<std::uint32_t>> running(std::uint32_t op,
                                             std::uint64_t element) const override {
    const std::size_t width = value_bytes(list_.ops[op].type);
    std::vector<std::uint32_t> out(steps_of(list_.ops[op], element, place_.position), 7);
    out.back() = 0;
    const Bytes values = chunk(op, element / kChunkValues);
    std::memcpy(&out.back(), &values[element % kChunkValues * width], width);
    return out;
  }
  Status adopt(std::uint32_t, const Hash&) override { return {}; }
  Result<Bytes> prove(const StepPlace&, const TracePaths&) const override { return Bytes{}; }

 private:
  LeafPlace place_;
  OpList list_;
  std::uint32_t layers_;
  std::vector<std::vector<Hash>> chunks_;
  std::vector<Hash> roots_;
};

struct NoiseTrace final : Evidence {
  explicit NoiseTrace(Subject& subject, const LeafPlace& place)
      : at(place), disputed(std::make_shared<NoiseLeaf>(subject, place)) {
    for (std::uint32_t t = 0; t < kPositions; ++t) all.push_back(noise(1, t));
    for (std::uint32_t i = 0; i < position_leaves(subject, place.position); ++i)
      of_position.push_back(noise(2, i));
    of_position[place.index] = *disputed->leaf_hash();
    all[place.position] = crypto::leaf_hash(crypto::merkle_root(of_position));
    Bytes data;
    append(data, view("assay/trace/v0"));
    append_le(data, kPositions);
    append_le(data, subject.program.layers);
    append(data, crypto::merkle_root(all));
    subject.trace_root = crypto::sha256(data);
  }
  const Hash& secret() const override { return none; }
  std::span<const Hash> positions() const override { return all; }
  std::vector<Hash> leaves(std::uint32_t) const override { return of_position; }
  std::optional<LeafPlace> fault() const override { return std::nullopt; }
  Result<std::shared_ptr<LeafEvidence>> leaf(const LeafPlace&) override { return disputed; }

  LeafPlace at;
  std::shared_ptr<NoiseLeaf> disputed;
  std::vector<Hash> all, of_position;
  Hash none{};
};

std::size_t memory_of(const Game& game) {
  std::size_t bytes = sizeof(Game) + game.values().size() + game.running().size_bytes() +
                      game.ops().ops.size() * sizeof(Op) +
                      game.revealed().op_roots.size() * sizeof(Hash);
  for (const auto descents :
       {game.position_descents(), game.leaf_descents(), game.chunk_descents()})
    for (const Descent& d : descents) bytes += sizeof(Descent) + d.children.size() * sizeof(Hash);
  return bytes;
}

struct Extent {
  std::uint32_t rounds = 0;
  std::size_t children = 0, reveal = 0, memory = 0;
};

// To the step of an element of this op. Everything the way down needs is noise.
void play(const std::shared_ptr<const Subject>& subject, NoiseTrace& trace, std::uint32_t op,
          bool last, Extent& extent) {
  Game game = *Game::start(subject, {}, {});
  const auto choose = [&](std::uint32_t n) {
    Bytes out;
    append_le(out, n);
    return out;
  };
  const auto towards = [&](std::span<const Descent> descents, std::uint64_t leaf) {
    const auto shapes = children_of(descents.back().node);
    std::uint32_t i = 0;
    while (leaf >= shapes[i].first + shapes[i].leaves) ++i;
    return choose(i);
  };
  while (game.phase() != Phase::step) {
    const Phase phase = game.phase();
    if (game.turn() == Side::provider) {
      const auto payload = respond(game, trace);
      ASSERT_TRUE(payload) << payload.error().message;
      const auto ok = game.play(*payload);
      ASSERT_TRUE(ok) << to_string(phase) << ": " << ok.error().message;
      const bool tree =
          phase == Phase::positions || phase == Phase::leaves || phase == Phase::chunks;
      std::size_t& most = tree ? extent.children : extent.reveal;
      most = std::max(most, payload->size());
      extent.memory = std::max(extent.memory, memory_of(game));
      continue;
    }
    const Op* of = phase == Phase::chunks || phase == Phase::values ? &game.ops().ops[op] : nullptr;
    Bytes choice;
    switch (phase) {
      case Phase::positions:
        choice = towards(game.position_descents(), trace.at.position);
        break;
      case Phase::leaves:
        choice = towards(game.leaf_descents(), trace.at.index);
        break;
      case Phase::ops:
        choice = choose(op);
        break;
      case Phase::chunks:
        choice = towards(game.chunk_descents(), last ? of->chunks - 1 : of->chunks / 2);
        break;
      case Phase::values:
        choice = choose(last ? chunk_values(*of, game.chunk(), trace.at.position) - 1 : 0);
        break;
      default:
        choice = choose(last ? static_cast<std::uint32_t>(game.running().size()) - 1 : 0);
    }
    const auto ok = game.play(choice);
    ASSERT_TRUE(ok) << to_string(phase) << ": " << ok.error().message;
  }
  EXPECT_EQ(game.place().op, op);
  extent.rounds = std::max(extent.rounds, game.provider_moves());
}

TEST(Large, TenRoundsAndTwoKilobytesForEveryOpOf70B) {
  auto subject = std::make_shared<Subject>();
  subject->program = shape_of_70b();
  protocol::Request& r = subject->request;
  r.prompt_count = kPrompt;
  subject->count = r.max_tokens = kPositions + 1 - kPrompt;
  r.logit_bias = {{5, std::bit_cast<std::uint32_t>(1.0f)}};
  r.repetition_penalty_bits = std::bit_cast<std::uint32_t>(1.1f);
  r.presence_penalty_bits = std::bit_cast<std::uint32_t>(0.1f);
  r.temperature_bits = std::bit_cast<std::uint32_t>(0.8f);
  r.top_k = 40;
  r.top_p_bits = std::bit_cast<std::uint32_t>(0.9f);
  r.min_p_bits = std::bit_cast<std::uint32_t>(0.05f);
  r.logprobs = 21;

  Extent extent;
  std::map<OpKind, int> kinds;
  int games = 0;
  for (const LeafPlace place :
       {LeafPlace{kPositions - 1, 80, false}, LeafPlace{kPositions - 1, 79, false},
        LeafPlace{kPositions - 2, 0, false}, LeafPlace{kPositions / 2 + 1, 40, false}}) {
    NoiseTrace trace(*subject, place);
    const OpList& list = trace.disputed->ops();
    for (std::uint32_t op = 0; op < list.ops.size(); ++op) {
      if (list.ops[op].kind == OpKind::threshold) continue;
      for (const bool last : {false, true}) {
        play(subject, trace, op, last, extent);
        if (HasFatalFailure()) return;
        ++games;
      }
      ++kinds[list.ops[op].kind];
    }
  }
  EXPECT_EQ(extent.rounds, 10u);
  EXPECT_LE(extent.children, 2048u);
  EXPECT_LE(extent.reveal, 4096u);
  EXPECT_LE(extent.memory, 64u * 1024);
  EXPECT_GE(kinds.size(), 33u);
  fmt::print(
      "[ large ] {} games, {} kinds of ops, at most {} rounds, {} bytes of children, {} "
      "bytes of other reveals, {} bytes of memory\n",
      games, kinds.size(), extent.rounds, extent.children, extent.reveal, extent.memory);
}

}  // namespace
}  // namespace assay::verify
