#include "protocol/rules.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>

#include "protocol/tokens.hpp"
#include "protocol/typed.hpp"

namespace assay::protocol {
namespace {

bool stops(std::span<const std::uint32_t> stop_ids, std::uint32_t token) {
  return std::ranges::binary_search(stop_ids, token);
}

bool plain(float value) { return std::isfinite(value) && (value != 0.0f || !std::signbit(value)); }

Status check_biases(std::span<const LogitBias> biases) {
  if (biases.size() > kLogitBiasMax)
    return fail(Errc::invalid, "request: {} entries in logit_bias, at most {} are allowed",
                biases.size(), kLogitBiasMax);
  if (std::ranges::adjacent_find(biases, std::greater_equal(), &LogitBias::token) != biases.end())
    return fail(Errc::invalid, "request: the tokens of logit_bias must be strictly ascending");
  for (const LogitBias& bias : biases) {
    const auto value = std::bit_cast<float>(bias.bias_bits);
    if (!std::isfinite(value) || value == 0.0f)
      return fail(Errc::invalid, "request: the logit_bias of token {} must be finite and not 0",
                  bias.token);
  }
  return {};
}

Status check_sampling(const Request& request) {
  CHECK_OK(check_biases(request.logit_bias));
  const auto repetition = std::bit_cast<float>(request.repetition_penalty_bits);
  if (!(std::isfinite(repetition) && repetition > 0.0f))
    return fail(Errc::invalid, "request: the repetition_penalty must be finite and above 0");
  for (const auto& [name, bits] : {std::pair{"presence_penalty", request.presence_penalty_bits},
                                   {"frequency_penalty", request.frequency_penalty_bits}})
    if (!plain(std::bit_cast<float>(bits)))
      return fail(Errc::invalid, "request: the {} must be finite and not -0", name);
  const auto temperature = std::bit_cast<float>(request.temperature_bits);
  if (!plain(temperature) || temperature < 0.0f)
    return fail(Errc::invalid, "request: the temperature must be finite and not negative");
  const auto top_p = std::bit_cast<float>(request.top_p_bits);
  if (!(top_p > 0.0f && top_p <= 1.0f))
    return fail(Errc::invalid, "request: top_p must be above 0 and at most 1");
  const auto min_p = std::bit_cast<float>(request.min_p_bits);
  if (!plain(min_p) || !(min_p >= 0.0f && min_p <= 1.0f))
    return fail(Errc::invalid, "request: min_p must be from 0 to 1 and not -0");
  if (request.logprobs > 1 + kTopLogprobsMax)
    return fail(Errc::invalid, "request: logprobs is {}, at most {} alternatives (1 + n) exist",
                request.logprobs, kTopLogprobsMax);
  if (std::uint64_t{request.max_tokens} * logprob_width(request) > kLogprobNumbersMax)
    return fail(Errc::invalid,
                "request: {} tokens with {} alternatives each are too many log-probabilities: ask "
                "for fewer",
                request.max_tokens, request.logprobs - 1);
  return {};
}

}  // namespace

Status check_secrets(const Request& request, const Hash& salt_secret,
                     std::span<const std::uint32_t> prompt,
                     std::span<const std::uint32_t> stop_ids) {
  if (salt_commitment(salt_secret) != request.salt_commitment)
    return fail(Errc::mismatch, "the salt secret is not the one the request commits to");
  if (prompt.size() != request.prompt_count ||
      prompt_root(salt_secret, prompt) != request.prompt_root)
    return fail(Errc::mismatch, "the prompt tokens are not those the request commits to");
  if (std::ranges::adjacent_find(stop_ids, std::greater_equal()) != stop_ids.end())
    return fail(Errc::invalid, "stop ids must be strictly ascending");
  if (stop_root(stop_ids) != request.stop_root)
    return fail(Errc::mismatch, "the stop ids are not those the request commits to");
  return {};
}

Status check_runnable(const Request& request) {
  if (request.prompt_count == 0) return fail(Errc::invalid, "request: the prompt is empty");
  if (request.continuation >= request.prompt_count)
    return fail(Errc::invalid, "request: a continuation of {} tokens leaves no prompt before it",
                request.continuation);
  if (request.max_tokens == 0) return fail(Errc::invalid, "request: max_tokens must be at least 1");
  return check_sampling(request);
}

Status check_stops(const Request& request, std::span<const std::uint32_t> stop_ids,
                   std::span<const std::uint32_t> answer) {
  if (answer.size() > request.max_tokens)
    return fail(Errc::mismatch, "{} answer tokens, the request allows {}", answer.size(),
                request.max_tokens);
  for (std::size_t i = 0; i + 1 < answer.size(); ++i)
    if (stops(stop_ids, answer[i]))
      return fail(Errc::mismatch, "the answer goes on after stop id {} at answer token {}",
                  answer[i], i + 1);
  return {};
}

Status check_finish(const Request& request, std::span<const std::uint32_t> stop_ids,
                    std::span<const std::uint32_t> answer, std::uint32_t finish) {
  CHECK_OK(check_stops(request, stop_ids, answer));
  const bool stopped = !answer.empty() && stops(stop_ids, answer.back());
  const bool full = answer.size() == request.max_tokens;
  switch (static_cast<Finish>(finish)) {
    case Finish::stop:
      if (!stopped) return fail(Errc::mismatch, "finish is 'stop', but no stop id ends the answer");
      return {};
    case Finish::length:
      if (stopped) return fail(Errc::mismatch, "finish is 'length', but a stop id ends the answer");
      if (!full)
        return fail(Errc::mismatch, "finish is 'length' after {} of {} tokens", answer.size(),
                    request.max_tokens);
      return {};
    case Finish::fault:
      if (stopped || full)
        return fail(Errc::mismatch, "finish is 'fault', but the answer was complete");
      return {};
    case Finish::cancelled:
      if (stopped || full)
        return fail(Errc::mismatch, "finish is 'cancelled', but the answer was complete");
      if (answer.empty()) return fail(Errc::mismatch, "finish is 'cancelled' without a token");
      return {};
  }
  return fail(Errc::unsupported, "finish {} is not known", finish);
}

bool for_batches(const Lease& lease, const Offer& offer) {
  bool found = false;
  for (const OfferModel& model : offer.models) {
    const ExecutionId execution{model.weights_root, model.program_hash, model.canon};
    if (model.price_in != lease.price_in || model.price_out != lease.price_out ||
        struct_hash(execution) != lease.execution)
      continue;
    if (!for_batches(model)) return false;
    found = true;
  }
  return found;
}

}  // namespace assay::protocol
