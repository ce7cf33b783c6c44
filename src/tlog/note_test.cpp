#include "tlog/note.hpp"

#include <gtest/gtest.h>

#include "base/base64.hpp"
#include "tlog/tlog_testutil.hpp"
#include "tlog/utf8.hpp"

namespace assay::tlog {
namespace {

// The example of c2sp.org/signed-note.
constexpr const char* kSpecKey =
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
constexpr const char* kSpecNote =
    "This is an example message.\n\n"
    "— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    "\n";

TEST(Note, SpecificationExample) {
  const auto key = VerifierKey::parse(kSpecKey);
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->to_string(), kSpecKey);
  const auto note = parse_note(kSpecNote);
  ASSERT_TRUE(note) << note.error().message;
  EXPECT_EQ(to_string(*note), kSpecNote);
  const auto verified = verify_note(*note, std::span(&*key, 1));
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_FALSE(verified->front().time);
  Note other = *note;
  other.text = "this is an example message.\n";
  EXPECT_FALSE(verify_note(other, std::span(&*key, 1)));
}

TEST(Note, KeysRoundTripAndRefuseDamage) {
  for (const auto type : {KeyType::ed25519, KeyType::cosignature}) {
    const SignerKey key = test_key("example.com/k", type);
    const auto verifier = VerifierKey::parse(key.verifier().to_string());
    ASSERT_TRUE(verifier);
    EXPECT_EQ(*verifier, key.verifier());
    const auto signer = SignerKey::parse(key.to_string());
    ASSERT_TRUE(signer);
    EXPECT_EQ(signer->to_string(), key.to_string());
    const std::string text = key.verifier().to_string(), secret = key.to_string();
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string changed = text;
      changed[i] ^= 1;
      const auto parsed = VerifierKey::parse(changed);
      EXPECT_FALSE(parsed && *parsed == key.verifier()) << changed;
      EXPECT_FALSE(VerifierKey::parse(text.substr(0, i)));
      EXPECT_FALSE(SignerKey::parse(secret.substr(0, i)));
    }
  }
  const auto refused = [](std::string_view text) {
    const auto key = VerifierKey::parse(text);
    return key ? std::string("accepted") : key.error().message;
  };
  EXPECT_NE(refused("a+00000000+AgAA").find("type 0x02"), std::string::npos);
  EXPECT_NE(refused("a+00000000+AQAA").find("32 bytes"), std::string::npos);
  EXPECT_NE(refused("a+0000000G+AQAA").find("hex"), std::string::npos);
  EXPECT_NE(refused("a+00000000+").find("empty"), std::string::npos);
  EXPECT_NE(refused("a+00000000+!").find("base64"), std::string::npos);
  EXPECT_NE(refused("a b+00000000+AQAA").find("spaces"), std::string::npos);
  std::string id = kSpecKey;
  id[id.find('+') + 1] = '6';
  EXPECT_NE(refused(id).find("id"), std::string::npos);
  EXPECT_FALSE(SignerKey::parse(kSpecKey));
  std::string secret = test_key("a").to_string();
  secret[secret.find("+a+") + 3] = 'x';
  EXPECT_FALSE(SignerKey::parse(secret));
}

std::string signed_by(const SignerKey& key, std::string_view text = "hello\n") {
  return std::string(text) + "\n" + to_line(sign_note(text, key));
}

