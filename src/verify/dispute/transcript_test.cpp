#include "verify/dispute/transcript.hpp"

#include <gtest/gtest.h>

#include "crypto/sha256.hpp"
#include "verify/dispute/dispute_testutil.hpp"

namespace assay::verify {
namespace {

struct TranscriptTest : ::testing::Test {
  TranscriptTest() : honest(toy_world(toy, {}, pool)), signers(honest) {}

  Transcript open() const {
    return *Transcript::start(signers.domain, signers.dispute, signers.provider_address(),
                              honest.subject());
  }
  // The next move of a game between the two.
  PlayedMove move(const Transcript& transcript) {
    const Game& game = transcript.game();
    const bool theirs = game.turn() == Side::provider;
    const auto payload = theirs ? respond(game, honest) : towards(game, goal, challenger);
    EXPECT_TRUE(payload);
    return signers.signed_move(transcript, *payload);
  }
  Transcript whole() {
    Transcript t = open();
    while (t.game().outcome() == DisputeOutcome::open) EXPECT_TRUE(t.add(move(t)));
    return t;
  }

  ThreadPool pool{1};
  ToyModel toy{engine::ToyShape{.dim = 32, .ffn = 64, .context = 8}};
  World honest;
  World challenger = honest;
  Signers signers;
  Goal goal{{1, 1, false}, StepPlace{{1, 1, false}, 4, 3, 0}};
};

TEST_F(TranscriptTest, AWholeGameTwice) {
  const Transcript t = whole();
  EXPECT_EQ(t.game().outcome(), DisputeOutcome::challenger_wrong);
  EXPECT_EQ(t.moves().size(), t.game().moves());
  const auto back = Transcript::from_json(t.to_json(), signers.domain, signers.provider_address(),
                                          honest.subject());
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->game().state(), t.game().state());
  EXPECT_EQ(back->game().outcome(), t.game().outcome());
  EXPECT_EQ(json::dump(back->to_json()), json::dump(t.to_json()));

  std::vector<Bytes> payloads;
  for (const PlayedMove& m : t.moves()) payloads.push_back(m.payload);
  const Hash id = protocol::digest(signers.domain, signers.dispute.message);
  const auto replayed =
      replay_game(honest.subject(), id, signers.dispute.message.subject, payloads);
  ASSERT_TRUE(replayed);
  EXPECT_EQ(replayed->state(), t.game().state());
  payloads[1][0] ^= 0x40;
  EXPECT_FALSE(replay_game(honest.subject(), id, signers.dispute.message.subject, payloads));
}

// At every point of a game: a repeated move is no error, all others are refused and change nothing.
TEST_F(TranscriptTest, RepeatedLateAndForeignMovesHaveDefinedResults) {
  Transcript t = open();
  const auto refused = [&](const PlayedMove& m, Errc code) {
    const Hash state = t.game().state();
    const auto added = t.add(m);
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, code) << added.error().message;
    EXPECT_EQ(t.game().state(), state);
  };
  while (t.game().outcome() == DisputeOutcome::open) {
    const PlayedMove good = move(t);
    PlayedMove bad = good;
    bad.move.message.number += 1;  // ahead
    refused(bad, Errc::unavailable);
    bad = good;
    bad.move.message.state[0] ^= 1;
    refused(bad, Errc::mismatch);
    bad = good;
    bad.move.message.dispute[0] ^= 1;
    refused(bad, Errc::mismatch);
    bad = good;
    bad.payload.push_back(0);  // not what was signed
    refused(bad, Errc::mismatch);
    // By the other side.
    const bool theirs = t.game().turn() == Side::provider;
    bad.payload = good.payload;
    bad.move = protocol::sign(signers.domain, good.move.message,
                              theirs ? signers.challenger : signers.provider);
    refused(bad, Errc::mismatch);
    bad = signers.signed_move(t, Bytes{1, 2, 3, 4, 5});
    refused(bad, Errc::invalid);

    ASSERT_EQ(*t.add(good), Transcript::Added::played);
    ASSERT_EQ(*t.add(good), Transcript::Added::repeated);
    bad = signers.signed_move(t, good.payload);
    bad.move.message.number -= 1;
    bad.payload.push_back(1);
    bad.move.message.payload = crypto::sha256(bad.payload);
    refused(bad, Errc::conflict);
  }
  PlayedMove after = t.moves().back();
  after.move.message.number += 1;
  refused(after, Errc::refused);
  EXPECT_FALSE(t.expire());
  EXPECT_EQ(t.game().outcome(), DisputeOutcome::challenger_wrong);
}

