#include "cli/sampling_options.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

namespace assay::cli {
namespace {

constexpr float kBiasMax = 100.0f;

// CLI::Range lets NaN through.
CLI::Validator number_between(float low, float high) {
  return {[low, high](std::string& text) -> std::string {
            float value = 0;
            if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) return {};
            return fmt::format("{} is not a number from {} to {}", text, low, high);
          },
          fmt::format("in [{} - {}]", low, high)};
}

template <class T>
bool parse_whole(std::string_view text, T& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

// CLI11 wraps "-1" and clamps what is too large.
template <class T>
CLI::Validator whole_number() {
  return {[](std::string& text) -> std::string {
            T value = 0;
            if (parse_whole(text, value)) return {};
            return fmt::format("{} is not a whole number from 0 to {}", text,
                               std::numeric_limits<T>::max());
          },
          fmt::format("at most {}", std::numeric_limits<T>::max())};
}

std::optional<engine::LogitBias> parse_bias(const std::string& text) {
  const std::size_t at = text.find('=');
  engine::LogitBias bias{};
  if (at == std::string::npos || !parse_whole(std::string_view(text).substr(0, at), bias.token) ||
      !CLI::detail::lexical_cast(text.substr(at + 1), bias.bias) ||
      !(bias.bias >= -kBiasMax && bias.bias <= kBiasMax))
    return std::nullopt;
  return bias;
}

std::string bias_form(std::string& text) {
  if (parse_bias(text)) return {};
  return fmt::format("{} is not ID=BIAS with a token id and a number from -{} to {}", text,
                     kBiasMax, kBiasMax);
}

}  // namespace

void SamplingOptions::add_to(CLI::App* verb) {
  verb->add_option("--temp", sampling.temperature, "temperature; 0 takes the likeliest (default)")
      ->check(number_between(0.0f, 1000.0f));
  verb->add_option("--top-k", sampling.top_k, "only the k likeliest; 0 keeps every token (default)")
      ->check(whole_number<std::uint32_t>());
  verb->add_option("--top-p", sampling.top_p, "nucleus; 1 keeps every token (default)")
      ->check(number_between(1e-6f, 1.0f));
  verb->add_option("--min-p", sampling.min_p,
                   "only what is at least so likely as this share of the likeliest (default 0)")
      ->check(number_between(0.0f, 1.0f));
  verb->add_option("--repeat-penalty", sampling.repetition_penalty,
                   "above 1 avoids tokens of prompt and answer (default 1)")
      ->check(number_between(0.01f, 10.0f));
  verb->add_option("--presence-penalty", sampling.presence_penalty,
                   "off the logit of tokens the answer has (default 0)")
      ->check(number_between(-2.0f, 2.0f));
  verb->add_option("--frequency-penalty", sampling.frequency_penalty,
                   "the same for each time the answer has it (default 0)")
      ->check(number_between(-2.0f, 2.0f));
  verb->add_option("--logit-bias", biases, "ID=BIAS added to a token's logit; may be repeated")
      ->allow_extra_args(false)
      ->check(CLI::Validator(bias_form, "ID=BIAS"));
  verb->add_option("--seed", sampling.seed, "seed of the sampler (default 0)")
      ->check(whole_number<std::uint64_t>());
}

Result<engine::Sampling> SamplingOptions::resolve(std::size_t vocabulary,
                                                  std::uint32_t answer_from) const {
  engine::Sampling out = sampling;
  // −0 is 0.
  for (float* value : {&out.temperature, &out.min_p, &out.presence_penalty, &out.frequency_penalty})
    *value += 0.0f;
  for (const std::string& text : biases)
    if (const auto bias = parse_bias(text); bias && bias->bias != 0.0f)
      out.logit_bias.push_back(*bias);
  std::ranges::sort(out.logit_bias, {}, &engine::LogitBias::token);
  if (std::ranges::adjacent_find(out.logit_bias, {}, &engine::LogitBias::token) !=
      out.logit_bias.end())
    return fail(Errc::invalid, "--logit-bias names one token twice: give each token one bias");
  if (!out.logit_bias.empty() && out.logit_bias.back().token >= vocabulary)
    return fail(Errc::invalid, "--logit-bias names token {}, the model's vocabulary has {}",
                out.logit_bias.back().token, vocabulary);
  out.answer_from = answer_from;
  return out;
}

}  // namespace assay::cli
