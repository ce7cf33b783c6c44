// Keyed traces and checks of a pass, on synthetic states: whoever has the values answers at every
// place, whoever has anything less at none; whatever is changed in a proof is found.
#include "verify/keyed.hpp"

#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/corpus_testutil.hpp"
#include "base/hex.hpp"
#include "protocol/audit_keys.hpp"
#include "verify/fuzz_testutil.hpp"
#include "verify/trace_testutil.hpp"

namespace assay::verify {
namespace {

// Vectors of 1, 2 and 3 chunks; heads from position 2 on; 5 positions, a tree that is not full.
constexpr Shape kShape{
    .layers = 3, .positions = 5, .dim = 300, .kv = 256, .vocab = 600, .first_head = 2};
constexpr Hash kBeacon{0xbe}, kAudit{0xad}, kKey{0x4b};

protocol::Address address(std::uint8_t byte) {
  protocol::Address a;
  a.bytes.fill(byte);
  return a;
}

struct Keyed : testing::Test {
  States states = make_states(kShape);
  protocol::Address auditor = address(0x77);
  Hash nonce = protocol::key_nonce(kBeacon, kAudit, auditor, kKey);
  Subject subject;
  KeyedTerms terms{kBeacon, kAudit, auditor, protocol::nonce_hash(nonce), {}};

  void SetUp() override {
    TraceBuilder plain(states.salt_secret, kShape.layers);
    feed(states, plain);
    KeyedBuilder keyed(nonce, kShape.layers);
    feed(states, keyed);
    ASSERT_NE(plain.root(), keyed.root());
    terms.root_hash = protocol::keyed_root_hash(keyed.root(), kKey);
    subject = fuzz_checked(false);
    subject.trace_root = plain.root();
  }

