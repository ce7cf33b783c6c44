// assay generate
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/model_file.hpp"
#include "cli/sampling_options.hpp"
#include "engine/session.hpp"
#include "services/gateway/stop_strings.hpp"
#include "verify/trace.hpp"

namespace assay::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct GenerateOptions {
  std::string model, prompt, isa;
  std::uint32_t max_tokens = 128;
  SamplingOptions sampling;
  std::vector<std::string> stops;
  std::optional<std::uint32_t> logprobs;  // alternatives shown at each token
  unsigned threads = 0;
  bool chat = false;
};

struct Timing {
  double prefill_ms = 0, decode_ms = 0;  // up to the first token; the rest
};

double ms_between(SteadyClock::time_point from, SteadyClock::time_point to) {
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

Result<engine::Isa> chosen_isa(const std::string& name) {
  if (name.empty()) return engine::best_isa();
  TRY(const auto isa, engine::parse_isa(name));
  if (!engine::isa_available(isa))
    return fail(Errc::unsupported, "this machine or build has no {}; leave --isa out to use {}",
                name, engine::isa_name(engine::best_isa()));
  return isa;
}

Result<std::vector<engine::Token>> prompt_tokens(const ModelFile& m,
                                                 const GenerateOptions& options) {
  if (!options.chat) return m.tokenizer.encode(options.prompt);
  if (!m.chat) return fail(Errc::unsupported, "{}: {}", m.path, m.chat_problem);
  const engine::ChatMessage message{"user", options.prompt};
  return engine::encode_chat(m.tokenizer, *m.chat, engine::Conversation::of({&message, 1}));
}

Status check_room(const ModelFile& m, std::size_t prompt) {
  if (prompt == 0) return fail(Errc::invalid, "the prompt is empty: give some text with --prompt");
  if (prompt >= m.model->hyper().context)
    return fail(Errc::invalid,
                "the prompt has {} tokens, but the model's context is {}; shorten it", prompt,
                m.model->hyper().context);
  return {};
}

json::object logprob_object(const ModelFile& m, engine::Token token, float logprob) {
  return {{"token", token},
          {"text", engine::valid_utf8(m.tokenizer.piece(token, true))},
          {"logprob", logprob}};
}

json::array logprob_list(const ModelFile& m, const engine::Generation& result) {
  json::array out;
  for (std::size_t i = 0; i < result.logprobs.size(); ++i) {
    json::object entry = logprob_object(m, result.answer[i], result.logprobs[i].token);
    json::array& top = entry["top"].emplace_array();
    for (const auto& [token, logprob] : result.logprobs[i].top)
      top.push_back(logprob_object(m, token, logprob));
    out.push_back(std::move(entry));
  }
  return out;
}

// A line for each token: its log-probability, and those of the likeliest beside it.
std::string logprob_table(const ModelFile& m, const engine::Generation& result) {
  const auto shown = [&](engine::Token token) {
    return json::dump(json::value(engine::valid_utf8(m.tokenizer.piece(token, true))));
  };
  std::string out;
  for (std::size_t i = 0; i < result.logprobs.size(); ++i) {
    out += fmt::format("{:>10.5f}  {:<16}", result.logprobs[i].token, shown(result.answer[i]));
    for (const auto& [token, logprob] : result.logprobs[i].top)
      out += fmt::format("  {} {:.5f}", shown(token), logprob);
    out += '\n';
  }
  return out;
}

json::object generate_document(std::span<const engine::Token> prompt,
                               const engine::Generation& result, const std::string& text,
                               const Hash& root, const Timing& timing) {
  json::array tokens, prompt_ids;
  for (const auto token : result.answer) tokens.emplace_back(token);
  for (const auto token : prompt) prompt_ids.emplace_back(token);
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

Result<int> run_generate(const Context& context, const GenerateOptions& options) {
  TRY(const auto isa, chosen_isa(options.isa));
  TRY(const ModelFile m, ModelFile::open(options.model));
  TRY(const auto prompt, prompt_tokens(m, options));
  CHECK_OK(check_room(m, prompt.size()));
  const auto prompt_count = static_cast<std::uint32_t>(prompt.size());
  TRY(const engine::Sampling sampling,
      options.sampling.resolve(m.model->hyper().vocab, prompt_count));
  const std::uint32_t room = m.model->hyper().context - prompt_count;
  const std::uint32_t max_tokens = std::min(options.max_tokens, room);

  ThreadPool pool(thread_count(options.threads));
  engine::Session session(m.model, pool, isa, prompt_count + max_tokens);
  // All-zero salt secret, so that the roots of two runs compare.
  verify::TraceBuilder trace(Hash{}, m.model->hyper().layers);
  engine::Detokenizer detokenizer(m.tokenizer);
  services::StopTrimmer trimmer(options.stops);
  std::string text;
  const auto show = [&](const std::string& more) {
    text += more;
    if (context.json() || more.empty()) return;
    std::fwrite(more.data(), 1, more.size(), stdout);
    std::fflush(stdout);
  };
  const auto start = SteadyClock::now();
  auto first = start;
  const auto stops = m.tokenizer.stop_tokens();
  const engine::GenerationLimits limits{max_tokens, stops,
                                        options.logprobs ? 1 + *options.logprobs : 0};
  engine::Generation result =
      engine::generate(session, prompt, limits, sampling, &trace, [&](engine::Token token) {
        if (first == start) first = SteadyClock::now();
        show(trimmer.push(detokenizer.push(token)));
        return !trimmer.stopped() && std::ferror(stdout) == 0;
      });
  if (trimmer.stopped()) result.finish = engine::Finish::stop;
  const auto end = SteadyClock::now();
  if (first == start) first = end;  // no token was sampled: all of it was prefill
  const Timing timing{ms_between(start, first), ms_between(first, end)};

  show(trimmer.push(detokenizer.finish()));
  show(trimmer.finish());
  if (context.json()) {
    json::object out = generate_document(prompt, result, text, trace.root(), timing);
    if (options.logprobs) out["logprobs"] = logprob_list(m, result);
    context.print(out);
  } else {
    fmt::print("\n{}", logprob_table(m, result));
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
      "assay generate --model models/tern-q8_0.gguf --chat --prompt \"What is 12 + 30?\"\n"
      "  assay generate --model models/tern-q8_0.gguf --prompt \"Once\" --temp 0.8 --min-p 0.05 "
      "--repeat-penalty 1.1 --seed 7\n"
      "  assay generate --model models/tern-q8_0.gguf --prompt \"Once\" --logit-bias 300=-100 "
      "--stop . --logprobs 3 --json");
  const auto o = std::make_shared<GenerateOptions>();
  verb->add_option("--model", o->model, "GGUF file")->required();
  verb->add_option("--prompt", o->prompt, "the text to continue, or the question with --chat")
      ->required();
  verb->add_option("-n,--max-tokens", o->max_tokens, "tokens at most (default 128)")
      ->check(CLI::Range(0u, 1u << 24));
  o->sampling.add_to(verb);
  verb->add_option("--stop", o->stops, "text that ends the answer; may be repeated")
      ->allow_extra_args(false)
      ->check([](const std::string& text) {
        return text.empty() ? std::string("the text is empty") : std::string();
      });
  verb->add_option("--logprobs", o->logprobs,
                   "log-probability of each token, and of the N likeliest at its place")
      ->check(CLI::Range(0, 20));
  verb->add_option("--threads", o->threads, "threads (default: all); never changes the answer")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--isa", o->isa, "instruction set (default: the best); never changes the answer")
      ->check(CLI::IsMember({"scalar", "avx2", "avx512", "neon"}));
  verb->add_flag("--chat", o->chat, "wrap the prompt in the model's chat template");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_generate(context, *o); });
}

}  // namespace assay::cli
