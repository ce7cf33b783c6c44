// assay perplexity
#include <CLI/CLI.hpp>
#include <cmath>
#include <fstream>

#include "cli/cli.hpp"
#include "cli/model_file.hpp"
#include "engine/session.hpp"
#include "io/files.hpp"

namespace assay::cli {
namespace {

struct PerplexityOptions {
  std::string model, file, logits_out;
  unsigned threads = 0;
};

// Sums −ln p(next token) from the logits every head sees. For people's eyes: plain double, libm.
class Surprise : public engine::StateSink {
 public:
  Surprise(std::span<const engine::Token> tokens, std::ostream* out) : tokens_(tokens), out_(out) {}

  void cell(std::uint32_t, std::uint32_t, std::span<const float>, std::span<const std::uint16_t>,
            std::span<const std::uint16_t>) override {}
  void head(std::uint32_t position, std::span<const float>, std::span<const float> logits,
            engine::Token) override {
    if (out_ != nullptr)
      out_->write(reinterpret_cast<const char*>(logits.data()),
                  static_cast<std::streamsize>(logits.size_bytes()));
    if (position + 1 >= tokens_.size()) return;
    const double top = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits) sum += std::exp(logit - top);
    nats += std::log(sum) + top - logits[tokens_[position + 1]];
    ++predicted;
  }
  void fault(engine::NumericFault) override {}

  double nats = 0;
  std::size_t predicted = 0;

 private:
  std::span<const engine::Token> tokens_;
  std::ostream* out_;
};

// Each line of the file is a text of its own, with control tokens, cut to the model's context.
Result<int> run_perplexity(const Context& context, const PerplexityOptions& options) {
  TRY(const ModelFile m, ModelFile::open(options.model));
  TRY(const std::string text, io::read_file(options.file, 256u << 20));
  std::ofstream logits;
  if (!options.logits_out.empty()) {
    logits.open(options.logits_out, std::ios::binary | std::ios::trunc);
    if (!logits) return fail(Errc::io, "cannot write {}", options.logits_out);
  }
  ThreadPool pool(thread_count(options.threads));
  const std::uint32_t room = m.model->hyper().context;
  double nats = 0;
  std::size_t predicted = 0;
  json::array first_tokens;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty()) continue;
    auto tokens = m.tokenizer.encode(line);
    if (tokens.size() > room) tokens.resize(room);
    if (first_tokens.empty())
      for (const auto token : tokens) first_tokens.emplace_back(token);
    engine::Session session(m.model, pool, engine::best_isa(),
                            static_cast<std::uint32_t>(tokens.size()));
    Surprise surprise(tokens, logits.is_open() ? &logits : nullptr);
    if (auto outcome = session.run(tokens, 0, engine::Sampling{}, &surprise); outcome.fault)
      return fail(Errc::invalid, "numeric fault at position {}, layer {}", outcome.fault->position,
                  outcome.fault->layer);
    nats += surprise.nats;
    predicted += surprise.predicted;
  }
  if (predicted == 0) return fail(Errc::invalid, "{} holds no text to predict", options.file);
  const double perplexity = std::exp(nats / static_cast<double>(predicted));
  if (context.json())
    context.print(json::object{{"perplexity", perplexity},
                               {"nats", nats},
                               {"predicted", predicted},
                               {"tokens", first_tokens}});
  else
    fmt::print("perplexity {:.5f} over {} tokens\n", perplexity, predicted);
  return kOk;
}

}  // namespace

void add_perplexity(CLI::App& app, Context& context) {
  auto options = std::make_shared<PerplexityOptions>();
  auto* verb = context.verb(app, "perplexity", "how well a model predicts a text",
                            "assay perplexity --model models/tern-q8_0.gguf "
                            "--file models/eval/heldout.txt");
  verb->add_option("--model", options->model, "GGUF file")->required();
  verb->add_option("--file", options->file, "one text a line; control tokens are parsed")
      ->required();
  verb->add_option("--logits-out", options->logits_out,
                   "also write every position's logits as little-endian float32");
  verb->add_option("--threads", options->threads, "0: one per core");
  context.json_flag(verb);
  context.on_run(verb, [&context, options] { return run_perplexity(context, *options); });
}

}  // namespace assay::cli
