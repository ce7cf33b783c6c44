// Salted commitments to token ids, the salt secret, and what tokens cost (spec/messages.md).
#pragma once
#include "protocol/messages.hpp"

namespace assay::protocol {

// Per-request secret of the buyer, known to the provider, revealed only in an opening.
using SaltSecret = Hash;
Hash salt_commitment(const SaltSecret& secret);  // sha256("assay/salt/v0" ‖ secret)

// RFC 6962 root over chunks of 256 token ids; each leaf is
// HMAC-SHA256(secret, label ‖ le64 chunk) ‖ le32 ids…: a public root lets nobody test a guess.
Hash prompt_root(const SaltSecret& secret, std::span<const std::uint32_t> tokens);
Hash tape_root(const SaltSecret& secret, std::span<const std::uint32_t> tokens);
// Unsalted; ids strictly ascending.
Hash stop_root(std::span<const std::uint32_t> stop_ids);

// ceil(prompt × price_in / 1e6) + ceil(answer × price_out / 1e6), the only rounding there is;
// refused on overflow or negative prices. Prices are per million tokens.
Result<Micros> price(Micros price_in, Micros price_out, std::uint64_t prompt, std::uint64_t answer);
// Prompt tokens that are billed: continuation tokens are billed as prompt.
Result<Micros> amount_of(const Lease& lease, const Request& request, std::uint32_t answer_count);
// The smallest cap that lets max_tokens be produced.
Result<Micros> cap_for(const Lease& lease, std::uint64_t prompt, std::uint32_t max_tokens);

}  // namespace assay::protocol
