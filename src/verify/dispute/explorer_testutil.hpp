// Every choice a challenger has, against one provider.
#pragma once
#include <gtest/gtest.h>

#include "verify/dispute/dispute_testutil.hpp"

namespace assay::verify {

// Walks every choice there is. An honest provider answers; an honest proof ends each path.
struct Explorer {
  Evidence& provider;
  Evidence& prover;
  std::uint64_t stride;
  std::uint64_t steps = 0, refused = 0, garbage = 0, n = 0;

  static std::uint32_t choices(const Game& game) {
    const auto children = [](std::span<const Descent> d) { return d.back().children.size(); };
    const bool at_fault = game.fault() && game.place().op == game.fault()->op;
    std::size_t out = 0;
    switch (game.phase()) {
      case Phase::positions:
        out = children(game.position_descents());
        break;
      case Phase::leaves:
        out = children(game.leaf_descents());
        break;
      case Phase::ops:
        out = game.revealed().op_roots.size() + (game.fault() ? 1 : 0);
        break;
      case Phase::chunks:
        out = children(game.chunk_descents());
        break;
      case Phase::values:
        out = game.values().size() / value_bytes(game.ops().ops[game.place().op].type);
        break;
      case Phase::running:
        out = game.running().size() + (at_fault ? 1 : 0);
        break;
      case Phase::step:
      case Phase::salt:
        break;
    }
    return static_cast<std::uint32_t>(out);
  }
  static Bytes le32(std::uint32_t v) {
    Bytes out;
    append_le(out, v);
    return out;
  }

  void refuse(const Game& game, ByteView payload) {
    Game copy = game;
    ASSERT_FALSE(copy.play(payload));
    ASSERT_EQ(copy.state(), game.state());
    ASSERT_EQ(copy.moves(), game.moves());
    ASSERT_EQ(copy.phase(), game.phase());
    ++refused;
  }

  // One bit, cut, too long; every byte of a game is the transcript tests' business.
  void damage(const Game& game, const Bytes& proof) {
    Bytes other = proof;
    if (!proof.empty()) {
      other[steps % proof.size()] ^= static_cast<std::uint8_t>(1u << steps % 8);
      Game copy = game;
      if (copy.play(other)) {
        ASSERT_EQ(copy.outcome(), DisputeOutcome::challenger_wrong);
      }
      other = proof;
      other.pop_back();
      refuse(game, other);
      ++garbage;
    }
    other = proof;
    other.push_back(0);
    refuse(game, other);
  }

  void prove(const Game& game) {
    const auto proof = challenge(game, prover);
    ASSERT_TRUE(proof) << proof.error().message;
    ASSERT_LE(proof->size(), kProofMax);
    Game copy = game;
    const auto ok = copy.play(*proof);
    const std::string about =
        fmt::format("{} element {} step {} of {}, {}", game.ops().ops[game.place().op].name,
                    game.place().element, game.place().step, game.place().leaf.position,
                    game.place().leaf.index);
    ASSERT_TRUE(ok) << about << ": " << ok.error().message;
    ASSERT_EQ(copy.outcome(), DisputeOutcome::challenger_wrong) << about;
    ASSERT_FALSE(copy.play(*proof));  // it is over
    ++steps;
    damage(game, *proof);
  }

  void walk(const Game& game) {
    if (::testing::Test::HasFatalFailure()) return;
    if (game.turn() == Side::provider) {
      const auto payload = respond(game, provider);
      ASSERT_TRUE(payload) << payload.error().message;
      Game next = game;
      const auto ok = next.play(*payload);
      ASSERT_TRUE(ok) << to_string(game.phase()) << ": " << ok.error().message;
      walk(next);
      return;
    }
    if (game.phase() == Phase::step || game.phase() == Phase::salt) {
      if (n++ % stride == 0) prove(game);
      return;
    }
    const std::uint32_t count = choices(game);
    refuse(game, le32(count));
    refuse(game, Bytes{1, 2, 3});
    for (std::uint32_t i = 0; i < count; ++i) {
      if (game.phase() == Phase::ops && game.ops().ops[i].kind == OpKind::threshold) {
        refuse(game, le32(i));
        continue;
      }
      Game next = game;
      ASSERT_TRUE(next.play(le32(i)));
      walk(next);
    }
    if (game.phase() == Phase::ops) {
      Game next = game;
      ASSERT_TRUE(next.play(le32(kChooseSalt)));
      walk(next);
    }
  }
};

}  // namespace assay::verify