  CheckProof proof_at(const CheckPlace& place) const {
    PlaceRecorder recorder(states.salt_secret, kShape.layers, {place});
    feed(states, recorder);
    return *recorder.proof();
  }
  CheckReply reply_at(const CheckPlace& place, const Hash& key) const {
    auto recorder = PlaceRecorder::keyed(protocol::key_nonce(kBeacon, kAudit, auditor, key),
                                         kShape.layers, {place});
    feed(states, recorder);
    return {key, recorder.proof()->path};
  }
  template <class F>
  void every_place(F&& f) const {
    for (std::uint32_t t = 0; t < kShape.positions; ++t)
      for (std::uint32_t l = 0; l <= kShape.layers; ++l) {
        const bool head = l == kShape.layers;
        if (head && t < kShape.first_head) continue;
        for (std::uint32_t c = 0; c < 2; ++c) f(CheckPlace{t, l, StateVector::x, c});
        if (head)
          for (std::uint32_t c = 0; c < 3; ++c) f(CheckPlace{t, l, StateVector::logits, c});
        else
          for (const auto v : {StateVector::k, StateVector::v}) f(CheckPlace{t, l, v, 0});
      }
  }
};

TEST_F(Keyed, WhoeverHasTheValuesAnswersEverywhere) {
  std::size_t places = 0;
  every_place([&](const CheckPlace& place) {
    const auto proof = check_proof_bytes(proof_at(place));
    ASSERT_LE(proof.size(), 16u * 1024);
    const auto opened = open_check(subject, proof);
    ASSERT_TRUE(opened) << opened.error().message;
    const auto judged = judge_check(proof, terms, check_reply_bytes(reply_at(place, kKey)));
    ASSERT_TRUE(judged) << judged.error().message;
    ++places;
  });
  EXPECT_EQ(places, 5u * 3 * 4 + 3u * 5);
}

// However many are asked for, one execution answers them, and each as if it were asked alone.
TEST_F(Keyed, OneRunSeesAnyNumberOfPlaces) {
  std::vector<CheckPlace> places;
  every_place([&](const CheckPlace& place) { places.push_back(place); });
  places.push_back(places.front());
  PlaceRecorder plain(states.salt_secret, kShape.layers, places);
  auto keyed = PlaceRecorder::keyed(nonce, kShape.layers, places);
  feed(states, plain);
  feed(states, keyed);
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(check_proof_bytes(*plain.proof(i)), check_proof_bytes(proof_at(places[i])));
    EXPECT_EQ(check_reply_bytes({kKey, keyed.proof(i)->path}),
              check_reply_bytes(reply_at(places[i], kKey)));
  }
}

TEST_F(Keyed, TheRecordersRootIsTheBuilders) {
  KeyedBuilder whole(nonce, kShape.layers);
  feed(states, whole);
  auto recorder = PlaceRecorder::keyed(nonce, kShape.layers, {{0, 0, StateVector::x, 0}});
  feed(states, recorder);
  EXPECT_EQ(recorder.root(), whole.root());
  EXPECT_EQ(whole.memo_bytes(), 0u);
  // Logits that come in parts give the same.
  KeyedBuilder parts(nonce, kShape.layers);
  for (const auto& c : states.cells) parts.cell(c.position, c.layer, c.x, c.k, c.v);
  for (const auto& h : states.heads) {
    parts.expect_logits(h.position, h.logits.size());
    parts.logits(h.position, 0, h.logits);
    parts.head(h.position, h.x, h.logits, h.token);
  }
  EXPECT_EQ(parts.root(), whole.root());
}

TEST_F(Keyed, OfAPlaceThatIsNotThereThereIsNoProof) {
  for (const auto& place :
       {CheckPlace{5, 0, StateVector::x, 0}, CheckPlace{0, 3, StateVector::x, 0},
        CheckPlace{0, 0, StateVector::x, 2}, CheckPlace{0, 0, StateVector::logits, 0}}) {
    PlaceRecorder recorder(states.salt_secret, kShape.layers, {place});
    feed(states, recorder);
    EXPECT_FALSE(recorder.proof());
  }
}

// One bit of one value: the provider's trace and the auditor's are of different executions.
TEST_F(Keyed, OneOtherBitInAnyValueIsFound) {
  const auto flip = [](float& f) {
    f = std::bit_cast<float>(std::bit_cast<std::uint32_t>(f) ^ 1u);
  };
  every_place([&](const CheckPlace& place) {
    auto other = states;
    for (auto& c : other.cells)
      if (c.position == place.position && c.layer == place.leaf) {
        const auto at = std::size_t{256} * place.chunk;
        if (place.vector == StateVector::x) flip(c.x[at]);
        if (place.vector == StateVector::k) c.k[at] ^= 1;
        if (place.vector == StateVector::v) c.v[at] ^= 1;
      }
    for (auto& h : other.heads)
      if (h.position == place.position && place.leaf == kShape.layers) {
        const auto at = std::size_t{256} * place.chunk;
        flip(place.vector == StateVector::x ? h.x[at] : h.logits[at]);
      }
    auto recorder = PlaceRecorder::keyed(nonce, kShape.layers, {place});
    feed(other, recorder);
    auto mine = terms;
    mine.root_hash = protocol::keyed_root_hash(recorder.root(), kKey);
    const auto proof = check_proof_bytes(proof_at(place));
    const auto reply = check_reply_bytes({kKey, recorder.proof()->path});
    EXPECT_EQ(judge_check(proof, mine, reply).error().code, Errc::mismatch);
  });
}

// A lazy auditor, a copying one, and one that only knows the trace.
TEST_F(Keyed, NothingLessThanTheValuesWillDo) {
  const CheckPlace place{3, 1, StateVector::x, 1};
  const auto proof = check_proof_bytes(proof_at(place));
  const auto good = reply_at(place, kKey);
  // Another auditor's nonce: its commitment was copied.
  auto copied = terms;
  copied.auditor = address(0x78);
  EXPECT_EQ(judge_check(proof, copied, check_reply_bytes(good)).error().message,
            "the key is not the one committed");
  auto other_audit = terms;
  other_audit.audit[0] ^= 1;
  EXPECT_FALSE(judge_check(proof, other_audit, check_reply_bytes(good)));
  auto other_round = terms;
  other_round.beacon[0] ^= 1;
  EXPECT_FALSE(judge_check(proof, other_round, check_reply_bytes(good)));
  // Garbage was committed.
  auto garbage = terms;
  garbage.root_hash = Hash{1};
  EXPECT_EQ(judge_check(proof, garbage, check_reply_bytes(good)).error().message,
            "the keyed root is not the one committed");
  // The provider's own tree, which its openings give away.
  auto trace = terms;
  trace.root_hash = protocol::keyed_root_hash(subject.trace_root, kKey);
  const CheckReply plain{kKey, proof_at(place).path};
  EXPECT_EQ(judge_check(proof, trace, check_reply_bytes(plain)).error().message,
            "the values are not in their vector");
  // The right place answers only itself.
  for (const auto& elsewhere :
       {CheckPlace{2, 1, StateVector::x, 1}, CheckPlace{3, 2, StateVector::x, 1},
        CheckPlace{3, 1, StateVector::k, 0}, CheckPlace{3, 1, StateVector::x, 0}})
    EXPECT_FALSE(judge_check(proof, terms, check_reply_bytes(reply_at(elsewhere, kKey))));
  EXPECT_TRUE(judge_check(proof, terms, check_reply_bytes(good)));
}

TEST_F(Keyed, SizesAreThoseOfTheTrace) {
  const CheckPlace place{3, 3, StateVector::logits, 2};
  const auto good = proof_at(place);
  const auto refuse = [&](auto change, std::string_view reason) {
    auto p = good;
    change(p);
    const auto status = open_check(subject, check_proof_bytes(p));
    ASSERT_FALSE(status) << reason;
    EXPECT_NE(status.error().message.find(reason), std::string::npos) << status.error().message;
  };
  refuse([](auto& p) { p.place.position = 5; }, "position 5 of 5");
  refuse([](auto& p) { p.positions = 4; }, "trace");
  refuse([](auto& p) { p.positions = kPositionsMax + 1; }, "of");
  refuse([](auto& p) { p.layers = 4; }, "no such leaf");
  refuse([](auto& p) { p.leaves = 3; }, "no such leaf");
  refuse([](auto& p) { p.leaves = 5; }, "no such leaf");
  refuse([](auto& p) { p.place.leaf = 4; }, "no such leaf");
  refuse([](auto& p) { p.place.vector = StateVector::k; }, "no such vector");
  refuse([](auto& p) { p.place.leaf = 0; }, "no such vector");
  refuse([](auto& p) { p.chunks = 2; }, "the vector has 3");
  refuse([](auto& p) { p.place.chunk = 3; }, "the vector has 3");
  refuse([](auto& p) { p.values.pop_back(); }, "bytes of values");
  refuse([](auto& p) { p.values[0] ^= 1; }, "not in their vector");
  refuse([](auto& p) { p.token ^= 1; }, "not in its position");
  refuse([](auto& p) { p.salt[0] ^= 1; }, "not in its position");
  refuse([](auto& p) { p.path.roots[0][0] ^= 1; }, "not in its position");
  refuse([](auto& p) { p.path.roots[1][0] ^= 1; }, "not in their vector");
  refuse([](auto& p) { p.path.position_root[0] ^= 1; }, "not in its position");
  refuse([](auto& p) { p.path.tree_root[0] ^= 1; }, "not in its trace");
  refuse([](auto& p) { p.path.chunk_path.emplace_back(); }, "not in their vector");
  refuse([](auto& p) { p.path.position_path.pop_back(); }, "not in its trace");

  const auto bytes = check_proof_bytes(good);
  auto other = subject;
  other.trace_root[0] ^= 1;
  EXPECT_EQ(open_check(other, bytes).error().message, "the provider signed another trace");
  // Where a trace ends in a fault nothing is checked; before it is.
  other = subject;
  other.finish = static_cast<std::uint32_t>(protocol::Finish::fault);
  EXPECT_TRUE(open_check(other, bytes));
  EXPECT_FALSE(open_check(other, check_proof_bytes(proof_at({4, 0, StateVector::x, 0}))));
  // A request that has no execution.
  other = subject;
  other.request.continuation = 3;
  EXPECT_FALSE(open_check(other, bytes));
  other.request = {};
  EXPECT_FALSE(open_check(other, bytes));
  EXPECT_TRUE(open_check(subject, bytes));
}

TEST_F(Keyed, AnyBytesAreReadOrRefused) {
  const CheckPlace place{1, 1, StateVector::v, 0};
  const auto proof = check_proof_bytes(proof_at(place));
  const auto reply = check_reply_bytes(reply_at(place, kKey));
  for (std::size_t n = 0; n < proof.size(); ++n)
    EXPECT_FALSE(parse_check_proof(ByteView(proof).first(n)));
  for (std::size_t n = 0; n < reply.size(); ++n)
    EXPECT_FALSE(parse_check_reply(ByteView(reply).first(n)));
  auto longer = proof;
  longer.push_back(0);
  EXPECT_EQ(parse_check_proof(longer).error().code, Errc::invalid);
  // Every byte counts.
  for (std::size_t i = 0; i < proof.size(); ++i) {
    auto bad = proof;
    bad[i] ^= 0x41;
    // The third root of a cell and the token of none but a head are the only ones free: none here.
    if (const auto p = parse_check_proof(bad); p && p->token != 0) continue;
    EXPECT_FALSE(open_check(subject, bad)) << i;
  }
  for (std::size_t i = 0; i < reply.size(); ++i) {
    auto bad = reply;
    bad[i] ^= 0x41;
    EXPECT_FALSE(judge_check(proof, terms, bad)) << i;
  }
}

// The fuzzer's seeds (tests/fuzz/corpus/keyed), whole and damaged; written with
// ASSAY_WRITE_VECTORS=1.
TEST_F(Keyed, CorpusReplaysWholeAndDamaged) {
  const std::filesystem::path folder = ASSAY_SOURCE_DIR "/tests/fuzz/corpus/keyed";
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) {
    std::filesystem::create_directories(folder);
    const std::pair<const char*, CheckPlace> seeds[] = {{"input", {0, 0, StateVector::x, 1}},
                                                        {"key", {4, 2, StateVector::k, 0}},
                                                        {"value", {1, 1, StateVector::v, 0}},
                                                        {"head", {3, 3, StateVector::x, 0}},
                                                        {"logits", {2, 3, StateVector::logits, 2}}};
    for (const auto& [name, place] : seeds)
      for (const bool fault : {false, true}) {
        const auto proof = check_proof_bytes(proof_at(place));
        Bytes seed{static_cast<std::uint8_t>(fault)};
        append_le(seed, static_cast<std::uint16_t>(proof.size()));
        append(seed, proof);
        append(seed, check_reply_bytes(reply_at(place, kKey)));
        std::ofstream(folder / (std::string(name) + (fault ? "_fault" : "")), std::ios::binary)
            << text(seed);
      }
  }
  const auto files = replay_corpus(folder, [](ByteView good, const std::string& name) {
    const auto whole = fuzz_keyed(good);
    if (name.find("found") == std::string::npos) {
      EXPECT_TRUE(whole.judged);
      // Where a trace ends in a fault, its last position is not checked.
      EXPECT_EQ(whole.opened, name != "key_fault");
    }
    for (std::size_t i = 0; i < good.size(); i += 7) {
      Bytes bad(good.begin(), good.end());
      bad[i] ^= 0x41;
      static_cast<void>(fuzz_keyed(bad));
      static_cast<void>(fuzz_keyed(good.first(i)));
    }
  });
  EXPECT_GE(files, 10u);
}

