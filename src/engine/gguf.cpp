#include "engine/gguf.hpp"

#include <bit>
#include <fmt/ranges.h>
#include <ranges>

namespace assay::engine {
namespace {

constexpr std::uint32_t kVersion = 3;
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::size_t kMaxKey = 65535;
constexpr std::size_t kMaxTensorName = 64;
constexpr std::uint64_t kMaxAlignment = 1u << 16;

// Metadata value types of the format.
enum class ValueType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64,
};

std::size_t scalar_size(ValueType type) {
  switch (type) {
    case ValueType::u8:
    case ValueType::i8:
    case ValueType::boolean:
      return 1;
    case ValueType::u16:
    case ValueType::i16:
      return 2;
    case ValueType::u32:
    case ValueType::i32:
    case ValueType::f32:
      return 4;
    case ValueType::u64:
    case ValueType::i64:
    case ValueType::f64:
      return 8;
    case ValueType::string:
      return 8;  // its length field, at least
    case ValueType::array:
      break;
  }
  return 0;
}

// A cursor that never passes the end: every read names what it was reading.
class Reader {
 public:
  explicit Reader(ByteView file) : file_(file) {}

  std::size_t position() const { return position_; }
  std::size_t remaining() const { return file_.size() - position_; }

  template <class T>
  Result<T> integer(std::string_view what) {
    TRY(const ByteView bytes, take(sizeof(T), what));
    return load_le<T>(bytes.data());
  }
  Result<ByteView> take(std::uint64_t count, std::string_view what) {
    if (count > remaining())
      return fail(Errc::invalid,
                  "truncated: {} needs {} bytes at offset {}, but the file ends at {}; "
                  "download it again",
                  what, count, position_, file_.size());
    const ByteView bytes = file_.subspan(position_, count);
    position_ += count;
    return bytes;
  }
  Result<std::string> string(std::string_view what) {
    TRY(const auto length, integer<std::uint64_t>(what));
    TRY(const ByteView bytes, take(length, what));
    return std::string(text(bytes));
  }
  // A key or tensor name: short, printable ASCII.
  Result<std::string> name(std::size_t max, std::string_view what) {
    TRY(std::string s, string(what));
    if (s.empty() || s.size() > max)
      return fail(Errc::invalid, "corrupt GGUF: {} has {} bytes, not 1 to {}", what, s.size(), max);
    if (printable(s, max) != s)
      return fail(Errc::invalid, "corrupt GGUF: {} is not printable ASCII: '{}'", what,
                  printable(s));
    return s;
  }

 private:
  ByteView file_;
  std::size_t position_ = 0;
};

double load_double(const std::uint8_t* p, ValueType type) {
  if (type == ValueType::f32) return std::bit_cast<float>(load_le<std::uint32_t>(p));
  return std::bit_cast<double>(load_le<std::uint64_t>(p));
}

std::int64_t load_signed(const std::uint8_t* p, ValueType type) {
  switch (type) {
    case ValueType::i8:
      return load_le<std::int8_t>(p);
    case ValueType::i16:
      return load_le<std::int16_t>(p);
    case ValueType::i32:
      return load_le<std::int32_t>(p);
    case ValueType::u8:
      return load_le<std::uint8_t>(p);
    case ValueType::u16:
      return load_le<std::uint16_t>(p);
    case ValueType::u32:
      return load_le<std::uint32_t>(p);
    default:
      return load_le<std::int64_t>(p);
  }
}

Result<bool> load_bool(const std::uint8_t* p, std::string_view key) {
  if (*p > 1) return fail(Errc::invalid, "corrupt GGUF: '{}' holds {} as a boolean", key, *p);
  return *p == 1;
}

Result<Gguf::Scalar> read_scalar(Reader& reader, ValueType type, std::string_view key) {
  if (type == ValueType::string) {
    TRY(std::string s, reader.string(key));
    return s;
  }
  TRY(const ByteView bytes, reader.take(scalar_size(type), key));
  switch (type) {
    case ValueType::f32:
    case ValueType::f64:
      return load_double(bytes.data(), type);
    case ValueType::boolean: {
      TRY(const bool b, load_bool(bytes.data(), key));
      return b;
    }
    case ValueType::i8:
    case ValueType::i16:
    case ValueType::i32:
    case ValueType::i64:
      return load_signed(bytes.data(), type);
    case ValueType::u64:
      return load_le<std::uint64_t>(bytes.data());
    default:
      return static_cast<std::uint64_t>(load_signed(bytes.data(), type));
  }
}

Result<Gguf::Array> read_array(Reader& reader, std::string_view key) {
  TRY(const auto raw_type, reader.integer<std::uint32_t>(key));
  TRY(const auto count, reader.integer<std::uint64_t>(key));
  const auto type = static_cast<ValueType>(raw_type);
  if (raw_type > static_cast<std::uint32_t>(ValueType::f64) || type == ValueType::array)
    return fail(Errc::unsupported, "metadata '{}' is an array of unsupported value type {}", key,
                raw_type);
  // No count is believed beyond what the rest of the file could hold.
  if (count > reader.remaining() / scalar_size(type))
    return fail(Errc::invalid,
                "truncated: metadata '{}' claims {} elements, more than the file holds; "
                "download it again",
                key, count);
  if (type == ValueType::string) {
    std::vector<std::string> out;
    out.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      TRY(std::string s, reader.string(key));
      out.push_back(std::move(s));
    }
    return out;
  }
  const std::size_t size = scalar_size(type);
  TRY(const ByteView bytes, reader.take(count * size, key));
  const auto each = [&](auto&& use) {
    for (std::uint64_t i = 0; i < count; ++i) use(bytes.data() + i * size);
  };
  if (type == ValueType::f32 || type == ValueType::f64) {
    std::vector<double> out;
    out.reserve(count);
    each([&](const std::uint8_t* p) { out.push_back(load_double(p, type)); });
    return out;
  }
  if (type == ValueType::boolean) {
    std::vector<bool> out;
    out.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      TRY(const bool b, load_bool(bytes.data() + i, key));
      out.push_back(b);
    }
    return out;
  }
  std::vector<std::int64_t> out;
  out.reserve(count);
  each([&](const std::uint8_t* p) { out.push_back(load_signed(p, type)); });
  if (type == ValueType::u64)
    for (const std::int64_t v : out)
      if (v < 0) return fail(Errc::invalid, "metadata '{}' holds an integer over 2^63", key);
  return out;
}

