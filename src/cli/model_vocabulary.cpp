// assay model vocabulary
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/model_file.hpp"
#include "cli/model_verbs.hpp"
#include "io/files.hpp"
#include "verify/vocabulary.hpp"

namespace assay::cli {
namespace {

struct ModelVocabularyOptions {
  std::string file, out;
};

Result<int> run_model_vocabulary(const Context& context, const ModelVocabularyOptions& o) {
  TRY(const ModelFile model, ModelFile::open(o.file));
  ThreadPool pool(thread_count(0));
  const verify::Program program =
      verify::program_of(*model.model, model.tokenizer, model.chat ? &*model.chat : nullptr, pool);
  const Bytes made = verify::vocabulary_file(model.model->gguf(), program);
  CHECK_OK(io::write_file_atomic(o.out, made));
  const std::string hash = to_hex(verify::program_hash(program));
  if (context.json())
    context.print(json::object{{"file", o.out}, {"bytes", made.size()}, {"program_hash", hash}});
  else
    fmt::print("{}  {} bytes, program {}\n", o.out, made.size(), hash);
  return kOk;
}

}  // namespace

void add_model_vocabulary(CLI::App& model, Context& context) {
  CLI::App* verb = context.verb(
      model, "vocabulary", "what turns a receipt's token ids into words, without the weights",
      "assay model vocabulary models/tern-q8_0.gguf --out tern.vocabulary.gguf\n\n"
      "Give it to readers beside a bundle: web/verify compares quotations with it. It is checked "
      "by\n"
      "the receipt's program hash.");
  const auto o = std::make_shared<ModelVocabularyOptions>();
  verb->add_option("FILE", o->file, "GGUF file")->required();
  verb->add_option("--out", o->out, "file to write")->required();
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_model_vocabulary(context, *o); });
}

}  // namespace assay::cli
