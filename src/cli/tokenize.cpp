// assay tokenize
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.hpp"
#include "engine/tokenizer.hpp"
#include "io/files.hpp"

namespace assay::cli {
namespace {

struct TokenizeOptions {
  std::string model, text, file;
  bool from_file = false, no_special = false;
};

Result<int> run_tokenize(const Context& context, const TokenizeOptions& options) {
  TRY(const io::MappedFile file, io::MappedFile::open(options.model));
  // Only metadata is needed: a vocabulary without a model will do.
  const auto gguf = engine::Gguf::parse(file.bytes());
  if (!gguf) return fail_in(options.model, gguf.error());
  const auto tokenizer = engine::Tokenizer::from(*gguf);
  if (!tokenizer) return fail_in(options.model, tokenizer.error());
  std::string text = options.text;
  if (options.from_file) {
    TRY(text, io::read_file(options.file));
  }
  const bool special = !options.no_special;
  const auto tokens = tokenizer->encode(text, {.add_bos = special, .parse_special = special});
  if (context.json()) {
    json::array ids, pieces;
    for (const auto token : tokens) {
      ids.emplace_back(token);
      pieces.emplace_back(engine::valid_utf8(tokenizer->text(token)));
    }
    context.print(json::object{{"count", tokens.size()}, {"tokens", ids}, {"pieces", pieces}});
  } else {
    fmt::print("{}\n", fmt::join(tokens, " "));
  }
  return kOk;
}

}  // namespace

void add_tokenize(CLI::App& app, Context& context) {
  CLI::App* verb =
      context.verb(app, "tokenize", "text to token ids, as a model's own tokenizer does",
                   "assay tokenize --model models/tern-q8_0.gguf --text \"Hello world\"");
  const auto options = std::make_shared<TokenizeOptions>();
  verb->add_option("--model", options->model, "GGUF file; a vocabulary only will do")->required();
  CLI::Option_group* source = verb->add_option_group("text");
  source->add_option("--text", options->text, "the text");
  CLI::Option* file = source->add_option("--file", options->file, "a file with the text");
  source->require_option(1);
  verb->add_flag("--no-special", options->no_special,
                 "no BOS, and control tokens in the text are only text");
  context.json_flag(verb);
  context.on_run(verb, [&context, options, file] {
    options->from_file = file->count() > 0;
    return run_tokenize(context, *options);
  });
}

}  // namespace assay::cli
