#include "verify/difference.hpp"

#include <bit>
#include <fmt/format.h>

#include "canon/fp16.hpp"
#include "verify/trace.hpp"

namespace assay::verify {
namespace {

std::string_view meaning(std::string_view op) {
  if (op == "kh") return "the key stored in the cache";
  if (op == "vh") return "the value stored in the cache";
  if (op == "lg") return "the logit";
  if (op == "embedding") return "the embedding of the request's token";
  return "the residual stream leaving the layer";
}

std::string number(std::string_view op, std::uint32_t bits) {
  if (is_half(op))
    return fmt::format("{} (0x{:04x})", canon::from_fp16(static_cast<std::uint16_t>(bits)), bits);
  return fmt::format("{} (0x{:08x})", std::bit_cast<float>(bits), bits);
}

template <class T>
Hash root_as(ByteView bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return vector_root(std::span<const T>(values));
}

}  // namespace

bool is_half(std::string_view op) { return op == "kh" || op == "vh"; }

Hash root_of_bytes(ByteView values, bool half) {
  return half ? root_as<std::uint16_t>(values) : root_as<float>(values);
}

std::optional<Difference::Value> first_differing(ByteView ours, ByteView theirs, bool half) {
  const auto differing = std::ranges::mismatch(ours, theirs);
  if (differing.in1 == ours.end()) return std::nullopt;
  const std::size_t width = half ? 2 : 4;
  const auto row = static_cast<std::size_t>(differing.in1 - ours.begin()) / width;
  const auto bits = [&](ByteView bytes) {
    return half ? std::uint32_t{load_le<std::uint16_t>(&bytes[row * width])}
                : load_le<std::uint32_t>(&bytes[row * width]);
  };
  return Difference::Value{row, bits(ours), bits(theirs)};
}

std::string words(const Difference& d, std::uint32_t layers) {
  const std::string place = d.layer == layers
                                ? fmt::format("position {}, head", d.position)
                                : fmt::format("position {}, layer {}", d.position, d.layer);
  if (d.op == "fault")
    return "diverges at " + place + ": the model meets a numeric fault, the receipt has none";
  if (d.op == "lp") return "diverges at " + place + ": the log-probabilities are not the model's";
  if (d.op == "tok" && d.value)
    return fmt::format("diverges at {}: the model chooses token {}, the answer has {}", place,
                       d.value->ours, d.value->theirs);
  if (!d.value)
    return fmt::format("diverges at {}, op {}: {} is not the model's", place, d.op, meaning(d.op));
  return fmt::format("diverges at {}, op {}, row {}, segment {}: {} is {}, the provider has {}",
                     place, d.op, d.value->row, d.value->row / 256, meaning(d.op),
                     number(d.op, d.value->ours), number(d.op, d.value->theirs));
}

}  // namespace assay::verify