Result<Gguf::Value> read_value(Reader& reader, std::string_view key) {
  TRY(const auto raw_type, reader.integer<std::uint32_t>(key));
  if (raw_type > static_cast<std::uint32_t>(ValueType::f64))
    return fail(Errc::invalid, "corrupt GGUF: metadata '{}' has unknown value type {}", key,
                raw_type);
  const auto type = static_cast<ValueType>(raw_type);
  if (type == ValueType::array) {
    TRY(Gguf::Array array, read_array(reader, key));
    return array;
  }
  TRY(Gguf::Scalar scalar, read_scalar(reader, type, key));
  return scalar;
}

// A tensor whose place in the file is not resolved yet.
struct TensorEntry {
  Tensor tensor;
  std::uint64_t offset = 0, bytes = 0;
};

Result<TensorEntry> read_tensor(Reader& reader) {
  TensorEntry entry;
  Tensor& tensor = entry.tensor;
  TRY(tensor.name, reader.name(kMaxTensorName, "a tensor name"));
  TRY(const auto dimensions, reader.integer<std::uint32_t>(tensor.name));
  if (dimensions == 0 || dimensions > kMaxDimensions)
    return fail(Errc::invalid, "corrupt GGUF: tensor '{}' has {} dimensions", tensor.name,
                dimensions);
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    TRY(const auto extent, reader.integer<std::uint64_t>(tensor.name));
    // 2^58 elements of at most 4 bytes stay inside uint64.
    if (extent == 0 || extent > (std::uint64_t{1} << 58) / elements)
      return fail(Errc::invalid, "corrupt GGUF: tensor '{}' has an impossible shape", tensor.name);
    elements *= extent;
    tensor.shape.push_back(extent);
  }
  TRY(const auto raw_type, reader.integer<std::uint32_t>(tensor.name));
  TRY(entry.offset, reader.integer<std::uint64_t>(tensor.name));
  const auto type = canon::format_of(raw_type);
  if (!type)
    return fail(
        Errc::unsupported, "tensor '{}' has type {}, which canon 0 does not support; use one of {}",
        tensor.name, type_name(raw_type),
        fmt::join(canon::formats() | std::views::transform(&canon::FormatInfo::name), ", "));
  tensor.type = *type;
  if (tensor.row_length() % block_shape(*type).values != 0)
    return fail(Errc::invalid, "tensor '{}' has rows of {} values, not a multiple of {}'s {}",
                tensor.name, tensor.row_length(), type_name(raw_type), block_shape(*type).values);
  entry.bytes = elements / block_shape(*type).values * block_shape(*type).bytes;
  return entry;
}

