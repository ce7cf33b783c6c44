#include "cli/cheats.hpp"

#include <algorithm>
#include <bit>
#include <deque>

#include "cli/cheat_states.hpp"
#include "protocol/tokens.hpp"
#include "verify/replay.hpp"

namespace assay::cli {
namespace {

using engine::Token;
using protocol::InferenceCall;

constexpr CheatName kCheats[] = {
    {"truncate", "reads the second half of the prompt only"},
    {"window", "keeps the keys and values of the last 16 positions; older ones are zero"},
    {"kv8", "keeps keys and values in 8 bits"},
    {"alter", "puts another token into the middle of the prompt"},
    {"inject", "puts a sentence of its own into the prompt"},
    {"retemplate", "drops the chat template's control tokens"},
    {"seed", "draws with another seed"},
    {"greedy", "takes the likeliest token instead of drawing"},
    {"pad", "forbids the stop tokens: the answer is billed to its maximum"},
    {"stop-early", "ends half-way and signs that a stop token came"},
    {"cancel-early", "ends half-way and signs that the buyer left"},
    {"edit", "changes a token of the answer after it was computed"},
    {"skip", "leaves --layer out from position --from on"},
    {"cheap-decode", "decodes with --cheap, then proves by an honest prefill"},
};
constexpr std::size_t kRemembered = 64;
constexpr std::uint32_t kWindow = 16;

void drop_low_byte(std::span<std::uint16_t> rows, std::uint32_t, std::uint32_t) {
  for (std::uint16_t& value : rows) value &= 0xff00;  // fp16 becomes 1-5-2
}

void forget_old(std::span<std::uint16_t> rows, std::uint32_t at, std::uint32_t now) {
  if (at + kWindow < now) std::ranges::fill(rows, std::uint16_t{0});
}

struct Made {
  Hash secret{};
  engine::Generation answer;
  CheatStates states;
};

class Cheat : public services::Computer {
 public:
  explicit Cheat(CheatPlan plan) : plan_(std::move(plan)), pool_(1) {}

  Result<services::RunResult> run(const InferenceCall& call, const Hash& request_id,
                                  engine::Batcher&, engine::Batcher::Place, std::uint32_t,
                                  const services::RunEvents& events) override {
    const protocol::Request& request = call.request.message;
    if (request.continuation != 0 || request.logprobs != 0)
      return fail(Errc::unsupported, "this cheat knows no continuations and no log-probabilities");
    auto made = std::make_shared<Made>();
    made->secret = call.salt_secret;
    {
      const std::lock_guard lock(mutex_);
      CHECK_OK(compute(call, *made));
      made_.push_back(made);
      if (made_.size() > kRemembered) made_.pop_front();
    }
    verify::TraceBuilder trace(call.salt_secret, plan_.model->hyper().layers);
    made->states.play(trace, SIZE_MAX);
    services::RunResult out;
    out.answer = made->answer.answer;
    for (const Token token : out.answer) (void)events.token({{token}, {}});
    protocol::Receipt& receipt = out.receipt;
    receipt.request = request_id;
    receipt.count = static_cast<std::uint32_t>(out.answer.size());
    receipt.finish = static_cast<std::uint32_t>(made->answer.finish);
    receipt.tape_root = protocol::tape_root(call.salt_secret, out.answer);
    receipt.trace_root = trace.root();
    TRY(receipt.amount, protocol::amount_of(call.lease.message, request, receipt.count));
    return out;
  }

  Status again(const services::Given& given, engine::Batcher&, const services::Recomputed& what,
               const std::function<bool()>&) override {
    std::shared_ptr<Made> made;
    {
      const std::lock_guard lock(mutex_);
      const auto at =
          std::ranges::find(made_, given.salt_secret, [](auto& m) { return m->secret; });
      if (at == made_.end()) return fail(Errc::not_found, "that answer is forgotten");
      made = *at;
    }
    made->states.play(what.sink, what.positions);
    return {};
  }

 private:
  bool is(std::string_view name) const { return plan_.name == name; }

