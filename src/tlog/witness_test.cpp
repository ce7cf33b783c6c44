#include "tlog/witness.hpp"

#include <gtest/gtest.h>

#include "tlog/proof_file.hpp"
#include "tlog/tlog_testutil.hpp"

namespace assay::tlog {
namespace {

struct WitnessTest : testing::Test {
  MemoryLog log;
  MemoryWitnessStore store;
  ManualClock clock;
  SignerKey key = test_key("witness.example/w1", KeyType::cosignature);
  Witness witness{key, {log.policy()}, store, clock};

  std::string body(std::uint64_t old_size) {
    Tree tree(log.tiles);
    AddCheckpoint request{old_size, *tree.consistency_proof(old_size, log.edge.size()),
                          log.checkpoint()};
    return to_string(request);
  }
  WitnessAnswer add(std::uint64_t old_size) { return witness.add_checkpoint(body(old_size)); }
};

TEST_F(WitnessTest, CosignsWhatContinues) {
  std::uint64_t old_size = 0;
  for (const std::size_t step : {5u, 1u, 300u, 0u}) {
    log.grow(step);
    const auto answer = add(old_size);
    ASSERT_EQ(answer.status, 200) << answer.body;
    // As a log reads it: the lines on the checkpoint it sent.
    Note note = *parse_note(log.checkpoint());
    const auto lines = parse_signature_lines(answer.body);
    note.signatures.insert(note.signatures.end(), lines->begin(), lines->end());
    LogPolicy policy = log.policy();
    policy.witnesses = {witness.verifier()};
    policy.quorum = 1;
    const auto opened = open_checkpoint(to_string(note), policy);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(opened->verified.back().time, 1'700'000'000u);
    EXPECT_EQ(witness.latest(origin_hash(log.key.name)).body, to_string(note));
    old_size = log.edge.size();
  }
}

TEST_F(WitnessTest, RefusesByTheCodesOfTheProtocol) {
  EXPECT_EQ(witness.latest(origin_hash(log.key.name)).status, 404);
  EXPECT_EQ(witness.latest("00").status, 404);
  log.grow(5);
  const std::string five = log.checkpoint();
  ASSERT_EQ(add(0).status, 200);
  log.grow(5);
  // What it has is told, so that a log that lost count can catch up.
  const auto conflict = add(0);
  EXPECT_EQ(conflict.status, 409);
  EXPECT_EQ(conflict.body, "5\n");
  EXPECT_EQ(conflict.content_type, "text/x.tlog.size");
  const std::string good = body(5);

  MemoryLog unknown;
  unknown.key = test_key("example.com/other");
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{0, {}, unknown.checkpoint()})).status,
            404);
  MemoryLog forged;
  forged.key = test_key("somebody else");
  forged.key.name = log.key.name;
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{5, {}, forged.checkpoint()})).status,
            403);
  std::string bad = good;
  bad[bad.size() - 3] ^= 1;
  EXPECT_NE(witness.add_checkpoint(bad).status, 200);
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{11, {}, log.checkpoint()})).status, 400);

  AddCheckpoint request = *parse_add_checkpoint(good);
  request.proof[0][0] ^= 1;
  EXPECT_EQ(witness.add_checkpoint(to_string(request)).status, 422);
  request.proof.clear();
  EXPECT_EQ(witness.add_checkpoint(to_string(request)).status, 422);
  // Same size, another root: a fork, and signed by the log.
  MemoryLog fork;
  fork.append({bytes_of("a"), bytes_of("b"), bytes_of("c"), bytes_of("d"), bytes_of("e")});
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{5, {}, fork.checkpoint()})).status, 422);
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{5, {Hash{}}, five})).status, 422)
      << "a proof where none is needed";
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{5, {}, five})).status, 200);
  EXPECT_EQ(witness.add_checkpoint(good).status, 200);
  // A rollback: what was cosigned once is not cosigned again from before.
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{5, {}, five})).status, 409);
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{10, {}, five})).status, 400);
}

