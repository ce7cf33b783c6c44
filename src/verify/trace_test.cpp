#include "verify/trace.hpp"

#include <bit>
#include <gtest/gtest.h>
#include <set>

#include "base/hex.hpp"
#include "base/thread_pool.hpp"
#include "verify/trace_testutil.hpp"

namespace assay::verify {
namespace {

Hash secret(std::uint8_t fill) {
  Hash h;
  h.fill(fill);
  return h;
}

Hash root_of(const States& states) {
  TraceBuilder trace(states.salt_secret, states.layers);
  feed(states, trace);
  return trace.root();
}

TEST(Trace, OrderOfCellsDoesNotMatter) {
  const States states =
      make_states({.layers = 3, .positions = 5, .dim = 8, .kv = 4, .vocab = 6, .first_head = 2});
  TraceBuilder forward(states.salt_secret, states.layers);
  feed(states, forward);
  TraceBuilder backward(states.salt_secret, states.layers);
  for (auto it = states.heads.rbegin(); it != states.heads.rend(); ++it)
    backward.head(it->position, it->x, it->logits, it->token);
  for (auto it = states.cells.rbegin(); it != states.cells.rend(); ++it)
    backward.cell(it->position, it->layer, it->x, it->k, it->v);
  EXPECT_EQ(forward.positions(), 5u);
  EXPECT_EQ(backward.positions(), 5u);
  EXPECT_EQ(forward.root(), backward.root());
}

// Also when it is asked for in the middle, and cells or heads arrive for positions already counted.
TEST(Trace, AskingEarlyChangesNothing) {
  const States states =
      make_states({.layers = 2, .positions = 9, .dim = 4, .kv = 2, .vocab = 3, .first_head = 4});
  TraceBuilder asked(states.salt_secret, states.layers);
  for (const auto& c : states.cells) {
    asked.cell(c.position, c.layer, c.x, c.k, c.v);
    EXPECT_EQ(asked.root(), trace_root(asked.position_roots(), states.layers));
  }
  for (const auto& h : states.heads) {
    asked.head(h.position, h.x, h.logits, h.token);
    EXPECT_EQ(asked.root(), trace_root(asked.position_roots(), states.layers));
  }
  EXPECT_EQ(asked.root(), root_of(states));
}

TEST(Trace, RootCoversCompletePositionsOnly) {
  const States states =
      make_states({.layers = 2, .positions = 3, .dim = 4, .kv = 2, .vocab = 3, .first_head = 3});
  TraceBuilder trace(states.salt_secret, states.layers);
  EXPECT_EQ(trace.root(), trace_root({}, 2));
  for (const auto& c : states.cells)
    if (c.position != 1 || c.layer != 1) trace.cell(c.position, c.layer, c.x, c.k, c.v);
  EXPECT_EQ(trace.positions(), 1u);
  EXPECT_TRUE(trace.leaves(1).empty());
  EXPECT_EQ(trace.leaves(2).size(), 2u);
  EXPECT_TRUE(trace.leaves(3).empty());
  EXPECT_EQ(trace.position_roots().size(), 1u);
  EXPECT_EQ(trace.root(), trace_root(trace.position_roots(), 2));
}

// Exhaustive on a small world: every bit of every input, the salt and the token.
TEST(Trace, EveryInputBitChangesTheRoot) {
  const States base =
      make_states({.layers = 2, .positions = 2, .dim = 3, .kv = 2, .vocab = 3, .first_head = 1});
  std::set<Hash> seen{root_of(base)};
  std::size_t changes = 0;
  const auto expect_new = [&](const States& changed) {
    ++changes;
    EXPECT_TRUE(seen.insert(root_of(changed)).second) << "change " << changes;
  };
  const auto flip_float = [](float& f, int bit) {
    f = std::bit_cast<float>(std::bit_cast<std::uint32_t>(f) ^ 1u << bit);
  };
  for (std::size_t c = 0; c < base.cells.size(); ++c) {
    for (std::size_t i = 0; i < base.cells[c].x.size(); ++i)
      for (int bit = 0; bit < 32; ++bit) {
        States s = base;
        flip_float(s.cells[c].x[i], bit);
        expect_new(s);
      }
    for (std::size_t i = 0; i < base.cells[c].k.size(); ++i)
      for (int bit = 0; bit < 16; ++bit) {
        States s = base;
        s.cells[c].k[i] ^= static_cast<std::uint16_t>(1u << bit);
        expect_new(s);
        s = base;
        s.cells[c].v[i] ^= static_cast<std::uint16_t>(1u << bit);
        expect_new(s);
      }
  }
  for (int bit = 0; bit < 32; ++bit) {
    for (std::size_t i = 0; i < base.heads[0].logits.size(); ++i) {
      States s = base;
      flip_float(s.heads[0].logits[i], bit);
      expect_new(s);
      s = base;
      flip_float(s.heads[0].x[i], bit);
      expect_new(s);
    }
    States s = base;
    s.heads[0].token ^= 1u << bit;
    expect_new(s);
  }
  for (std::size_t i = 0; i < 256; ++i) {
    States s = base;
    s.salt_secret[i / 8] ^= static_cast<std::uint8_t>(1u << i % 8);
    expect_new(s);
  }
  EXPECT_EQ(changes, 4u * (3 * 32 + 2 * 2 * 16) + 32u * 7 + 256);
}

// Nothing may be told apart by its bytes alone: equal states at other places, other leaves.
TEST(Trace, EqualStatesAtDifferentPlacesDiffer) {
  States states =
      make_states({.layers = 2, .positions = 2, .dim = 4, .kv = 2, .vocab = 3, .first_head = 2});
  for (auto& c : states.cells) {
    c.x = states.cells[0].x;
    c.k = c.v = states.cells[0].k;
  }
  TraceBuilder trace(states.salt_secret, states.layers);
  feed(states, trace);
  std::set<Hash> leaves;
  for (std::uint32_t t = 0; t < 2; ++t)
    for (const Hash& leaf : trace.leaves(t)) leaves.insert(leaf);
  EXPECT_EQ(leaves.size(), 4u);
}

TEST(Trace, HeadIsBoundToItsPlace) {
  // Of one layer, a position with a head has as many leaves as one without has of two layers.
  const States with_head =
      make_states({.layers = 1, .positions = 1, .dim = 4, .kv = 2, .vocab = 3, .first_head = 0});
  States without = with_head;
  without.heads.clear();
  EXPECT_NE(root_of(with_head), root_of(without));
  States two = without;
  two.layers = 2;
  two.cells.push_back(two.cells[0]);
  two.cells[1].layer = 1;
  EXPECT_NE(root_of(with_head), root_of(two));
}

TEST(Trace, FaultEndsTheTraceWhateverCameBeyond) {
  const Shape shape{.layers = 3, .positions = 6, .dim = 4, .kv = 2, .vocab = 3, .first_head = 1};
  const States states = make_states(shape);
  for (std::uint32_t layer = 0; layer <= shape.layers; ++layer) {
    TraceBuilder prefill(states.salt_secret, shape.layers);  // a batch that went on
    feed(states, prefill);
    (void)prefill.root();
    prefill.fault({3, layer});
    TraceBuilder decode(states.salt_secret, shape.layers);  // stopped at once
    for (const auto& c : states.cells)
      if (c.position < 3 || (c.position == 3 && c.layer < layer))
        decode.cell(c.position, c.layer, c.x, c.k, c.v);
    for (const auto& h : states.heads)
      if (h.position < 3) decode.head(h.position, h.x, h.logits, h.token);
    decode.fault({3, layer});
    EXPECT_EQ(prefill.positions(), 4u);
    EXPECT_EQ(prefill.leaves(3).size(), layer + 1);
    EXPECT_EQ(prefill.leaves(3), decode.leaves(3));
    EXPECT_EQ(prefill.root(), decode.root()) << layer;
    EXPECT_NE(prefill.root(), root_of(states));
  }
}

// What a request keeps of a cell serves another with its own salts, and nothing of the first's.
TEST(Trace, RecalledCellsAreThoseThatWereComputed) {
  const Shape shape{.layers = 3, .positions = 5, .dim = 300, .kv = 4, .vocab = 6, .first_head = 4};
  States states = make_states(shape);
  TraceBuilder first(states.salt_secret, shape.layers);
  std::vector<std::array<std::uint8_t, TraceBuilder::kMemoBytes>> memos;
  ASSERT_EQ(first.memo_bytes(), TraceBuilder::kMemoBytes);
  for (const auto& c : states.cells) {
    first.cell(c.position, c.layer, c.x, c.k, c.v);
    first.keep(c.position, c.layer, memos.emplace_back());
  }
  states.salt_secret[0] ^= 1;
  TraceBuilder second(states.salt_secret, shape.layers);
  second.reserve(2);
  for (std::size_t i = states.cells.size(); i-- > 0;)
    second.recall(states.cells[i].position, states.cells[i].layer, memos[i]);
  for (const auto& h : states.heads) second.head(h.position, h.x, h.logits, h.token);
  EXPECT_EQ(second.root(), root_of(states));
  TraceBuilder bent(states.salt_secret, shape.layers);
  memos[4][40] ^= 1;
  for (std::size_t i = 0; i < states.cells.size(); ++i)
    bent.recall(states.cells[i].position, states.cells[i].layer, memos[i]);
  for (const auto& h : states.heads) bent.head(h.position, h.x, h.logits, h.token);
  EXPECT_NE(bent.root(), second.root());
}

TEST(Trace, CellsOfReservedPositionsMayComeFromSeveralThreads) {
  const Shape shape{.layers = 4, .positions = 64, .dim = 64, .kv = 8, .vocab = 6, .first_head = 60};
  const States states = make_states(shape);
  TraceBuilder trace(states.salt_secret, shape.layers);
  ThreadPool pool(3);
  for (std::uint32_t begin = 0; begin < shape.positions; begin += 16) {  // passes
    trace.reserve(begin + 16);
    EXPECT_EQ(trace.positions(), begin);
    for (std::uint32_t layer = 0; layer < shape.layers; ++layer)
      pool.parallel_for(16, 1, [&](std::size_t from, std::size_t to) {
        for (const auto& c : states.cells)
          if (c.layer == layer && c.position >= begin + from && c.position < begin + to)
            trace.cell(c.position, c.layer, c.x, c.k, c.v);
      });
  }
  for (const auto& h : states.heads) trace.head(h.position, h.x, h.logits, h.token);
  EXPECT_EQ(trace.root(), root_of(states));
}

// Whatever the size of the last part, and whichever part comes first.
TEST(Trace, LogitsMayComeInPartsFromSeveralThreads) {
  constexpr std::size_t part = engine::kLogitsPart;
  ThreadPool pool(3);
  for (const std::size_t vocab : {std::size_t{1}, std::size_t{257}, part - 1, part, part + 1,
                                  3 * part, 4 * part + 300, 7 * part + 700}) {
    const States states = make_states({.layers = 1,
                                       .positions = 2,
                                       .dim = 4,
                                       .kv = 2,
                                       .vocab = static_cast<std::uint32_t>(vocab),
                                       .first_head = 0});
    TraceBuilder trace(states.salt_secret, states.layers);
    for (const auto& c : states.cells) trace.cell(c.position, c.layer, c.x, c.k, c.v);
    for (const auto& h : states.heads) {
      ASSERT_EQ(h.logits.size(), vocab);
      trace.expect_logits(h.position, vocab);
      const std::size_t parts = (vocab + part - 1) / part;
      pool.parallel_for(parts, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i)
          trace.logits(h.position, i,
                       std::span<const float>(h.logits).subspan(i * part).first(
                           std::min(part, vocab - i * part)));
      });
      trace.head(h.position, h.x, h.logits, h.token);
    }
    EXPECT_EQ(trace.root(), root_of(states)) << vocab;
  }
}

TEST(Trace, SaltsAreHmac) {
  // The leaf of a fault holds nothing but its salt: HMAC as RFC 2104 has it, and no other secret's.
  TraceBuilder trace(secret(7), 4);
  trace.fault({0, 0});
  Bytes label;
  append(label, view("assay/leaf/v0"));
  append_le(label, std::uint32_t{0});
  append_le(label, std::uint32_t{0});
  Bytes leaf;
  append(leaf, view("falt"));
  append_le(leaf, std::uint32_t{0});
  append_le(leaf, std::uint32_t{0});
  append(leaf, crypto::hmac_sha256(secret(7), label));
  EXPECT_EQ(trace.leaves(0), std::vector<Hash>{crypto::leaf_hash(leaf)});
}

TEST(Trace, Vectors) {
  for (const auto& [name, states] : vector_cases()) {
    TraceBuilder trace(states.salt_secret, states.layers);
    feed(states, trace);
    compare_with_vector(name, to_json(name, states, trace));
  }
}

}  // namespace
}  // namespace assay::verify