// spec/vectors/trace/keyed-checks.json.
TEST_F(Keyed, Vectors) {
  json::array all;
  for (const auto& place :
       {CheckPlace{0, 0, StateVector::x, 0}, CheckPlace{4, 2, StateVector::k, 0},
        CheckPlace{3, 3, StateVector::x, 1}, CheckPlace{2, 3, StateVector::logits, 2},
        CheckPlace{1, 1, StateVector::v, 0}}) {
    const auto proof = check_proof_bytes(proof_at(place));
    const auto reply = check_reply_bytes(reply_at(place, kKey));
    all.push_back({{"proof", to_hex(proof)}, {"answer", to_hex(reply)}});
  }
  const json::object out{
      {"salt_secret", to_hex(states.salt_secret)},
      {"prompt_count", "3"},
      {"layers", "3"},
      {"dim", "300"},
      {"kv_dim", "256"},
      {"vocab", "600"},
      {"trace_root", to_hex(subject.trace_root)},
      {"beacon", to_hex(kBeacon)},
      {"beacon_before", to_hex(protocol::beacon_before(kBeacon))},
      {"audit", to_hex(kAudit)},
      {"auditor", auditor.to_string()},
      {"draw_score_of_3_tickets", to_hex(protocol::draw_score(kBeacon, kAudit, auditor, 3))},
      {"key", to_hex(kKey)},
      {"nonce", to_hex(nonce)},
      {"nonce_hash", to_hex(terms.nonce_hash)},
      {"root_hash", to_hex(terms.root_hash)},
      {"checks", all}};
  compare_with_vector("keyed-checks", out);
}

}  // namespace
}  // namespace assay::verify