TEST_F(WitnessTest, EmptyTreesAndProofsFromNothing) {
  EXPECT_EQ(add(0).status, 200) << "an empty log";
  const Note wrong = sign_checkpoint({log.key.name, 0, Hash{1}}, log.key);
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{0, {}, to_string(wrong)})).status, 422);
  log.grow(3);
  EXPECT_EQ(witness.add_checkpoint(to_string(AddCheckpoint{0, {Hash{}}, log.checkpoint()})).status,
            422);
  EXPECT_EQ(add(0).status, 200);
}

TEST_F(WitnessTest, SignsNothingItCannotKeep) {
  log.grow(5);
  store.broken = true;
  const auto answer = add(0);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body.find("—"), std::string::npos);
  store.broken = false;
  EXPECT_EQ(add(0).status, 200);
}

TEST_F(WitnessTest, BodiesAreStrict) {
  log.grow(4);
  for (const std::string& bad :
       std::vector<std::string>{std::string(), std::string("old 0"), std::string("old 0\n"),
                                "old 0\n" + log.checkpoint(), "old 00\n\n" + log.checkpoint(),
                                "old -1\n\n" + log.checkpoint(), "new 0\n\n" + log.checkpoint(),
                                "old 0\nAAAA\n\n" + log.checkpoint(), "old 0\n\nnot a note",
                                "old 0\n\nnot a checkpoint\n\n— a AAAAAAA=\n",
                                "old 9223372036854775808\n\n" + log.checkpoint()})
    EXPECT_EQ(witness.add_checkpoint(bad).status, 400) << bad;
  AddCheckpoint request{0, std::vector<Hash>(63), log.checkpoint()};
  EXPECT_EQ(witness.add_checkpoint(to_string(request)).status, 422);
  request.proof.resize(64);
  EXPECT_EQ(witness.add_checkpoint(to_string(request)).status, 400);
}

TEST(ProofFile, RoundTripAndVerification) {
  MemoryLog log;
  log.grow(700);
  Tree tree(log.tiles);
  for (const std::uint64_t index : {0u, 255u, 256u, 699u}) {
    ProofFile proof{std::nullopt, index, *tree.inclusion_proof(index, 700), log.checkpoint()};
    if (index == 255) proof.extra = bytes_of("salt");
    const auto parsed = parse_proof_file(to_string(proof));
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(*parsed, proof);
    EXPECT_TRUE(verify_proof_file(proof, log.leaves[index], log.policy()));
    EXPECT_FALSE(verify_proof_file(proof, log.leaves[1], log.policy()));
    ++proof.index;
    EXPECT_FALSE(verify_proof_file(proof, log.leaves[index], log.policy()));
  }
  MemoryLog one;
  one.grow(1);
  EXPECT_TRUE(
      verify_proof_file({std::nullopt, 0, {}, one.checkpoint()}, one.leaves[0], one.policy()));
}

TEST(ProofFile, FormIsStrict) {
  MemoryLog log;
  log.grow(2);
  const std::string head = "c2sp.org/tlog-proof@v1\n", tail = "\n" + log.checkpoint();
  EXPECT_TRUE(parse_proof_file(head + "index 0\n" + tail));
  EXPECT_TRUE(parse_proof_file(head + "extra \nindex 0\n" + tail)) << "empty extra data";
  for (const std::string& bad : std::vector<std::string>{
           std::string(), "c2sp.org/tlog-proof@v2\nindex 0\n" + tail, head, head + "index 0\n",
           head + "index 00\n" + tail, head + "index -1\n" + tail,
           head + "extra !\nindex 0\n" + tail, head + "extra AAAA\n" + tail,
           head + "index 0\nAAAA\n" + tail, head + "extra AAAA\n",
           std::string(kNoteBytesMax + 1, 'x'),
           to_string(ProofFile{std::nullopt, 0, std::vector<Hash>(64), log.checkpoint()})})
    EXPECT_FALSE(parse_proof_file(bad)) << bad.substr(0, 200);
  // The checkpoint is judged when it is verified.
  const auto garbage = parse_proof_file(head + "index 0\n\ngarbage");
  ASSERT_TRUE(garbage);
  EXPECT_FALSE(verify_proof_file(*garbage, log.leaves[0], log.policy()));
}

}  // namespace
}  // namespace assay::tlog
