#include "protocol/delivery.hpp"

#include "base/assert.hpp"
#include "crypto/sha256.hpp"
#include "protocol/rules.hpp"

namespace assay::protocol {
namespace {

void apply_keystream(const SaltSecret& secret, const Hash& demand, Bytes& bytes) {
  constexpr std::size_t kBlock = 32;
  for (std::size_t begin = 0; begin < bytes.size(); begin += kBlock) {
    Bytes message;
    append(message, view("assay/delivery/v0"));
    append(message, demand);
    append_le(message, static_cast<std::uint32_t>(begin / kBlock));
    const Hash block = crypto::hmac_sha256(secret, message);
    for (std::size_t i = 0; i < kBlock && begin + i < bytes.size(); ++i)
      bytes[begin + i] ^= block[i];
  }
}

std::size_t delivered_size(const Request& request, std::uint32_t count) {
  return std::size_t{count} * (1 + logprob_width(request)) * 4;
}

}  // namespace

Result<std::size_t> sealed_bytes(const Request& request, std::uint32_t count) {
  if (count == 0) return fail(Errc::refused, "an answer of no tokens has nothing to deliver");
  if (request.logprobs > kTopLogprobsMax + 1 || count > kAnswerTokensMax ||
      std::uint64_t{count} * logprob_width(request) > kLogprobNumbersMax)
    return fail(Errc::refused,
                "no execution has an answer of {} tokens with {} log-probabilities each", count,
                logprob_width(request));
  return delivered_size(request, count);
}

Bytes seal_answer(const SaltSecret& secret, const Hash& demand,
                  std::span<const std::uint32_t> answer, std::span<const std::uint32_t> logprobs) {
  Bytes out;
  out.reserve((answer.size() + logprobs.size()) * 4);
  for (const std::uint32_t id : answer) append_le(out, id);
  for (const std::uint32_t number : logprobs) append_le(out, number);
  apply_keystream(secret, demand, out);
  return out;
}

UnsealedAnswer unseal_answer(const SaltSecret& secret, const Hash& demand, const Request& request,
                             std::uint32_t count, ByteView sealed) {
  ASSAY_ASSERT(sealed.size() == delivered_size(request, count));
  Bytes plain(sealed.begin(), sealed.end());
  apply_keystream(secret, demand, plain);
  UnsealedAnswer out;
  out.answer.reserve(count);
  for (std::size_t i = 0; i < plain.size(); i += 4) {
    const auto number = load_le<std::uint32_t>(plain.data() + i);
    (out.answer.size() < count ? out.answer : out.logprobs).push_back(number);
  }
  return out;
}

std::optional<std::string> delivery_fault(const SaltSecret& secret, const Request& request,
                                          const UnsealedAnswer& answer, const Hash& signed_tape,
                                          const Hash& signed_logprobs) {
  if (tape_root(secret, answer.answer) != signed_tape)
    return "the tokens delivered are not those signed for";
  const auto root = logprobs_root(secret, request, static_cast<std::uint32_t>(answer.answer.size()),
                                  answer.logprobs);
  if (!root || *root != signed_logprobs)
    return "the log-probabilities delivered are not those signed for";
  return std::nullopt;
}

}  // namespace assay::protocol
