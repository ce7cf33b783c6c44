// assay generate
#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/model_file.hpp"
#include "engine/session.hpp"
#include "verify/trace.hpp"

namespace assay::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string model, prompt, isa;
  std::uint32_t max_tokens = 128;
  engine::Sampling sampling;
  unsigned threads = 0;
  bool chat = false;
};

struct Timing {
  double prefill_ms = 0, decode_ms = 0;  // up to the first token; the rest
};

double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

std::string_view finish_name(engine::Finish finish) {
  switch (finish) {
    case engine::Finish::stop:
      return "stop";
    case engine::Finish::length:
      return "length";
    case engine::Finish::fault:
      return "fault";
    case engine::Finish::cancelled:
      return "cancelled";
  }
  return "length";
}

// CLI::Range lets NaN through.
CLI::Validator number_between(float low, float high) {
  return {[low, high](std::string& text) -> std::string {
            float value = 0;
            if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) return {};
            return fmt::format("{} is not a number from {} to {}", text, low, high);
          },
          fmt::format("in [{} - {}]", low, high)};
}

// CLI11 wraps "-1" and clamps what is too large.
std::string whole_number(std::string& text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && stop == end) return {};
  return fmt::format("{} is not a whole number from 0 to 18446744073709551615", text);
}

Result<engine::Isa> chosen_isa(const std::string& name) {
  if (name.empty()) return engine::best_isa();
  TRY(const auto isa, engine::parse_isa(name));
  if (!engine::isa_available(isa))
    return fail(Errc::unsupported, "this machine or build has no {}; leave --isa out to use {}",
                name, engine::isa_name(engine::best_isa()));
  return isa;
}

Result<std::vector<engine::Token>> prompt_tokens(const ModelFile& m, const Options& options) {
  if (!options.chat) return m.tokenizer.encode(options.prompt);
  if (!m.chat) return fail(Errc::unsupported, "{}: {}", m.path, m.chat_problem);
  const engine::ChatMessage message{"user", options.prompt};
  return engine::encode_chat(m.tokenizer, *m.chat, {&message, 1});
}

Status check_room(const ModelFile& m, std::size_t prompt) {
  if (prompt == 0) return fail(Errc::invalid, "the prompt is empty: give some text with --prompt");
  if (prompt >= m.model->hyper().context)
    return fail(Errc::invalid,
                "the prompt has {} tokens, but the model's context is {}; shorten it", prompt,
                m.model->hyper().context);
  return {};
}

json::object document(const ModelFile& m, std::span<const engine::Token> prompt,
                      const engine::Generation& result, const Hash& root, const Timing& timing) {
  json::array tokens, prompt_ids;
  for (const auto token : result.answer) tokens.emplace_back(token);
  for (const auto token : prompt) prompt_ids.emplace_back(token);
  engine::Detokenizer detokenizer(m.tokenizer);
  std::string text;
  for (const auto token : result.answer) text += detokenizer.push(token);
  text += detokenizer.finish();
  const auto later = result.answer.empty() ? 0 : result.answer.size() - 1;
  const double rate =
      timing.decode_ms > 0 ? static_cast<double>(later) * 1000 / timing.decode_ms : 0.0;
  json::object out{{"tokens", tokens},
                   {"text", text},
                   {"trace_root", to_hex(root)},
                   {"finish", finish_name(result.finish)},
                   {"prompt", prompt_ids},
                   {"timing",
                    {{"prefill_ms", timing.prefill_ms},
                     {"decode_ms", timing.decode_ms},
                     {"prompt_tokens", prompt.size()},
                     {"answer_tokens", result.answer.size()},
                     {"tokens_per_second", rate}}}};
  if (result.fault)
    out["fault"] = {{"position", result.fault->position}, {"layer", result.fault->layer}};
  return out;
}

Result<int> run(const Context& context, const Options& options) {
  TRY(const auto isa, chosen_isa(options.isa));
  engine::Sampling sampling = options.sampling;
  sampling.temperature += 0.0f;  // −0 is the 0 that means arg-max
  TRY(const ModelFile m, ModelFile::open(options.model));
  TRY(const auto prompt, prompt_tokens(m, options));
  CHECK_OK(check_room(m, prompt.size()));
  const auto prompt_count = static_cast<std::uint32_t>(prompt.size());
  const std::uint32_t room = m.model->hyper().context - prompt_count;
  const std::uint32_t max_tokens = std::min(options.max_tokens, room);

  ThreadPool pool(thread_count(options.threads));
  engine::Session session(m.model, pool, isa, prompt_count + max_tokens);
  // All-zero salt secret, so that the roots of two runs compare.
  verify::TraceBuilder trace(Hash{}, m.model->hyper().layers);
  engine::Detokenizer detokenizer(m.tokenizer);
  const auto show = [&](const std::string& text) {
    if (context.json() || text.empty()) return;
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  const auto start = Clock::now();
  auto first = start;
  const auto stops = m.tokenizer.stop_tokens();
  const engine::Generation result = engine::generate(session, prompt, {max_tokens, stops}, sampling,
                                                     &trace, [&](engine::Token token) {
                                                       if (first == start) first = Clock::now();
                                                       show(detokenizer.push(token));
                                                       return std::ferror(stdout) == 0;
                                                     });
  const auto end = Clock::now();
  if (first == start) first = end;  // no token was sampled: all of it was prefill
  const Timing timing{ms_between(start, first), ms_between(first, end)};

  if (context.json()) {
    context.print(document(m, prompt, result, trace.root(), timing));
  } else {
    show(detokenizer.finish() + "\n");
  }
  if (result.fault && !context.json())
    return fail(Errc::invalid,
                "numeric fault at position {}, layer {}: the model's numbers overflow",
                result.fault->position, result.fault->layer);
  return result.fault ? kFailed : kOk;
}

}  // namespace

void add_generate(CLI::App& app, Context& context) {
  CLI::App* verb = context.verb(
      app, "generate", "continue a prompt with a local model, without any market",
      "assay generate --model models/tern-q8_0.gguf --chat --prompt \"What is 12 + 30?\"");
  const auto o = std::make_shared<Options>();
  verb->add_option("--model", o->model, "GGUF file")->required();
  verb->add_option("--prompt", o->prompt, "the text to continue, or the question with --chat")
      ->required();
  verb->add_option("-n,--max-tokens", o->max_tokens, "tokens at most (default 128)")
      ->check(CLI::Range(0u, 1u << 24));
  verb->add_option("--temp", o->sampling.temperature,
                   "temperature; 0 takes the likeliest (default)")
      ->check(number_between(0.0f, 1000.0f));
  verb->add_option("--top-p", o->sampling.top_p, "nucleus; 1 keeps every token (default)")
      ->check(number_between(1e-6f, 1.0f));
  verb->add_option("--seed", o->sampling.seed, "seed of the sampler (default 0)")
      ->check(CLI::Validator(whole_number, "below 2^64"));
  verb->add_option("--threads", o->threads, "threads (default: all); never changes the answer")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--isa", o->isa, "instruction set (default: the best); never changes the answer")
      ->check(CLI::IsMember({"scalar", "avx2", "avx512", "neon"}));
  verb->add_flag("--chat", o->chat, "wrap the prompt in the model's chat template");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run(context, *o); });
}

}  // namespace assay::cli
