#include "engine/gguf.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/chat_template.hpp"
#include "engine/gguf_testutil.hpp"
#include "engine/model.hpp"
#include "engine/tokenizer.hpp"

namespace assay::engine {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string gguf_error(const Bytes& file) {
  const auto gguf = Gguf::parse(file);
  return gguf ? "accepted" : gguf.error().message;
}

Bytes header(std::uint32_t version, std::uint64_t tensors, std::uint64_t metadata) {
  Bytes out;
  append(out, view("GGUF"));
  append_le(out, version);
  append_le(out, tensors);
  append_le(out, metadata);
  return out;
}

TEST(Gguf, ReadsEveryValueType) {
  GgufBuilder b;
  const auto number = [&](std::string_view key, std::uint32_t type, std::uint64_t bits, int size) {
    Bytes bytes;
    append_le(bytes, bits);
    bytes.resize(size);
    b.raw(key, type, bytes);
  };
  number("u8", 0, 0xff, 1);
  number("i8", 1, 0xff, 1);
  number("u16", 2, 0xffff, 2);
  number("i16", 3, 0xffff, 2);
  number("u32", 4, 0xffffffff, 4);
  number("i32", 5, 0xffffffff, 4);
  number("u64", 10, ~std::uint64_t{0}, 8);
  number("i64", 11, ~std::uint64_t{0}, 8);
  number("f64", 12, std::bit_cast<std::uint64_t>(0.1), 8);
  b.f32("f32", 0.1f).boolean("yes", true).string("s", "x\ny");
  const Bytes file = b.build();
  const auto g = *Gguf::parse(file);
  EXPECT_EQ(*g.u64("u8"), 0xffu);
  EXPECT_EQ(*g.number("i8"), -1);
  EXPECT_EQ(*g.u64("u16"), 0xffffu);
  EXPECT_EQ(*g.number("i16"), -1);
  EXPECT_EQ(*g.u64("u32"), 0xffffffffu);
  EXPECT_EQ(*g.number("i32"), -1);
  EXPECT_EQ(*g.u64("u64"), ~std::uint64_t{0});
  EXPECT_EQ(*g.number("i64"), -1);
  EXPECT_EQ(*g.number("f64"), 0.1);
  EXPECT_EQ(*g.number("f32"), double{0.1f});
  EXPECT_EQ(*g.boolean("yes"), true);
  EXPECT_EQ(*g.string("s"), "x\ny");
  EXPECT_EQ(g.u64("i8").error().message, "metadata 'i8' must not be negative, but is -1");
  EXPECT_EQ(g.u64("s").error().message, "metadata 's' must be an integer, but is a string");
  EXPECT_EQ(g.string("gone").error().message, "the GGUF has no metadata 'gone', which is needed");
}

TEST(Gguf, ReadsTensors) {
  const Bytes file = toy_model();
  const auto g = Gguf::parse(file);
  ASSERT_TRUE(g) << g.error().message;
  const Tensor* down = g->find("blk.0.ffn_down.weight");
  ASSERT_NE(down, nullptr);
  EXPECT_EQ(down->type, TensorType::q8_0);
  EXPECT_EQ(down->row_length(), 288u);
  EXPECT_EQ(down->rows(), 4u);
  EXPECT_EQ(down->row_bytes(), 9u * 34);
  EXPECT_EQ(down->data.size(), 4u * 9 * 34);
  EXPECT_EQ(g->find("blk.9.ffn_down.weight"), nullptr);
  EXPECT_EQ(g->tensors().front().name, "token_embd.weight");
}

// What a beginner meets: each error says what is wrong and what to do.
TEST(Gguf, BeginnersErrors) {
  EXPECT_EQ(gguf_error({}), "not a GGUF file: it is empty");
  const auto bytes = [](std::string_view s) { return Bytes(view(s).begin(), view(s).end()); };
  EXPECT_EQ(gguf_error(bytes("<html>")),
            "not a GGUF file: it does not begin with \"GGUF\"; give a .gguf model");
  EXPECT_THAT(gguf_error(bytes("version https://git-lfs.github.com/spec/v1")),
              HasSubstr("run `git lfs pull`"));
  EXPECT_THAT(gguf_error(header(2, 0, 0)),
              StartsWith("GGUF version 2 is not supported; convert the model to version 3"));
  EXPECT_THAT(gguf_error(header(1, 0, 0)), StartsWith("GGUF version 1 is not supported"));
  EXPECT_EQ(gguf_error(header(0x03000000, 0, 0)),
            "big-endian GGUF is not supported; convert the model to little-endian");
  const std::vector<std::uint64_t> shape{256};
  EXPECT_EQ(gguf_error(GgufBuilder().tensor("x", shape, 11, Bytes(110)).build()),
            "tensor 'x' has type Q3_K, which canon 0 does not support; use one of F32, F16, BF16, "
            "Q8_0, Q4_0, Q4_K, Q5_K, Q6_K");
  EXPECT_THAT(gguf_error(GgufBuilder().tensor("x", shape, 77, Bytes(144)).build()),
              StartsWith("tensor 'x' has type type 77, which canon 0 does not support"));
}

TEST(Gguf, KnowsTheTypesByName) {
  EXPECT_EQ(type_name(0), "F32");
  EXPECT_EQ(type_name(8), "Q8_0");
  EXPECT_EQ(type_name(14), "Q6_K");
  EXPECT_EQ(type_name(23), "IQ4_XS");
  EXPECT_EQ(type_name(30), "BF16");
  EXPECT_EQ(type_name(35), "TQ2_0");
  EXPECT_EQ(type_name(39), "MXFP4");
  EXPECT_EQ(type_name(40), "type 40");
}

// Cut anywhere, the file is refused, as truncated, without a crash.
TEST(Gguf, TruncatedAtEveryByte) {
  const ToyShape small{.ffn = 32, .layers = 1, .gate = TensorType::f32, .up = TensorType::f32};
  const Bytes file = toy_model(small);
  ASSERT_TRUE(Model::load(file));
  for (std::size_t size = 0; size < file.size(); ++size) {
    // A copy of just these bytes, so that the sanitizer sees any read past them.
    const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    const auto model = Model::load(cut);
    const bool only_padding_gone = file.size() - size < 32 && model.has_value();
    if (only_padding_gone) continue;
    ASSERT_FALSE(model) << size;
    if (size >= 4) {
      EXPECT_THAT(model.error().message, StartsWith("truncated: ")) << size;
      EXPECT_THAT(model.error().message, HasSubstr("download it again")) << size;
    }
  }
}

// Any one byte of metadata and tensor directory changed: an error or another model, never a crash.
TEST(Gguf, EveryHeaderByteCorrupted) {
  const ToyShape small{.architecture = "qwen2", .dim = 32, .heads = 1, .ffn = 32, .layers = 1};
  const Bytes file = toy_model(small);
  const auto good = Gguf::parse(file);
  const std::size_t directory_end = good->tensors().front().data.data() - file.data();
  for (std::size_t at = 0; at < directory_end; ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      Bytes bad = file;
      bad[at] = static_cast<std::uint8_t>(bad[at] ^ flip);
      if (const auto gguf = Gguf::parse(bad)) {
        (void)Tokenizer::from(*gguf);
        (void)ChatTemplate::from(*gguf);
      }
      if (const auto model = Model::load(bad); !model) {
        EXPECT_FALSE(model.error().message.empty());
        EXPECT_EQ(model.error().message.find('\n'), std::string::npos);
      }
    }
  }
}

