// What a receipt or a progress claims, and what can be said about it before anything is executed.
#pragma once
#include <optional>

#include "protocol/files.hpp"

namespace assay::verify {

struct Claim {
  std::uint32_t count = 0;
  std::optional<std::uint32_t> finish;  // receipts only
  Hash tape_root{}, trace_root{}, logprobs_root{};
  bool fault() const { return finish == static_cast<std::uint32_t>(protocol::Finish::fault); }
};
Claim claim_of(const protocol::Receipt& receipt);
Claim claim_of(const protocol::Progress& progress);

// The opening's salt, prompt, stop ids, answer (its first `count` tokens; of a receipt all of it)
// and log-probabilities are the committed ones. mismatch otherwise: the opening's fault.
Status check_opening(const protocol::Request& request, const Claim& claim,
                     const protocol::Opening& opening);

// Why nobody honest signs such a claim, where that needs no execution; the opening was checked.
std::optional<std::string> impossible(const protocol::Request& request, const Claim& claim,
                                      const protocol::Opening& opening);

// The opening's log-probabilities of the counted tokens.
std::span<const std::uint32_t> claimed_logprobs(const protocol::Request& request,
                                                const Claim& claim,
                                                const protocol::Opening& opening);

}  // namespace assay::verify
