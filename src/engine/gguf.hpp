// GGUF v3 reader over bytes somebody else mapped. Source: ggml's docs/gguf.md.
// Every offset, count and length is checked against the file before use; nothing is copied but
// small metadata. Errors are one line: "not a GGUF file", "truncated: …", "unsupported …".
#pragma once
#include <map>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "canon/format.hpp"

namespace assay::engine {

using TensorType = canon::Format;  // every type a file may hold

std::string type_name(std::uint32_t ggml_type);  // "Q8_0", refused ones too, or "type 99"
// Text of a file as error messages may show it: one line of ASCII, cut after `max` characters.
std::string printable(std::string_view text, std::size_t max = 64);
// Values and bytes of one block, as canon::info has them.
struct BlockShape {
  std::uint32_t values, bytes;
};
BlockShape block_shape(TensorType type);

struct Tensor {
  std::string name;
  TensorType type;
  std::vector<std::uint64_t> shape;  // ggml order: shape[0] is the row length
  ByteView data;                     // rows contiguous, little-endian GGUF bytes
  std::uint64_t row_length() const { return shape[0]; }
  std::uint64_t rows() const;  // product of the other dimensions
  std::uint64_t row_bytes() const;
};

class Gguf {
 public:
  using Scalar = std::variant<std::uint64_t, std::int64_t, double, bool, std::string>;
  using Array = std::variant<std::vector<std::string>, std::vector<std::int64_t>,
                             std::vector<double>, std::vector<bool>>;
  using Value = std::variant<Scalar, Array>;

  // The bytes must outlive the object. Types not in TensorType are refused by name.
  static Result<Gguf> parse(ByteView file);

  const std::map<std::string, Value, std::less<>>& metadata() const { return metadata_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }  // file order
  const Tensor* find(std::string_view name) const;

  // Typed metadata; the error names the key and what was found.
  Result<std::string> string(std::string_view key) const;
  Result<std::uint64_t> u64(std::string_view key) const;
  Result<double> number(std::string_view key) const;
  Result<bool> boolean(std::string_view key) const;
  Result<std::vector<std::string>> strings(std::string_view key) const;
  Result<std::vector<double>> numbers(std::string_view key) const;
  bool has(std::string_view key) const { return metadata_.contains(key); }

 private:
  std::map<std::string, Value, std::less<>> metadata_;
  std::vector<Tensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;  // tensor name → place in tensors_
};

}  // namespace assay::engine
