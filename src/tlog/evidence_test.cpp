#include "tlog/evidence.hpp"

#include <gtest/gtest.h>

#include "tlog/prove.hpp"
#include "tlog/receipt_entry.hpp"
#include "tlog/tlog_testutil.hpp"

namespace assay::tlog {
namespace {

// A receipt that a log of many entries holds, and a proof of it that two witnesses cosigned.
struct Logged {
  crypto::SecretKey provider = *crypto::secret_key(crypto::sha256(view("provider")));
  Hash salt_secret = crypto::sha256(view("salt secret"));
  protocol::ReceiptFile file;
  MemoryLog log;
  SignerKey early = test_key("example.com/early", KeyType::cosignature),
            late = test_key("example.com/late", KeyType::cosignature);

  Logged() {
    file.lease.message.provider = crypto::address_of(provider);
    file.receipt.message.key_sequence = 7;
    log.grow(300);
    log.append({entry().to_bytes()});
    log.grow(20);
  }
  LogEntry entry() const {
    const Hash digest = protocol::digest(file.domain, file.receipt.message);
    return sign_entry(file.domain.separator(), file.receipt.message.key_sequence,
                      receipt_commitment(receipt_salt(salt_secret, digest), digest), provider);
  }
  std::string checkpoint(std::uint64_t early_at = 1000, std::uint64_t late_at = 2000) const {
    Note note = sign_checkpoint({log.key.name, log.edge.size(), log.edge.root()}, log.key);
    note.signatures.push_back(sign_note(note.text, late, late_at));
    note.signatures.push_back(sign_note(note.text, early, early_at));
    return to_string(note);
  }
  protocol::LogEvidence evidence() {
    const auto proof = prove_entry(place_of(file), checkpoint(), log.policy(), log.tiles);
    EXPECT_TRUE(proof) << proof.error().message;
    return {.proof = to_string(*proof),
            .salt = entry_salt(file, salt_secret),
            .log_key = log.key.verifier().to_string(),
            .witness_keys = {early.verifier().to_string(), late.verifier().to_string()}};
  }
};

TEST(LogEvidence, ThePlaceAndWhoVouches) {
  Logged l;
  const auto evidence = l.evidence();
  const auto unnamed = place_in_log(evidence, l.file, {});
  ASSERT_TRUE(unnamed) << unnamed.error().message;
  EXPECT_EQ(unnamed->origin, "example.com/log");
  EXPECT_EQ(unnamed->index, 300u);
  EXPECT_EQ(unnamed->size, 321u);
  EXPECT_EQ(unnamed->root, l.log.root(321));
  EXPECT_FALSE(unnamed->trusted);
  ASSERT_EQ(unnamed->cosignatures.size(), 2u);
  EXPECT_EQ(unnamed->cosignatures[0].witness, "example.com/early");
  EXPECT_EQ(unnamed->cosignatures[0].time, 1000u);
  EXPECT_FALSE(unnamed->cosignatures[0].trusted || unnamed->cosignatures[1].trusted);

  const auto named = place_in_log(evidence, l.file,
                                  {.logs = {test_key("other").verifier(), l.log.key.verifier()},
                                   .witnesses = {l.late.verifier()}});
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_TRUE(named->trusted);
  EXPECT_FALSE(named->cosignatures[0].trusted);
  EXPECT_TRUE(named->cosignatures[1].trusted);
  // A log the reader does not name stays one, whatever else is named.
  EXPECT_FALSE(place_in_log(evidence, l.file, {.logs = {test_key("other").verifier()}})->trusted);
}

TEST(LogEvidence, WhatDoesNotHold) {
  Logged l;
  const auto evidence = l.evidence();
  const auto why = [&](auto change, LogTrust trust = {}) {
    auto changed = evidence;
    auto file = l.file;
    change(changed, file);
    const auto place = place_in_log(changed, file, trust);
    EXPECT_FALSE(place);
    return place ? "" : place.error().message;
  };
  const auto says = [](const std::string& text, std::string_view part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  says(why([](auto&, auto& f) { f.receipt.message.amount ^= 1; }), "not this receipt");
  says(why([](auto&, auto& f) { f.receipt.message.key_sequence = 8; }), "receipt number 8");
  says(why([](auto&, auto& f) { f.lease.message.provider.bytes[0] ^= 1; }), "the receipt");
  says(why([](auto&, auto& f) { f.domain.ledger[0] ^= 1; }), "another ledger");
  says(why([](auto& e, auto&) { e.salt[0] ^= 1; }), "not this receipt");
  says(why([](auto& e, auto&) { e.proof = "c2sp.org/tlog-proof@v1\nindex 0\n\nx"; }), "extra data");
  says(why([](auto& e, auto&) { e.proof.clear(); }), "tlog-proof");
  says(why([](auto& e, auto&) { e.log_key = "key"; }), "log key");
  says(why([](auto& e, auto&) { e.witness_keys = {"key"}; }), "witness key");
  const auto replace = [](std::string from, std::string to) {
    return [=](auto& e, auto&) { e.proof.replace(e.proof.find(from), from.size(), to); };
  };
  says(why(replace("index 300", "index 299")), "not entry 299");
  says(why(replace("example.com/log\n321\n", "example.com/log\n322\n")), "not of this text");
  // The same log name under another key, which is what a stranger's fork looks like.
  auto fork = test_key("example.com/log");
  fork.seed.bytes[0] ^= 1;
  says(why([](auto&, auto&) {}, {.logs = {fork.verifier()}}), "not signed by its log");
  // Another entry of the same log proves nothing about this receipt.
  says(why([&](auto& e, auto&) {
         e.proof = to_string(*prove_entry(3, l.checkpoint(), l.log.policy(), l.log.tiles));
       }),
       "log entry");
}

// The entry is the receipt's and is in no tree.
TEST(LogEvidence, AnEntryThatTheLogDoesNotHave) {
  Logged l;
  auto evidence = l.evidence();
  ProofFile proof = *parse_proof_file(evidence.proof);
  MemoryLog other;
  other.grow(321);
  proof.checkpoint = other.checkpoint();
  evidence.proof = to_string(proof);
  const auto place = place_in_log(evidence, l.file, {});
  ASSERT_FALSE(place);
  EXPECT_NE(place.error().message.find("not entry 300"), std::string::npos);
}

TEST(Prove, FindsWhatIsThereAndRefusesTheRest) {
  Logged l;
  LogEntry place = place_of(l.file);
  EXPECT_EQ(*find_entry(place, 321, l.log.tiles), 300u);
  place.number = 8;
  EXPECT_EQ(prove_entry(place, l.checkpoint(), l.log.policy(), l.log.tiles).error().code,
            Errc::not_found);
  EXPECT_EQ(prove_entry(321, l.checkpoint(), l.log.policy(), l.log.tiles).error().code,
            Errc::invalid);
  // Tiles that are not the checkpoint's tree.
  MemoryLog other;
  other.grow(321);
  EXPECT_EQ(prove_entry(300, l.checkpoint(), l.log.policy(), other.tiles).error().code,
            Errc::mismatch);
}

}  // namespace
}  // namespace assay::tlog
