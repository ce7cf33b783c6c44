// What makes a request and an answer well-formed, apart from signatures and money: asked by
// providers before they work, and by auditors and `assay verify` about what others signed.
#pragma once
#include <span>

#include "protocol/messages.hpp"

namespace assay::protocol {

// The secrets beside a request are the ones it commits to: salt, prompt, stop ids (strictly
// ascending).
Status check_secrets(const Request& request, const Hash& salt_secret,
                     std::span<const std::uint32_t> prompt,
                     std::span<const std::uint32_t> stop_ids);

// Numbers that the log-probabilities of one answer may have (logprob_width × max_tokens): with the
// answer itself they fit one reply of the wire.
inline constexpr std::uint64_t kLogprobNumbersMax = 1u << 19;

// An execution of it exists, and is written in one way only: continuation < prompt count,
// max_tokens at least 1, at most 256 biases with ascending tokens, finite and not zero; repetition
// penalty above 0; top_p in (0, 1], min_p in [0, 1], temperature not negative; no −0, NaN or
// infinity anywhere; at most kTopLogprobsMax alternatives. Nobody honest signs a receipt for a
// request that fails this.
Status check_runnable(const Request& request);

// At most max_tokens tokens, none after a stop id.
Status check_stops(const Request& request, std::span<const std::uint32_t> stop_ids,
                   std::span<const std::uint32_t> answer);
// And `finish` is the one that fits: stop before length before fault and cancelled; a cancelled
// answer has at least one token.
Status check_finish(const Request& request, std::span<const std::uint32_t> stop_ids,
                    std::span<const std::uint32_t> answer, std::uint32_t finish);

// A model of an offer whose name ends in "@batch" is the model of the name before it, at prices for
// work that may wait: its provider takes such requests while others leave it room. Nobody who
// cannot wait is to be sent there.
inline constexpr std::string_view kBatchSuffix = "@batch";
inline bool for_batches(const OfferModel& model) { return model.name.ends_with(kBatchSuffix); }
// The lease is at prices that its offer has for batches only.
bool for_batches(const Lease& lease, const Offer& offer);

}  // namespace assay::protocol