TEST(Note, FormIsStrict) {
  const std::string line = to_line(sign_note("hello\n", test_key("k")));
  const auto refused = [](const std::string& note) { return !parse_note(note); };
  EXPECT_FALSE(refused("hello\n\n" + line));
  EXPECT_FALSE(refused("\n\n" + line)) << "an empty line is a text";
  EXPECT_FALSE(refused("a\n\nb\n\n" + line)) << "empty lines in the text";
  EXPECT_EQ(parse_note("a\n\nb\n\n" + line)->text, "a\n\nb\n");
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(refused("hello\n"));
  EXPECT_TRUE(refused("hello\n\n"));
  EXPECT_TRUE(refused("hello\n" + line)) << "no empty line";
  EXPECT_TRUE(refused("hello\n\n" + line.substr(0, line.size() - 1)));
  EXPECT_TRUE(refused("hello\n\n" + line + "\n"));
  EXPECT_TRUE(refused("hel\tlo\n\n" + line));
  EXPECT_TRUE(refused("hel\rlo\n\n" + line));
  EXPECT_TRUE(refused(std::string("hel\0lo\n\n", 8) + line));
  EXPECT_TRUE(refused("hel\xff\n\n" + line));
  EXPECT_TRUE(refused("hello\n\n- k AAAAAAA=\n")) << "a hyphen is no em dash";
  EXPECT_TRUE(refused("hello\n\n— k\n"));
  EXPECT_TRUE(refused("hello\n\n—  AAAAAAA=\n")) << "no name";
  EXPECT_TRUE(refused("hello\n\n— a+b AAAAAAA=\n"));
  EXPECT_TRUE(refused("hello\n\n— a\u00a0b AAAAAAA=\n")) << "a no-break space";
  EXPECT_TRUE(refused("hello\n\n— k AAAAAA==\n")) << "an id and no signature";
  EXPECT_FALSE(refused("hello\n\n— k AAAAAAA=\n")) << "one byte: another algorithm's business";
  EXPECT_TRUE(refused("hello\n\n— k AAAAAAA\n")) << "no padding";
  EXPECT_TRUE(refused("hello\n\n— k AAAAAAB=\n")) << "bits beyond the last byte";
  EXPECT_TRUE(refused(std::string(kNoteBytesMax, 'x') + "\n\n" + line));
  std::string many = "hello\n\n";
  for (std::size_t i = 0; i < kNoteSignaturesMax; ++i) many += line;
  EXPECT_FALSE(refused(many));
  EXPECT_TRUE(refused(many + line));
}

TEST(Note, UnknownKeysAreIgnoredAndKnownOnesMustVerify) {
  const SignerKey a = test_key("a"), b = test_key("b"), c = test_key("c");
  Note note{"hello\n", {}};
  note.signatures = {sign_note(note.text, b), sign_note(note.text, a), sign_note(note.text, a)};
  const std::vector<VerifierKey> keys{c.verifier(), a.verifier()};
  const auto verified = verify_note(note, keys);
  ASSERT_TRUE(verified);
  ASSERT_EQ(verified->size(), 1u) << "a key counts once";
  EXPECT_EQ(verified->front().key, 1u);

  // A line of a known key that is wrong spoils the note, wherever it stands.
  note.signatures[2].signature[0] ^= 1;
  EXPECT_FALSE(verify_note(note, keys));
  note.signatures[2].signature.pop_back();
  EXPECT_FALSE(verify_note(note, keys));
  // Same name, another id, or same id, another name: unknown.
  note.signatures[2].id ^= 1;
  EXPECT_TRUE(verify_note(note, keys));
  note.signatures[2].id ^= 1;
  note.signatures[2].name = "aa";
  EXPECT_TRUE(verify_note(note, keys));
  EXPECT_FALSE(verify_note(note, std::vector{c.verifier()})) << "no known key at all";
}

