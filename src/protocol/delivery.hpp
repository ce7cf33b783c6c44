// An answer on its way through a public ledger, sealed for the buyer (spec/messages.md section 5).
// Buyer and provider both hold the request's salt secret, the request commits to it, and each
// demand has a keystream of its own: no other key is needed, and no stream is used twice.
#pragma once
#include <optional>
#include <span>

#include "protocol/tokens.hpp"

namespace assay::protocol {

// Positions of canon 0: no execution has more tokens.
inline constexpr std::uint32_t kAnswerTokensMax = 1u << 18;

// Bytes of the sealed answer of `count` tokens: le32 ids, then the le32 numbers of their
// log-probabilities; at most 3 MiB. refused: no execution has so many, or there are none.
Result<std::size_t> sealed_bytes(const Request& request, std::uint32_t count);

// XOR with the keystream whose block i is HMAC-SHA256(secret, "assay/delivery/v0" ‖ demand ‖ le32
// i). `demand` is the digest of the buyer's message.
Bytes seal_answer(const SaltSecret& secret, const Hash& demand,
                  std::span<const std::uint32_t> answer, std::span<const std::uint32_t> logprobs);

struct UnsealedAnswer {
  std::vector<std::uint32_t> answer, logprobs;
};
// Whatever the bytes are; they are `sealed_bytes` long (asserted).
UnsealedAnswer unseal_answer(const SaltSecret& secret, const Hash& demand, const Request& request,
                             std::uint32_t count, ByteView sealed);

// One line when tokens or log-probabilities are not those of the roots signed for.
std::optional<std::string> delivery_fault(const SaltSecret& secret, const Request& request,
                                          const UnsealedAnswer& answer, const Hash& tape_root,
                                          const Hash& logprobs_root);

}  // namespace assay::protocol