TEST_F(TranscriptTest, WhoLetsADeadlinePassHasLost) {
  const Transcript t = whole();
  for (std::size_t moves = 0; moves < t.moves().size(); ++moves) {
    Transcript part = open();
    for (std::size_t i = 0; i < moves; ++i) ASSERT_TRUE(part.add(t.moves()[i]));
    const bool theirs = part.game().turn() == Side::provider;
    ASSERT_TRUE(part.expire());
    EXPECT_TRUE(part.game().expired());
    EXPECT_EQ(part.game().outcome(),
              theirs ? DisputeOutcome::provider_wrong : DisputeOutcome::challenger_wrong);
    EXPECT_FALSE(part.add(t.moves()[moves]));
    EXPECT_FALSE(part.expire());
  }
}

// Every byte of every payload and signature on the wire: refused, nothing changed.
TEST_F(TranscriptTest, EveryByteOnTheWire) {
  Transcript t = open();
  std::size_t flips = 0;
  while (t.game().outcome() == DisputeOutcome::open) {
    const PlayedMove good = move(t);
    const Hash state = t.game().state();
    for (std::size_t i = 0; i < good.payload.size(); ++i, ++flips) {
      PlayedMove bad = good;
      bad.payload[i] ^= static_cast<std::uint8_t>(1u << i % 8);
      ASSERT_FALSE(t.add(bad));
    }
    for (std::size_t i = 0; i < good.move.signature.bytes.size(); ++i, ++flips) {
      PlayedMove bad = good;
      bad.move.signature.bytes[i] ^= static_cast<std::uint8_t>(1u << i % 8);
      ASSERT_FALSE(t.add(bad));
    }
    ASSERT_EQ(t.game().state(), state);
    ASSERT_TRUE(t.add(good));
  }
  fmt::print("[ wire ] {} bytes of a signed game changed, all refused\n", flips);
}

// The same bytes signed by who plays them: a reveal that hashes to something else is refused, a
// proof too; a choice is another legal path or none, and none of them convicts an honest provider.
TEST_F(TranscriptTest, EveryByteOfAPayloadThatIsSigned) {
  const Transcript t = whole();
  std::size_t refused = 0, accepted = 0;
  Game game = open().game();
  for (const PlayedMove& m : t.moves()) {
    const bool bound = game.phase() != Phase::ops || game.turn() == Side::challenger;
    for (std::size_t i = 0; i < m.payload.size(); ++i) {
      Bytes payload = m.payload;
      payload[i] ^= static_cast<std::uint8_t>(1u << i % 8);
      Game other = game;
      if (!other.play(payload)) {
        ASSERT_EQ(other.state(), game.state());
        ++refused;
        continue;
      }
      ++accepted;
      if (game.turn() == Side::provider) {
        // Only roots of ops are new commitments; they are the provider's own to make.
        ASSERT_FALSE(bound) << to_string(game.phase());
        continue;
      }
      const Ending end = play(other, honest, challenger);
      ASSERT_TRUE(end.outcome == DisputeOutcome::challenger_wrong) << to_string(end.outcome);
    }
    ASSERT_TRUE(game.play(m.payload));
  }
  EXPECT_GT(refused, 1000u);
  fmt::print("[ wire ] {} signed payloads refused, {} other legal moves\n", refused, accepted);
}

// Either side forgets everything but opening and transcript after every move.
TEST_F(TranscriptTest, BothSidesResumeFromTheirDisk) {
  World liar =
      honest.lying({{1, 1, false}, *honest.execute({1, 1, false}).find("pr"), 2, 1, true, {}});
  const World truth = honest.judging(liar);
  const auto start = [&] {
    return *Transcript::start(signers.domain, signers.dispute, signers.provider_address(),
                              liar.subject());
  };
  Transcript t = start();
  while (t.game().outcome() == DisputeOutcome::open) {
    World provider = liar, other = truth;  // fresh caches
    const Transcript restored = *Transcript::from_json(t.to_json(), signers.domain,
                                                       signers.provider_address(), liar.subject());
    const auto payload = restored.game().turn() == Side::provider
                             ? respond(restored.game(), provider)
                             : challenge(restored.game(), other);
    ASSERT_TRUE(payload) << payload.error().message;
    ASSERT_TRUE(t.add(signers.signed_move(t, *payload)));
  }
  EXPECT_EQ(t.game().outcome(), DisputeOutcome::provider_wrong);
  EXPECT_STREQ(t.game().ops().ops[t.game().place().op].name, "pr");
}

}  // namespace
}  // namespace assay::verify