TEST(Gguf, HostileCountsAllocateNothing) {
  for (const std::uint64_t count :
       {std::uint64_t{1}, std::uint64_t{1} << 32, std::uint64_t{1} << 61, ~std::uint64_t{0}}) {
    EXPECT_THAT(gguf_error(header(3, count, 0)), StartsWith("truncated: "));
    EXPECT_THAT(gguf_error(header(3, 0, count)), StartsWith("truncated: "));
    for (std::uint32_t type = 0; type <= 12; ++type) {
      if (type == 9) continue;
      Bytes array;
      append_le(array, type);
      append_le(array, count);
      EXPECT_THAT(gguf_error(GgufBuilder().raw("a", 9, array).build()), StartsWith("truncated: "));
    }
    Bytes length;
    append_le(length, count);
    EXPECT_THAT(gguf_error(GgufBuilder().raw("s", 8, length).build()), StartsWith("truncated: "));
  }
}

TEST(Gguf, CorruptDirectories) {
  using Shape = std::vector<std::uint64_t>;
  const Bytes data(1024);
  const auto tensor = [&](const Shape& shape, std::uint32_t type) {
    return gguf_error(GgufBuilder().tensor("x", shape, type, data).build());
  };
  EXPECT_EQ(tensor({}, 0), "corrupt GGUF: tensor 'x' has 0 dimensions");
  EXPECT_EQ(tensor({1, 1, 1, 1, 1}, 0), "corrupt GGUF: tensor 'x' has 5 dimensions");
  EXPECT_EQ(tensor({0}, 0), "corrupt GGUF: tensor 'x' has an impossible shape");
  EXPECT_EQ(tensor({std::uint64_t{1} << 32, std::uint64_t{1} << 32}, 0),
            "corrupt GGUF: tensor 'x' has an impossible shape");
  EXPECT_EQ(tensor({33}, 8), "tensor 'x' has rows of 33 values, not a multiple of Q8_0's 32");
  EXPECT_THAT(tensor({std::uint64_t{1} << 57}, 0), StartsWith("truncated: tensor 'x' needs"));
  EXPECT_THAT(tensor({257}, 0), StartsWith("truncated: tensor 'x' needs 1028 bytes"));
  EXPECT_EQ(gguf_error(GgufBuilder().u32("k", 1).u32("k", 1).build()),
            "corrupt GGUF: metadata 'k' appears twice");
  const Shape one{1};
  EXPECT_EQ(gguf_error(GgufBuilder().tensor("x", one, 0, data).tensor("x", one, 0, data).build()),
            "corrupt GGUF: tensor 'x' appears twice");
  EXPECT_EQ(gguf_error(GgufBuilder().u32("general.alignment", 3).build()),
            "corrupt GGUF: alignment 3 is not a power of two in 8..65536");
  EXPECT_EQ(gguf_error(GgufBuilder()
                           .u32("general.alignment", 64)
                           .tensor("x", one, 0, data)
                           .tensor("y", one, 0, data)
                           .tensor("z", one, 0, data)
                           .build()),
            "accepted");
  EXPECT_EQ(gguf_error(GgufBuilder()
                           .u32("general.alignment", 4096)
                           .tensor("x", one, 0, data)
                           .tensor("y", one, 0, data)
                           .build())
                .substr(0, 9),
            "truncated");
  EXPECT_EQ(gguf_error(GgufBuilder().u32("a\nb", 1).build()),
            "corrupt GGUF: a metadata key is not printable ASCII: 'a?b'");
  EXPECT_EQ(gguf_error(GgufBuilder().raw("k", 13, {}).build()),
            "corrupt GGUF: metadata 'k' has unknown value type 13");
}

}  // namespace
}  // namespace assay::engine