TEST(Note, CosignaturesCarryATime) {
  const SignerKey witness = test_key("w", KeyType::cosignature);
  const std::string text = "example.com/log\n1\n" + to_base64(Hash{}) + "\n";
  Note note{text, {sign_note(text, witness, 1'679'315'147)}};
  const std::vector<VerifierKey> keys{witness.verifier()};
  const auto verified = verify_note(note, keys);
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->front().time, 1'679'315'147u);
  // What is signed, to the byte.
  const std::string message = "cosignature/v1\ntime 1679315147\n" + text;
  crypto::Ed25519Signature raw;
  std::copy_n(note.signatures[0].signature.begin() + 8, 64, raw.begin());
  EXPECT_TRUE(crypto::ed25519_verify(view(message), raw, witness.verifier().key));
  Note later = note;
  later.signatures[0].signature[7] ^= 1;
  EXPECT_FALSE(verify_note(later, keys)) << "the time is signed";
  later = note;
  later.signatures[0].signature[0] = 0x80;
  EXPECT_FALSE(verify_note(later, keys)) << "times are below 2^63";
  later.signatures[0].signature.resize(71);
  EXPECT_FALSE(verify_note(later, keys));
  // The same key as a log's: another id, another message.
  SignerKey plain = witness;
  plain.type = KeyType::ed25519;
  EXPECT_NE(plain.verifier().id(), witness.verifier().id());
}

TEST(Note, Utf8) {
  for (const char* good :
       {"", "a", "é", "—", "😀", "\u07ff", "\u0800", "\uffff", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(valid_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x80", "\xe0\x9f\xbf",
                          "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                          "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xe2\x28\xa1", "\xf0\x9f\x98"})
    EXPECT_FALSE(valid_utf8(bad));
  for (const char* space : {" ", "a\tb", "\u0085", "\u00a0", "\u1680", "\u2000", "\u200a", "\u2028",
                            "\u2029", "\u202f", "\u205f", "\u3000"})
    EXPECT_TRUE(has_unicode_space(space));
  for (const char* none : {"", "abc", "\u200b", "é", "\u2013"})
    EXPECT_FALSE(has_unicode_space(none));
}

TEST(Checkpoint, FormIsStrict) {
  const std::string root = to_base64(Hash{7});
  const auto parsed = parse_checkpoint("example.com/log\n20852163\n" + root + "\n");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, (Checkpoint{"example.com/log", 20852163, Hash{7}}));
  EXPECT_EQ(to_text(*parsed), "example.com/log\n20852163\n" + root + "\n");
  const auto extended = parse_checkpoint("o\n0\n" + root + "\nextra\nmore\n");
  ASSERT_TRUE(extended);
  EXPECT_EQ(extended->extensions, (std::vector<std::string>{"extra", "more"}));
  EXPECT_EQ(to_text(*extended), "o\n0\n" + root + "\nextra\nmore\n");
  for (const std::string& bad : std::vector<std::string>{
           "\n1\n" + root + "\n", "o\n01\n" + root + "\n", "o\n-1\n" + root + "\n",
           "o\n+1\n" + root + "\n", "o\n1 \n" + root + "\n", "o\n\n" + root + "\n",
           "o\n9223372036854775808\n" + root + "\n", "o\n1\n" + root, "o\n1\nAAAA\n",
           "o\n1\n" + root + "\n\n", "o\n1\n" + root + "\nx", "o\n1\n", std::string("o")})
    EXPECT_FALSE(parse_checkpoint(bad)) << bad;
  EXPECT_TRUE(parse_checkpoint("o\n9223372036854775807\n" + root + "\n"));
}

TEST(Checkpoint, OpensUnderItsPolicyOnly) {
  MemoryLog log;
  log.grow(3);
  const SignerKey witness = test_key("w", KeyType::cosignature);
  Note note = *parse_note(log.checkpoint());
  LogPolicy policy = log.policy();
  ASSERT_TRUE(open_checkpoint(to_string(note), policy));
  policy.witnesses = {witness.verifier()};
  policy.quorum = 1;
  EXPECT_FALSE(open_checkpoint(to_string(note), policy));
  note.signatures.push_back(sign_note(note.text, witness, 5));
  const auto opened = open_checkpoint(to_string(note), policy);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->checkpoint.root, log.root(3));
  EXPECT_EQ(opened->verified.size(), 2u);
  // A cosignature alone is not the log's word.
  note.signatures.erase(note.signatures.begin());
  EXPECT_FALSE(open_checkpoint(to_string(note), policy));
  LogPolicy other = log.policy();
  other.origin = "example.com/other";
  EXPECT_FALSE(open_checkpoint(log.checkpoint(), other));
  EXPECT_FALSE(open_checkpoint(signed_by(log.key), log.policy())) << "a note, but no checkpoint";
}

}  // namespace
}  // namespace assay::tlog
