#include "crypto/abi.hpp"

#include "base/assert.hpp"
#include "base/hex.hpp"
#include "crypto/keccak.hpp"

namespace assay::crypto {
namespace {

constexpr std::size_t kReasonBytesMax = 256;

void append_padded(Bytes& out, ByteView data) {
  append(out, data);
  out.resize((out.size() + 31) / 32 * 32);
}

std::string_view panic_meaning(std::uint64_t code) {
  switch (code) {
    case 0x01:
      return "assertion failed";
    case 0x11:
      return "arithmetic overflow";
    case 0x12:
      return "division by zero";
    case 0x21:
      return "invalid enum value";
    case 0x22:
      return "damaged storage";
    case 0x31:
      return "pop of an empty array";
    case 0x32:
      return "index out of range";
    case 0x41:
      return "out of memory";
    case 0x51:
      return "call of an unset function";
    default:
      return "panic";
  }
}

// One line of printable text, whatever a contract said.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, kReasonBytesMax));
  std::ranges::replace_if(
      out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return out;
}

}  // namespace

Hash event_topic(std::string_view signature) { return keccak256(view(signature)); }

AbiWriter& AbiWriter::uint(const Uint256& n) { return bytes32(n.bytes); }

AbiWriter& AbiWriter::int64(std::int64_t n) {
  Hash word;
  word.fill(n < 0 ? 0xff : 0);
  for (std::size_t i = 0; i < 8; ++i)
    word[31 - i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(n) >> (8 * i));
  return bytes32(word);
}

AbiWriter& AbiWriter::address(const Address& a) {
  Hash word{};
  std::ranges::copy(a.bytes, word.begin() + 12);
  return bytes32(word);
}

AbiWriter& AbiWriter::bytes32(const Hash& word) {
  slots_.push_back({word, std::nullopt});
  return *this;
}

AbiWriter& AbiWriter::dynamic(Bytes content) {
  slots_.push_back({Hash{}, std::move(content)});
  return *this;
}

AbiWriter& AbiWriter::bytes(ByteView data) {
  Bytes content;
  append(content, Uint256(data.size()).bytes);
  append_padded(content, data);
  return dynamic(std::move(content));
}

AbiWriter& AbiWriter::words(std::span<const Hash> all) {
  Bytes content;
  append(content, Uint256(all.size()).bytes);
  for (const Hash& word : all) append(content, word);
  return dynamic(std::move(content));
}

AbiWriter& AbiWriter::tuple(const AbiWriter& inner) { return dynamic(inner.encode()); }

AbiWriter& AbiWriter::tuples(std::span<const AbiWriter> all) {
  // Offsets of the elements count from behind the length.
  AbiWriter elements;
  for (const AbiWriter& element : all) elements.tuple(element);
  Bytes content;
  append(content, Uint256(all.size()).bytes);
  append(content, elements.encode());
  return dynamic(std::move(content));
}

AbiWriter& AbiWriter::structs(std::span<const AbiWriter> all) {
  Bytes content;
  append(content, Uint256(all.size()).bytes);
  for (const AbiWriter& element : all) {
    ASSAY_ASSERT(std::ranges::none_of(element.slots_, [](const Slot& s) { return !!s.tail; }));
    append(content, element.encode());
  }
  return dynamic(std::move(content));
}

AbiWriter& AbiWriter::byte_strings(std::span<const ByteView> all) {
  AbiWriter elements;
  for (const ByteView element : all) elements.bytes(element);
  Bytes content;
  append(content, Uint256(all.size()).bytes);
  append(content, elements.encode());
  return dynamic(std::move(content));
}

Bytes AbiWriter::encode() const {
  Bytes heads, tails;
  for (const Slot& slot : slots_) {
    if (!slot.tail) {
      append(heads, slot.word);
      continue;
    }
    append(heads, Uint256(slots_.size() * 32 + tails.size()).bytes);
    append(tails, *slot.tail);
  }
  append(heads, tails);
  return heads;
}

Bytes AbiWriter::call(std::string_view signature) const {
  Bytes out;
  append(out, ByteView(keccak256(view(signature))).first(4));
  append(out, encode());
  return out;
}

Result<Hash> AbiReader::bytes32() {
  if (data_.size() - at_ < 32)
    return fail(Errc::invalid, "ABI data of {} bytes ends before word {}", data_.size(), at_ / 32);
  Hash word;
  std::ranges::copy(data_.subspan(at_, 32), word.begin());
  at_ += 32;
  return word;
}

Result<Uint256> AbiReader::uint() {
  TRY(const Hash word, bytes32());
  return Uint256(word);
}

Result<std::uint64_t> AbiReader::u64() {
  TRY(const Uint256 n, uint());
  if (const auto small = n.to_u64()) return *small;
  return fail(Errc::invalid, "ABI word {} exceeds 64 bits", to_quantity(n));
}

Result<std::int64_t> AbiReader::i64() {
  TRY(const Hash word, bytes32());
  const auto n = static_cast<std::int64_t>(load_be<std::uint64_t>(word.data() + 24));
  const std::uint8_t sign = n < 0 ? 0xff : 0;
  if (!std::all_of(word.begin(), word.begin() + 24, [&](std::uint8_t b) { return b == sign; }))
    return fail(Errc::invalid, "ABI word {} exceeds 64 bits", to_hex(word));
  return n;
}

Result<Address> AbiReader::address() {
  TRY(const Hash word, bytes32());
  if (!std::all_of(word.begin(), word.begin() + 12, [](std::uint8_t b) { return b == 0; }))
    return fail(Errc::invalid, "ABI word {} is no address", to_hex(word));
  Address out;
  std::copy(word.begin() + 12, word.end(), out.bytes.begin());
  return out;
}

Result<bool> AbiReader::boolean() {
  TRY(const Uint256 n, uint());
  if (n > 1) return fail(Errc::invalid, "ABI word {} is no boolean", to_quantity(n));
  return n == 1;
}

Result<ByteView> AbiReader::tail() {
  TRY(const Uint256 word, uint());
  const auto offset = word.to_u64();
  if (!offset || *offset > data_.size())
    return fail(Errc::invalid, "ABI offset {} lies outside {} bytes", to_quantity(word),
                data_.size());
  return data_.subspan(*offset);
}

Result<Bytes> AbiReader::bytes() {
  TRY(const ByteView content, tail());
  AbiReader inner(content);
  TRY(const std::uint64_t size, inner.u64());
  if (size > content.size() - 32)
    return fail(Errc::invalid, "ABI bytes of length {} exceed the data", size);
  const ByteView found = content.subspan(32, size);
  return Bytes(found.begin(), found.end());
}

Result<std::string> AbiReader::string() {
  TRY(const Bytes found, bytes());
  return std::string(text(found));
}

Result<std::vector<Hash>> AbiReader::words() {
  TRY(const ByteView content, tail());
  AbiReader inner(content);
  TRY(const std::uint64_t count, inner.u64());
  if (count > (content.size() - 32) / 32)
    return fail(Errc::invalid, "an ABI array of {} words exceeds the data", count);
  std::vector<Hash> out(count);
  if (count > 0) std::memcpy(out.data(), content.data() + 32, 32 * count);
  return out;
}

Result<AbiReader> AbiReader::tuple() {
  TRY(const ByteView content, tail());
  return AbiReader(content);
}

Result<AbiReader::Array> AbiReader::array() {
  TRY(const ByteView content, tail());
  AbiReader inner(content);
  TRY(const std::uint64_t count, inner.u64());
  // Every element takes a word at least.
  if (count > (content.size() - 32) / 32)
    return fail(Errc::invalid, "an ABI array of {} elements exceeds the data", count);
  return Array{count, AbiReader(content.subspan(32))};
}

std::string revert_reason(ByteView data) {
  if (data.empty()) return "no reason given";
  if (data.size() < 4) return "malformed reason " + to_hex(data);
  const std::uint32_t selector = load_be<std::uint32_t>(data.data());
  AbiReader reader(data.subspan(4));
  if (selector == 0x08c379a0) {  // Error(string)
    if (const auto text = reader.string()) return printable(*text);
  } else if (selector == 0x4e487b71) {  // Panic(uint256)
    if (const auto code = reader.u64())
      return fmt::format("{} ({:#x})", panic_meaning(*code), *code);
  }
  return "contract error " + to_hex(data.first(std::min(data.size(), kReasonBytesMax)));
}

}  // namespace assay::crypto
