// The contract ABI (https://docs.soliditylang.org/en/latest/abi-spec.html): arguments of a call
// out, results, events and revert reasons in. Types are the caller's to know: nothing here reads an
// ABI file.
#pragma once
#include <optional>

#include "crypto/secp256k1.hpp"
#include "crypto/uint256.hpp"

namespace assay::crypto {

// keccak256 of "Transfer(address,address,uint256)": topic 0 of an event.
Hash event_topic(std::string_view signature);

// The members of one tuple, in order: call arguments, or a nested dynamic tuple. Members of static
// tuples and fixed arrays are written one after the other, as the ABI lays them out.
class AbiWriter {
 public:
  AbiWriter& uint(const Uint256& n);  // any unsigned integer type
  AbiWriter& int64(std::int64_t n);   // any signed integer type: sign-extended
  AbiWriter& address(const Address& a);
  AbiWriter& boolean(bool b) { return uint(b ? 1u : 0u); }
  AbiWriter& bytes32(const Hash& word);
  AbiWriter& bytes(ByteView data);              // dynamic bytes, string
  AbiWriter& words(std::span<const Hash> all);  // T[] of a one-word T
  AbiWriter& tuple(const AbiWriter& inner);     // a dynamic tuple
  // T[] of a dynamic T (each element written as a tuple of its members).
  AbiWriter& tuples(std::span<const AbiWriter> all);
  AbiWriter& structs(std::span<const AbiWriter> all);     // T[] of a static tuple T (asserted)
  AbiWriter& byte_strings(std::span<const ByteView> all);  // bytes[]

  Bytes encode() const;
  // With the selector of "transfer(address,uint256)" in front.
  Bytes call(std::string_view signature) const;

 private:
  AbiWriter& dynamic(Bytes content);
  struct Slot {
    Hash word{};
    std::optional<Bytes> tail;  // present: the word is an offset, known when all is written
  };
  std::vector<Slot> slots_;
};

// The words of one tuple, read in order. Takes hostile input: offsets, lengths and padding are
// checked against the data. Errors: invalid.
class AbiReader {
 public:
  explicit AbiReader(ByteView data) : data_(data) {}

  Result<Uint256> uint();
  Result<std::uint64_t> u64();  // invalid when it does not fit
  Result<std::int64_t> i64();
  Result<Address> address();
  Result<bool> boolean();
  Result<Hash> bytes32();
  Result<Bytes> bytes();
  Result<std::string> string();
  Result<std::vector<Hash>> words();
  Result<AbiReader> tuple();  // of a dynamic tuple
  // T[]: how many, at most data can hold, and a reader of the elements: of a static T one after the
  // other, of a dynamic T to be read with tuple() or bytes().
  struct Array;
  Result<Array> array();

 private:
  Result<ByteView> tail();  // from the offset in the next word on
  ByteView data_;
  std::size_t at_ = 0;
};

struct AbiReader::Array {
  std::uint64_t count = 0;
  AbiReader elements;
};

// What a revert's data says, for people: "Error(string)" and "Panic(uint256)" in words, a custom
// error by its selector and hex. Empty data: "no reason given".
std::string revert_reason(ByteView data);

}  // namespace assay::crypto