Status check_header(Reader& reader, ByteView file) {
  const std::string_view start = text(file.subspan(0, std::min<std::size_t>(file.size(), 40)));
  if (start.starts_with("version https://git-lfs"))
    return fail(Errc::invalid,
                "not a GGUF file but a Git LFS pointer; run `git lfs pull` to fetch the model");
  if (file.empty()) return fail(Errc::invalid, "not a GGUF file: it is empty");
  if (!start.starts_with("GGUF"))
    return fail(Errc::invalid,
                "not a GGUF file: it does not begin with \"GGUF\"; give a .gguf model");
  CHECK_OK(reader.take(4, "the magic"));
  TRY(const auto version, reader.integer<std::uint32_t>("the version"));
  if (version != 0 && (version & 0xffff) == 0)
    return fail(Errc::unsupported,
                "big-endian GGUF is not supported; convert the model to little-endian");
  if (version != kVersion)
    return fail(Errc::unsupported,
                "GGUF version {} is not supported; convert the model to version {}", version,
                kVersion);
  return {};
}

std::string_view describe(const Gguf::Value& value) {
  if (const auto* scalar = std::get_if<Gguf::Scalar>(&value)) {
    constexpr std::string_view kNames[] = {"an integer", "an integer", "a number", "a boolean",
                                           "a string"};
    return kNames[scalar->index()];
  }
  constexpr std::string_view kNames[] = {"an array of strings", "an array of integers",
                                         "an array of numbers", "an array of booleans"};
  return kNames[std::get<Gguf::Array>(value).index()];
}

Result<const Gguf::Value*> lookup(const Gguf& file, std::string_view key) {
  const auto it = file.metadata().find(key);
  if (it == file.metadata().end())
    return fail(Errc::not_found, "the GGUF has no metadata '{}', which is needed", key);
  return &it->second;
}

std::unexpected<Error> wrong_type(std::string_view key, std::string_view wanted,
                                  const Gguf::Value& found) {
  return fail(Errc::invalid, "metadata '{}' must be {}, but is {}", key, wanted, describe(found));
}

template <class T>
const T* scalar_if(const Gguf::Value& value) {
  const auto* scalar = std::get_if<Gguf::Scalar>(&value);
  return scalar == nullptr ? nullptr : std::get_if<T>(scalar);
}

template <class T>
const T* array_if(const Gguf::Value& value) {
  const auto* array = std::get_if<Gguf::Array>(&value);
  return array == nullptr ? nullptr : std::get_if<T>(array);
}

}  // namespace

