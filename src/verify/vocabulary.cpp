#include "verify/vocabulary.hpp"

#include <bit>

#include "base/hex.hpp"
#include "crypto/sha256.hpp"

namespace assay::verify {
namespace {

constexpr std::string_view kProgram = "assay.program";

// GGUF's value types.
enum class Type : std::uint32_t {
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

void put(Bytes& out, Type type) { append_le(out, static_cast<std::uint32_t>(type)); }
void put(Bytes& out, const std::string& s) {
  append_le(out, std::uint64_t{s.size()});
  append(out, view(s));
}
void put(Bytes& out, std::uint64_t n) { append_le(out, n); }
void put(Bytes& out, std::int64_t n) { append_le(out, n); }
void put(Bytes& out, double x) { append_le(out, std::bit_cast<std::uint64_t>(x)); }
void put(Bytes& out, bool b) { out.push_back(b); }

template <class T>
constexpr Type type_of() {
  if constexpr (std::is_same_v<T, bool>) return Type::boolean;
  if constexpr (std::is_same_v<T, std::string>) return Type::string;
  if constexpr (std::is_same_v<T, std::uint64_t>) return Type::u64;
  if constexpr (std::is_same_v<T, std::int64_t>) return Type::i64;
  if constexpr (std::is_same_v<T, double>) return Type::f64;
}

template <class T>
void put_piece(Bytes& out, const T& value) {
  put(out, type_of<T>());
  put(out, value);
}
template <class T>
void put_piece(Bytes& out, const std::vector<T>& list) {
  put(out, Type::array);
  put(out, type_of<T>());
  append_le(out, std::uint64_t{list.size()});
  for (const auto& element : list) put(out, T(element));
}

// What Tokenizer::from reads.
bool of_tokenizer(std::string_view key) {
  return key == "general.name" ||
         (key.starts_with("tokenizer.") && !key.starts_with("tokenizer.chat_template"));
}

}  // namespace

Bytes vocabulary_file(const engine::Gguf& model, const Program& program) {
  Bytes entries;
  std::uint64_t count = 1;
  put(entries, std::string(kProgram));
  put_piece(entries, to_hex(program_bytes(program)));
  for (const auto& [key, value] : model.metadata()) {
    if (!of_tokenizer(key)) continue;
    ++count;
    put(entries, key);
    const auto write = [&](const auto& held) {
      std::visit([&](const auto& v) { put_piece(entries, v); }, held);
    };
    std::visit(write, value);
  }
  Bytes out;
  append(out, view("GGUF"));
  append_le(out, std::uint32_t{3});
  append_le(out, std::uint64_t{0});  // tensors
  append_le(out, count);
  append(out, entries);
  return out;
}

bool is_vocabulary(const engine::Gguf& file) { return file.has(kProgram); }

Result<Vocabulary> open_vocabulary(const engine::Gguf& file) {
  TRY(const std::string hex, file.string(kProgram));
  TRY(const Bytes bytes, from_hex(hex));
  TRY(const Program program, parse_program(bytes));
  TRY(engine::Tokenizer tokenizer, engine::Tokenizer::from(file));
  if (crypto::sha256(tokenizer.canonical()) != program.tokenizer ||
      tokenizer.size() != program.vocab)
    return fail(Errc::mismatch, "the vocabulary is not the one of the program it names");
  return Vocabulary{crypto::sha256(bytes), std::move(tokenizer)};
}

}  // namespace assay::verify