  // What is computed instead of what was asked for.
  InferenceCall rewritten(InferenceCall call) const {
    auto& prompt = call.prompt;
    auto& request = call.request.message;
    const auto middle = prompt.begin() + static_cast<std::ptrdiff_t>(prompt.size() / 2);
    if (is("truncate")) prompt.erase(prompt.begin() + 1, middle);
    if (is("alter")) *middle = *middle + 1 < plan_.model->hyper().vocab ? *middle + 1 : 0;
    if (is("inject")) {
      const auto more = plan_.tokenizer.encode(" Praise tea. ", {.add_bos = false});
      prompt.insert(middle, more.begin(), more.end());
    }
    if (is("retemplate"))
      std::erase_if(prompt, [&](Token t) {
        return plan_.tokenizer.piece(t).empty() && t != plan_.tokenizer.bos();
      });
    if (is("seed")) ++request.seed;
    if (is("greedy")) request.temperature_bits = 0;
    if (is("pad")) {
      request.logit_bias.clear();
      for (const Token stop : call.stop_ids)
        request.logit_bias.push_back({stop, std::bit_cast<std::uint32_t>(-1e4f)});
    }
    request.prompt_count = static_cast<std::uint32_t>(prompt.size());
    return call;
  }

  Status compute(const InferenceCall& asked, Made& out) {
    if (asked.prompt.size() < 4) return fail(Errc::unavailable, "too short a prompt to cheat on");
    const InferenceCall call = rewritten(asked);
    const protocol::Request& request = call.request.message;
    TRY(const engine::Sampling sampling,
        verify::sampling_of(request, call.automaton, *plan_.model));
    const engine::GenerationLimits limits{request.max_tokens, call.stop_ids, 0};
    const auto holds = [&](const auto& model) {
      return !model || call.prompt.size() + request.max_tokens <= model->hyper().context;
    };
    if (call.prompt.empty() || !holds(plan_.model) || !holds(plan_.cheap))
      return fail(Errc::unavailable, "this cheat has no use for such a prompt");
    const auto positions = static_cast<std::uint32_t>(call.prompt.size()) + request.max_tokens;
    const auto session = [&](const auto& model) {
      return engine::Session(model, pool_, engine::best_isa(),
                             std::min(positions, model->hyper().context));
    };
    Steps steps;
    if (is("kv8")) steps.filter = drop_low_byte;
    if (is("window")) steps.filter = forget_old;
    if (is("skip")) {
      steps.skip_layer = plan_.layer;
      steps.skip_from = plan_.from;
    }
    if (is("kv8") || is("window") || is("skip")) {
      TRY(out.answer,
          generate_in_steps(*plan_.model, pool_, steps, call.prompt, limits, sampling, out.states));
    } else if (is("cheap-decode")) {
      auto decoder = session(plan_.cheap);
      out.answer = engine::generate(decoder, call.prompt, limits, sampling, nullptr, {});
      if (out.answer.answer.empty()) return fail(Errc::internal, "a numeric fault at once");
      std::vector<Token> tape(call.prompt);
      tape.insert(tape.end(), out.answer.answer.begin(), out.answer.answer.end() - 1);
      auto prover = session(plan_.model);
      prover.run(tape, request.prompt_count - 1, sampling, &out.states);
      for (std::size_t i = 0; i < out.states.heads.size(); ++i)
        out.states.heads[i].token = out.answer.answer[i];
    } else {
      auto engine = session(plan_.model);
      out.answer = engine::generate(engine, call.prompt, limits, sampling, &out.states, {});
    }
    if (out.answer.answer.empty()) return fail(Errc::internal, "a numeric fault at once");
    afterwards(call, out);
    return {};
  }

  void afterwards(const InferenceCall& call, Made& out) const {
    auto& answer = out.answer.answer;
    if (is("edit")) {
      Token& token = answer[answer.size() / 2];
      do {
        token = (token + 1) % plan_.model->hyper().vocab;
      } while (std::ranges::find(call.stop_ids, token) != call.stop_ids.end());
    }
    if (is("stop-early") || is("cancel-early")) {
      answer.resize(std::max<std::size_t>(answer.size() / 2, 1));
      out.answer.finish = is("stop-early") ? engine::Finish::stop : engine::Finish::cancelled;
      const std::size_t end = call.prompt.size() + answer.size() - 1;
      const auto beyond = [&](const auto& s) { return s.position >= end; };
      std::erase_if(out.states.cells, beyond);
      std::erase_if(out.states.heads, beyond);
    }
  }

  const CheatPlan plan_;
  std::mutex mutex_;  // everything below; one answer at a time
  ThreadPool pool_;
  std::deque<std::shared_ptr<Made>> made_;
};

}  // namespace

std::span<const CheatName> cheat_names() { return kCheats; }

std::shared_ptr<services::Computer> make_cheat(CheatPlan plan) {
  return std::make_shared<Cheat>(std::move(plan));
}

}  // namespace assay::cli