std::string type_name(std::uint32_t ggml_type) {
  if (const auto format = canon::format_of(ggml_type))
    return std::string(canon::info(*format).name);
  constexpr std::pair<std::uint32_t, std::string_view> kRefused[] = {
      {3, "Q4_1"},        {4, "Q4_2"},     {5, "Q4_3"},   {6, "Q5_0"},        {7, "Q5_1"},
      {9, "Q8_1"},        {10, "Q2_K"},    {11, "Q3_K"},  {15, "Q8_K"},       {16, "IQ2_XXS"},
      {17, "IQ2_XS"},     {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"},     {21, "IQ3_S"},
      {22, "IQ2_S"},      {23, "IQ4_XS"},  {24, "I8"},    {25, "I16"},        {26, "I32"},
      {27, "I64"},        {28, "F64"},     {29, "IQ1_M"}, {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},
      {33, "Q4_0_8_8"},   {34, "TQ1_0"},   {35, "TQ2_0"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"},
      {38, "IQ4_NL_8_8"}, {39, "MXFP4"}};
  for (const auto& [type, name] : kRefused)
    if (type == ggml_type) return std::string(name);
  return fmt::format("type {}", ggml_type);
}

std::string printable(std::string_view text, std::size_t max) {
  std::string out(text.substr(0, max));
  for (char& c : out)
    if (c < 0x20 || c > 0x7e) c = '?';
  if (text.size() > max) out += "...";
  return out;
}

BlockShape block_shape(TensorType type) {
  const canon::FormatInfo& info = canon::info(type);
  return {info.block_values, info.block_bytes};
}

std::uint64_t Tensor::rows() const {
  std::uint64_t n = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) n *= shape[i];
  return n;
}

std::uint64_t Tensor::row_bytes() const {
  const BlockShape block = block_shape(type);
  return row_length() / block.values * block.bytes;
}

Result<Gguf> Gguf::parse(ByteView file) {
  Gguf out;
  Reader reader(file);
  CHECK_OK(check_header(reader, file));
  TRY(const auto tensor_count, reader.integer<std::uint64_t>("the tensor count"));
  TRY(const auto metadata_count, reader.integer<std::uint64_t>("the metadata count"));

  for (std::uint64_t i = 0; i < metadata_count; ++i) {
    TRY(std::string key, reader.name(kMaxKey, "a metadata key"));
    TRY(Value value, read_value(reader, key));
    const auto [it, fresh] = out.metadata_.emplace(std::move(key), std::move(value));
    if (!fresh) return fail(Errc::invalid, "corrupt GGUF: metadata '{}' appears twice", it->first);
  }

  std::uint64_t alignment = 32;
  if (out.has("general.alignment")) {
    TRY(alignment, out.u64("general.alignment"));
    if (alignment < 8 || alignment > kMaxAlignment || !std::has_single_bit(alignment))
      return fail(Errc::invalid, "corrupt GGUF: alignment {} is not a power of two in 8..{}",
                  alignment, kMaxAlignment);
  }

  std::vector<TensorEntry> entries;
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    TRY(TensorEntry entry, read_tensor(reader));
    if (!out.index_.emplace(entry.tensor.name, i).second)
      return fail(Errc::invalid, "corrupt GGUF: tensor '{}' appears twice", entry.tensor.name);
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) return out;  // a vocabulary-only file need not be padded

  const std::uint64_t padding = (alignment - reader.position() % alignment) % alignment;
  CHECK_OK(reader.take(padding, "the padding before the tensors"));
  const ByteView data = file.subspan(reader.position());
  out.tensors_.reserve(entries.size());
  for (TensorEntry& entry : entries) {
    if (entry.offset % alignment != 0)
      return fail(Errc::invalid, "corrupt GGUF: tensor '{}' at offset {} is not aligned to {}",
                  entry.tensor.name, entry.offset, alignment);
    if (entry.offset > data.size() || entry.bytes > data.size() - entry.offset)
      return fail(Errc::invalid,
                  "truncated: tensor '{}' needs {} bytes at offset {}, but the file ends at {}; "
                  "download it again",
                  entry.tensor.name, entry.bytes, reader.position() + entry.offset, file.size());
    entry.tensor.data = data.subspan(entry.offset, entry.bytes);
    out.tensors_.push_back(std::move(entry.tensor));
  }
  return out;
}

const Tensor* Gguf::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

Result<std::string> Gguf::string(std::string_view key) const {
  TRY(const Value* value, lookup(*this, key));
  if (const auto* s = scalar_if<std::string>(*value)) return *s;
  return wrong_type(key, "a string", *value);
}

Result<std::uint64_t> Gguf::u64(std::string_view key) const {
  TRY(const Value* value, lookup(*this, key));
  if (const auto* u = scalar_if<std::uint64_t>(*value)) return *u;
  if (const auto* i = scalar_if<std::int64_t>(*value)) {
    if (*i < 0)
      return fail(Errc::invalid, "metadata '{}' must not be negative, but is {}", key, *i);
    return static_cast<std::uint64_t>(*i);
  }
  return wrong_type(key, "an integer", *value);
}

Result<double> Gguf::number(std::string_view key) const {
  TRY(const Value* value, lookup(*this, key));
  if (const auto* d = scalar_if<double>(*value)) return *d;
  if (const auto* u = scalar_if<std::uint64_t>(*value)) return static_cast<double>(*u);
  if (const auto* i = scalar_if<std::int64_t>(*value)) return static_cast<double>(*i);
  return wrong_type(key, "a number", *value);
}

Result<bool> Gguf::boolean(std::string_view key) const {
  TRY(const Value* value, lookup(*this, key));
  if (const auto* b = scalar_if<bool>(*value)) return *b;
  return wrong_type(key, "a boolean", *value);
}

Result<std::vector<std::string>> Gguf::strings(std::string_view key) const {
  TRY(const Value* value, lookup(*this, key));
  if (const auto* a = array_if<std::vector<std::string>>(*value)) return *a;
  return wrong_type(key, "an array of strings", *value);
}

Result<std::vector<double>> Gguf::numbers(std::string_view key) const {
  TRY(const Value* value, lookup(*this, key));
  if (const auto* a = array_if<std::vector<double>>(*value)) return *a;
  if (const auto* a = array_if<std::vector<std::int64_t>>(*value))
    return std::vector<double>(a->begin(), a->end());
  return wrong_type(key, "an array of numbers", *value);
}

}  // namespace assay::engine
