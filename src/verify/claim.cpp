#include "verify/claim.hpp"

#include <algorithm>

#include "protocol/rules.hpp"
#include "protocol/tokens.hpp"

namespace assay::verify {
namespace {

std::span<const std::uint32_t> answer_of(const Claim& claim, const protocol::Opening& opening) {
  return std::span(opening.answer).first(claim.count);
}

}  // namespace

Claim claim_of(const protocol::Receipt& r) {
  return {r.count, r.finish, r.tape_root, r.trace_root, r.logprobs_root};
}
Claim claim_of(const protocol::Progress& p) {
  return {p.count, std::nullopt, p.tape_root, p.trace_root, p.logprobs_root};
}

std::span<const std::uint32_t> claimed_logprobs(const protocol::Request& request,
                                                const Claim& claim,
                                                const protocol::Opening& opening) {
  const std::size_t numbers = std::size_t{claim.count} * protocol::logprob_width(request);
  return std::span(opening.logprobs).first(std::min(numbers, opening.logprobs.size()));
}

Status check_opening(const protocol::Request& request, const Claim& claim,
                     const protocol::Opening& opening) {
  CHECK_OK(protocol::check_secrets(request, opening.salt_secret, opening.prompt, opening.stop_ids));
  if (opening.answer.size() < claim.count || (claim.finish && opening.answer.size() != claim.count))
    return fail(Errc::mismatch, "the opening has {} answer tokens, the receipt counts {}",
                opening.answer.size(), claim.count);
  if (protocol::tape_root(opening.salt_secret, answer_of(claim, opening)) != claim.tape_root)
    return fail(Errc::mismatch, "the opening's answer is not the one the receipt commits to");
  TRY(const Hash logprobs, protocol::logprobs_root(opening.salt_secret, request, claim.count,
                                                   claimed_logprobs(request, claim, opening)));
  if (request.logprobs != 0 && logprobs != claim.logprobs_root)
    return fail(Errc::mismatch,
                "the opening's log-probabilities are not the ones the receipt commits to");
  return {};
}

std::optional<std::string> impossible(const protocol::Request& request, const Claim& claim,
                                      const protocol::Opening& opening) {
  if (request.logprobs == 0 && claim.logprobs_root != Hash{})
    return "it commits to log-probabilities that were not asked for";
  if (auto ok = protocol::check_runnable(request); !ok)
    return "no execution of this request exists: " + ok.error().message;
  const auto answer = answer_of(claim, opening);
  if (claim.finish) {
    if (auto ok = protocol::check_finish(request, opening.stop_ids, answer, *claim.finish); !ok)
      return ok.error().message;
    return std::nullopt;
  }
  if (auto ok = protocol::check_stops(request, opening.stop_ids, answer); !ok)
    return ok.error().message;
  if (answer.empty()) return "a progress without a token";
  return std::nullopt;
}

}  // namespace assay::verify
