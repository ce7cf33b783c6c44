#include "tlog/note.hpp"

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/sha256.hpp"
#include "tlog/utf8.hpp"

namespace assay::tlog {
namespace {

constexpr std::string_view kDash = "\xe2\x80\x94 ";  // em dash, space
constexpr std::string_view kPrivate = "PRIVATE+KEY+";

Result<KeyType> key_type(std::uint8_t byte) {
  if (byte == 0x01 || byte == 0x04) return static_cast<KeyType>(byte);
  return fail(Errc::unsupported,
              "key type 0x{:02x}: this program speaks Ed25519 (0x01) and cosignatures (0x04)",
              byte);
}

struct KeyText {
  std::string_view name;
  std::uint32_t id;
  KeyType type;
  std::array<std::uint8_t, 32> material;
};

// <name>+<8 hex digits>+base64(type ‖ 32 bytes)
Result<KeyText> parse_key(std::string_view text) {
  const auto plus = text.find('+');
  if (plus == std::string_view::npos || text.size() < plus + 10 || text[plus + 9] != '+')
    return fail(Errc::invalid, "a key is <name>+<8 hex digits>+<base64>");
  KeyText out{text.substr(0, plus), 0, KeyType::ed25519, {}};
  if (!valid_key_name(out.name))
    return fail(Errc::invalid, "a key's name is not empty and has no spaces or '+'");
  for (const char c : text.substr(plus + 1, 8)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f'))
      return fail(Errc::invalid, "a key's id is 8 lower-case hex digits");
    out.id = out.id << 4 | static_cast<std::uint32_t>(digit ? c - '0' : c - 'a' + 10);
  }
  const auto bytes = from_base64(text.substr(plus + 10));
  if (!bytes) return fail_in("a key's last part", bytes.error());
  if (bytes->empty()) return fail(Errc::invalid, "a key's last part is empty");
  TRY(out.type, key_type((*bytes)[0]));
  if (bytes->size() != 33)
    return fail(Errc::invalid, "an Ed25519 key has 32 bytes, this one {}", bytes->size() - 1);
  std::copy(bytes->begin() + 1, bytes->end(), out.material.begin());
  return out;
}

std::string key_text(std::string_view name, std::uint32_t id, KeyType type, ByteView material) {
  Bytes bytes{static_cast<std::uint8_t>(type)};
  append(bytes, material);
  return fmt::format("{}+{:08x}+{}", name, id, to_base64(bytes));
}

std::string cosigned(std::string_view text, std::uint64_t time) {
  return fmt::format("cosignature/v1\ntime {}\n{}", time, text);
}

constexpr std::uint64_t kTimeMax = (std::uint64_t{1} << 63) - 1;

// nullopt: not this key's signature of this text.
std::optional<Verified> check(const Note& note, const NoteSignature& signature,
                              const VerifierKey& key) {
  Verified out;
  ByteView bytes = signature.signature;
  std::string signed_text;
  std::string_view message = note.text;
  if (key.type == KeyType::cosignature) {
    if (bytes.size() != 72) return std::nullopt;
    out.time = load_be<std::uint64_t>(bytes.data());
    if (*out.time > kTimeMax) return std::nullopt;
    message = signed_text = cosigned(note.text, *out.time);
    bytes = bytes.subspan(8);
  }
  crypto::Ed25519Signature raw;
  if (bytes.size() != raw.size()) return std::nullopt;
  std::ranges::copy(bytes, raw.begin());
  if (!crypto::ed25519_verify(view(message), raw, key.key)) return std::nullopt;
  return out;
}

Result<NoteSignature> parse_line(std::string_view line) {
  const auto wrong = [] {
    return fail(Errc::invalid, "a signature line is '\u2014 <key name> <base64>'");
  };
  if (!line.starts_with(kDash)) return wrong();
  line.remove_prefix(kDash.size());
  const auto space = line.find(' ');
  if (space == std::string_view::npos || !valid_key_name(line.substr(0, space))) return wrong();
  const auto bytes = from_base64(line.substr(space + 1));
  if (!bytes || bytes->size() < 5) return wrong();
  return NoteSignature{std::string(line.substr(0, space)), load_be<std::uint32_t>(bytes->data()),
                       Bytes(bytes->begin() + 4, bytes->end())};
}

}  // namespace

bool valid_key_name(std::string_view name) {
  return !name.empty() && valid_utf8(name) && !has_unicode_space(name) &&
         name.find('+') == std::string_view::npos;
}

std::uint32_t VerifierKey::id() const {
  crypto::Sha256 hash;
  hash.update(view(name));
  const std::array<std::uint8_t, 2> between{'\n', static_cast<std::uint8_t>(type)};
  hash.update(between);
  hash.update(key);
  return load_be<std::uint32_t>(hash.finish().data());
}

std::string VerifierKey::to_string() const { return key_text(name, id(), type, key); }

Result<VerifierKey> VerifierKey::parse(std::string_view text) {
  TRY(const KeyText parts, parse_key(text));
  VerifierKey out{std::string(parts.name), parts.type, parts.material};
  if (out.id() != parts.id)
    return fail(Errc::invalid,
                "the key's id is not that of its name and bytes: was it cut or changed?");
  return out;
}

VerifierKey SignerKey::verifier() const { return {name, type, crypto::ed25519_public_key(seed)}; }

std::string SignerKey::to_string() const {
  return std::string(kPrivate) + key_text(name, verifier().id(), type, seed.bytes);
}

Result<SignerKey> SignerKey::parse(std::string_view text) {
  if (!text.starts_with(kPrivate))
    return fail(Errc::invalid, "a private key begins with '{}'", kPrivate);
  TRY(const KeyText parts, parse_key(text.substr(kPrivate.size())));
  SignerKey out{std::string(parts.name), parts.type, {}};
  out.seed.bytes = parts.material;
  if (out.verifier().id() != parts.id)
    return fail(Errc::invalid, "the private key's id is not that of its name and bytes");
  return out;
}

Result<std::vector<NoteSignature>> parse_signature_lines(std::string_view lines) {
  std::vector<NoteSignature> out;
  while (!lines.empty()) {
    const auto end = lines.find('\n');
    if (end == std::string_view::npos)
      return fail(Errc::invalid, "a signature line does not end in a line break");
    if (out.size() == kNoteSignaturesMax)
      return fail(Errc::invalid, "more than {} signatures", kNoteSignaturesMax);
    TRY(auto signature, parse_line(lines.substr(0, end)));
    out.push_back(std::move(signature));
    lines.remove_prefix(end + 1);
  }
  return out;
}

Result<Note> parse_note(std::string_view note) {
  if (note.size() > kNoteBytesMax)
    return fail(Errc::invalid, "a note has at most {} bytes", kNoteBytesMax);
  if (!valid_utf8(note)) return fail(Errc::invalid, "a note is UTF-8");
  for (const char c : note)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n')
      return fail(Errc::invalid, "a note has no control characters but line breaks");
  // The last empty line: the text may have some of its own.
  const auto split = note.rfind("\n\n");
  if (split == std::string_view::npos)
    return fail(Errc::invalid, "a note is a text, an empty line and signatures");
  Note out{std::string(note.substr(0, split + 1)), {}};
  TRY(out.signatures, parse_signature_lines(note.substr(split + 2)));
  if (out.signatures.empty()) return fail(Errc::invalid, "the note has no signature");
  return out;
}

std::string to_line(const NoteSignature& signature) {
  Bytes bytes;
  append_be(bytes, signature.id);
  append(bytes, signature.signature);
  return fmt::format("{}{} {}\n", kDash, signature.name, to_base64(bytes));
}

std::string to_string(const Note& note) {
  std::string out = note.text + "\n";
  for (const auto& signature : note.signatures) out += to_line(signature);
  return out;
}

NoteSignature sign_note(std::string_view text, const SignerKey& key, std::uint64_t time) {
  NoteSignature out{key.name, key.verifier().id(), {}};
  if (key.type == KeyType::cosignature) {
    append_be(out.signature, time);
    append(out.signature, crypto::ed25519_sign(view(cosigned(text, time)), key.seed));
  } else {
    append(out.signature, crypto::ed25519_sign(view(text), key.seed));
  }
  return out;
}

Result<std::vector<Verified>> verify_note(const Note& note, std::span<const VerifierKey> keys) {
  std::vector<Verified> out;
  for (const auto& signature : note.signatures)
    for (std::size_t k = 0; k < keys.size(); ++k) {
      if (keys[k].name != signature.name || keys[k].id() != signature.id) continue;
      auto verified = check(note, signature, keys[k]);
      if (!verified)
        return fail(Errc::mismatch, "the signature of {} is not of this text", signature.name);
      verified->key = k;
      if (std::ranges::none_of(out, [&](const Verified& v) { return v.key == k; }))
        out.push_back(*verified);
    }
  if (out.empty()) return fail(Errc::mismatch, "no signature of a known key");
  return out;
}

}  // namespace assay::tlog
