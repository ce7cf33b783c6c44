// assay model id | inspect | tensors; pull, list, template, verify-signature and vocabulary have
// files of their own
#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/model_file.hpp"
#include "cli/model_verbs.hpp"
#include "crypto/sha256.hpp"
#include "protocol/states.hpp"
#include "verify/layers_identity.hpp"

namespace assay::cli {
namespace {

struct ModelOptions {
  std::string file;
  unsigned threads = 0;
};

std::string tensor_type(const engine::Tensor& tensor) {
  return engine::type_name(static_cast<std::uint32_t>(tensor.type));
}

// Bytes of weights by tensor type.
std::map<std::string, std::uint64_t> quantizations(const engine::Model& model) {
  std::map<std::string, std::uint64_t> out;
  for (const engine::Tensor* tensor : model.weights())
    out[tensor_type(*tensor)] += tensor->data.size();
  return out;
}

std::uint64_t parameters(const engine::Model& model) {
  std::uint64_t out = 0;
  for (const engine::Tensor* tensor : model.weights()) out += tensor->row_length() * tensor->rows();
  return out;
}

json::object hyper_json(const engine::Model& model) {
  const engine::Hyper& h = model.hyper();
  return {{"vocab", h.vocab},
          {"dim", h.dim},
          {"layers", h.layers},
          {"heads", h.heads},
          {"kv_heads", h.kv_heads},
          {"head_dim", h.head_dim},
          {"ffn", h.ffn},
          {"context", h.context},
          {"rms_epsilon", h.rms_epsilon},
          {"rope_base", h.rope_base},
          {"tied", model.tied()}};
}

json::value optional_json(std::optional<engine::Token> token) {
  return token ? json::value(*token) : json::value(nullptr);
}

json::object model_document(const ModelFile& m, const verify::ModelIdentity& id, ThreadPool& pool) {
  json::object shapes, types;
  for (const engine::Tensor* tensor : m.model->weights()) {
    json::array shape;
    for (const auto extent : tensor->shape) shape.emplace_back(extent);
    shapes[tensor->name] = {{"type", tensor_type(*tensor)}, {"shape", shape}};
  }
  for (const auto& [type, bytes] : quantizations(*m.model)) types[type] = bytes;
  json::array stops;
  for (const auto token : m.tokenizer.stop_tokens()) stops.emplace_back(token);
  const json::object tokenizer{{"model", "llama"},
                               {"tokens", m.tokenizer.size()},
                               {"bos", optional_json(m.tokenizer.bos())},
                               {"eos", optional_json(m.tokenizer.eos())},
                               {"stop", stops},
                               {"sha256", to_hex(crypto::sha256(m.tokenizer.canonical()))}};
  const Bytes program = verify::program_bytes(
      verify::program_of(*m.model, m.tokenizer, m.chat ? &*m.chat : nullptr, pool));
  return {{"file", m.path},
          {"file_bytes", m.file.bytes().size()},
          {"weights_root", to_hex(id.weights_root)},
          {"program_hash", to_hex(id.program_hash)},
          {"program", to_hex(program)},
          {"file_sha256", to_hex(id.file_sha256)},
          {"canon", id.canon},
          {"execution", to_hex(protocol::struct_hash(verify::execution_id(id)))},
          {"architecture", m.model->hyper().architecture},
          {"parameters", parameters(*m.model)},
          {"hyper", hyper_json(*m.model)},
          {"quantizations", types},
          {"shapes", shapes},
          {"tokenizer", tokenizer},
          {"template", m.chat ? json::value(m.chat->source()) : json::value(nullptr)}};
}

void print_id(const verify::ModelIdentity& id) {
  fmt::print("weights root  {}\n", to_hex(id.weights_root));
  fmt::print("program hash  {}\n", to_hex(id.program_hash));
  fmt::print("file SHA-256  {}\n", to_hex(id.file_sha256));
  fmt::print("canon         {}\n", id.canon);
  fmt::print("execution     {}\n", to_hex(protocol::struct_hash(verify::execution_id(id))));
}

void print_details(const ModelFile& m) {
  const engine::Hyper& h = m.model->hyper();
  fmt::print("architecture  {}, {:.1f} million parameters in {} bytes\n", h.architecture,
             static_cast<double>(parameters(*m.model)) / 1e6, m.file.bytes().size());
  fmt::print(
      "shape         width {}, layers {}, heads {} (key/value {}) of {}, feed-forward {}, "
      "context {}\n",
      h.dim, h.layers, h.heads, h.kv_heads, h.head_dim, h.ffn, h.context);
  fmt::print("numbers       RMS epsilon {}, RoPE base {}, output {}\n", h.rms_epsilon, h.rope_base,
             m.model->tied() ? "tied to the embedding" : "of its own");
  for (const auto& [type, bytes] : quantizations(*m.model))
    fmt::print("weights       {:<5} {} bytes\n", type, bytes);
  fmt::print("tokenizer     llama (SentencePiece), {} tokens\n", m.tokenizer.size());
  fmt::print("chat template {}\n", m.chat ? m.chat->source() : "none: " + m.chat_problem);
  if (m.chat && !m.chat->usable())
    fmt::print("              not usable: {}\n", m.chat->usable().error().message);
  fmt::print("\n");
  for (const engine::Tensor* tensor : m.model->weights())
    fmt::print("{:<30} {:<5} {}\n", tensor->name, tensor_type(*tensor),
               fmt::join(tensor->shape, " x "));
}

// What `assay audit --layers --tensors` reads.
Result<int> print_tensors(const Context& context, const ModelOptions& options) {
  TRY(const ModelFile m, ModelFile::open(options.file));
  ThreadPool pool(thread_count(options.threads));
  context.print(protocol::to_json(protocol::TensorsReply{verify::tensor_leaves(*m.model, pool)}));
  return kOk;
}

Result<int> run_model(const Context& context, const ModelOptions& options, bool details) {
  TRY(const ModelFile m, ModelFile::open(options.file));
  ThreadPool pool(thread_count(options.threads));
  TRY(const auto id, m.identity(pool));
  if (context.json()) {
    context.print(model_document(m, id, pool));
    return kOk;
  }
  print_id(id);
  if (details) print_details(m);
  return kOk;
}

}  // namespace

void add_model(CLI::App& app, Context& context) {
  CLI::App* model = context.verb(app, "model", "what a GGUF model is and how receipts name it",
                                 "assay model id models/tern-q8_0.gguf");
  model->require_subcommand(1);
  const auto add = [&](const char* name, const char* purpose, const char* example, bool details) {
    CLI::App* verb = context.verb(*model, name, purpose, example);
    const auto options = std::make_shared<ModelOptions>();
    verb->add_option("FILE", options->file, "the GGUF file")->required();
    verb->add_option("--threads", options->threads, "threads (default: all)")
        ->check(CLI::Range(1, 1024));
    context.json_flag(verb);
    context.on_run(verb,
                   [&context, options, details] { return run_model(context, *options, details); });
  };
  add("id", "the hashes a receipt names a model by", "assay model id models/tern-q8_0.gguf", false);
  add("inspect", "hashes, shapes, types, tokenizer and template",
      "assay model inspect models/tern-q8_0.gguf --json", true);
  CLI::App* tensors =
      context.verb(*model, "tensors", "the leaves of the weights root, as JSON, for sampled audits",
                   "assay model tensors models/tern-q8_0.gguf > leaves.json");
  const auto options = std::make_shared<ModelOptions>();
  tensors->add_option("FILE", options->file, "the GGUF file")->required();
  tensors->add_option("--threads", options->threads, "threads (default: all)")
      ->check(CLI::Range(1, 1024));
  context.json_flag(tensors);
  context.on_run(tensors, [&context, options] { return print_tensors(context, *options); });
  add_model_pull(*model, context);
  add_model_template(*model, context);
  add_model_signature(*model, context);
  add_model_vocabulary(*model, context);
}

}  // namespace assay::cli
