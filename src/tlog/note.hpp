// Signed notes (c2sp.org/signed-note) and their keys: text, an empty line, signature lines.
//   "— <key name> base64(be32 key id ‖ signature)\n"
// Two signature types are spoken: Ed25519 (0x01), and timestamped checkpoint cosignatures (0x04,
// c2sp.org/tlog-cosignature), whose signature is be64 time ‖ Ed25519 over
// "cosignature/v1\ntime <time>\n" ‖ text. Lines of other keys are kept and ignored.
#pragma once
#include <optional>

#include "crypto/ed25519.hpp"

namespace assay::tlog {

enum class KeyType : std::uint8_t { ed25519 = 0x01, cosignature = 0x04 };

// Limits on what is read, well above the 16 signatures every reader must accept.
inline constexpr std::size_t kNoteBytesMax = 1u << 20;
inline constexpr std::size_t kNoteSignaturesMax = 100;

// UTF-8, not empty, without '+' and Unicode white space.
bool valid_key_name(std::string_view name);

// "vkey": <name>+<hex of id>+base64(type ‖ public key).
struct VerifierKey {
  std::string name;
  KeyType type = KeyType::ed25519;
  crypto::Ed25519PublicKey key{};

  // SHA-256(name ‖ '\n' ‖ type ‖ key), its first 4 bytes.
  std::uint32_t id() const;
  std::string to_string() const;
  // Errors: invalid for a malformed key or an id that is not this key's; unsupported for a type.
  static Result<VerifierKey> parse(std::string_view text);
  bool operator==(const VerifierKey&) const = default;
};

// "PRIVATE+KEY+<name>+<hex of id>+base64(type ‖ seed)", as Go's note package writes it. The text is
// the key: it is kept in files that only their owner reads.
struct SignerKey {
  std::string name;
  KeyType type = KeyType::ed25519;
  crypto::Ed25519Seed seed;

  VerifierKey verifier() const;
  std::string to_string() const;
  static Result<SignerKey> parse(std::string_view text);
};

struct NoteSignature {
  std::string name;
  std::uint32_t id = 0;
  Bytes signature;  // without the id
  bool operator==(const NoteSignature&) const = default;
};

struct Note {
  std::string text;  // ends in '\n'
  std::vector<NoteSignature> signatures;
  bool operator==(const Note&) const = default;
};

// Nothing is verified yet: `text` is not to be believed. Refuses what the format refuses: control
// characters, invalid UTF-8, no empty line, no or malformed signature lines, and the limits above.
Result<Note> parse_note(std::string_view note);
std::string to_string(const Note& note);
std::string to_line(const NoteSignature& signature);  // ends in '\n'
// Signature lines alone, as a witness answers. May be none.
Result<std::vector<NoteSignature>> parse_signature_lines(std::string_view lines);

// `time`: Unix seconds, only for a cosignature.
NoteSignature sign_note(std::string_view text, const SignerKey& key, std::uint64_t time = 0);

struct Verified {
  std::size_t key = 0;                // which of the keys
  std::optional<std::uint64_t> time;  // of a cosignature
};
// The signatures of `keys` on the note, each key once, in the order of the lines. Errors: mismatch
// when a line names one of the keys but does not verify (then nothing of the note counts), or when
// no line is of any of them.
Result<std::vector<Verified>> verify_note(const Note& note, std::span<const VerifierKey> keys);

}  // namespace assay::tlog
