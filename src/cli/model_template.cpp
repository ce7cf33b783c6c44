// assay model template
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/model_verbs.hpp"
#include "engine/chat_template.hpp"
#include "io/files.hpp"

namespace assay::cli {
namespace {

struct ModelTemplateOptions {
  std::string model, source, messages, date, bos, eos;
  bool has_model = false, has_source = false, has_date = false, has_bos = false, has_eos = false;
  bool ids = false, no_generation_prompt = false;
};

// YYYY-MM-DD, at midnight.
Result<engine::jinja::Date> parse_date(const std::string& text) {
  const auto number = [&](std::size_t at, std::size_t size) -> int {
    int out = 0;
    for (std::size_t i = at; i < at + size; ++i) {
      if (text[i] < '0' || text[i] > '9') return -1;
      out = out * 10 + (text[i] - '0');
    }
    return out;
  };
  if (text.size() == 10 && text[4] == '-' && text[7] == '-') {
    const engine::jinja::Date date{number(0, 4), number(5, 2), number(8, 2)};
    if (engine::jinja::is_date(date)) return date;
  }
  return fail(Errc::invalid, "--date '{}' is not a day: write it as 2026-01-31", text);
}

Result<engine::Conversation> read_conversation(const ModelTemplateOptions& options) {
  TRY(const std::string text, io::read_file(options.messages));
  auto parsed = json::parse(text);
  if (!parsed) return fail_in(options.messages, parsed.error());
  engine::Conversation out;
  if (parsed->is_array()) {
    out.messages = std::move(parsed->get_array());
  } else {
    TRY(const json::object* fields, json::as_object(*parsed, options.messages));
    TRY(const json::array* messages, json::get_array(*fields, "messages"));
    out.messages = *messages;
    for (const auto& [key_view, member] : *fields) {
      const std::string_view key = key_view;
      if (key == "messages") continue;
      if (key == "tools")
        out.tools = member;
      else if (key == "add_generation_prompt" && member.is_bool())
        out.add_generation_prompt = member.get_bool();
      else if (key == "variables" && member.is_object())
        out.variables = member.get_object();
      else
        return fail(Errc::invalid,
                    "{}: '{}' does not belong: a conversation has messages, tools, variables and "
                    "add_generation_prompt (true or false)",
                    options.messages, key);
    }
  }
  if (options.no_generation_prompt) out.add_generation_prompt = false;
  if (options.has_date) {
    TRY(out.now, parse_date(options.date));
  }
  return out;
}

json::object model_template_document(std::span<const engine::TextRun> runs,
                                     const std::optional<std::vector<engine::Token>>& ids) {
  std::string text;
  json::array list;
  for (const engine::TextRun& run_model_template : runs) {
    text += run_model_template.text;
    list.push_back(json::object{{"text", run_model_template.text},
                                {"from", run_model_template.specials ? "template" : "content"}});
  }
  json::object out{{"text", text}, {"runs", list}};
  if (ids) out["tokens"] = json::array(ids->begin(), ids->end());
  return out;
}

Result<int> run_model_template(const Context& context, const ModelTemplateOptions& options) {
  if (!options.has_model && (!options.has_source || options.ids))
    return fail(Errc::invalid, "give a model with --model{}",
                options.ids ? ": token ids need its tokenizer" : ", or a template with --template");
  engine::ChatTokens tokens;
  std::optional<engine::ChatTemplate> chat;
  std::optional<engine::Tokenizer> tokenizer;
  if (options.has_model) {
    TRY(const io::MappedFile file, io::MappedFile::open(options.model));
    const auto gguf = engine::Gguf::parse(file.bytes());
    if (!gguf) return fail_in(options.model, gguf.error());
    auto made = engine::Tokenizer::from(*gguf);
    if (!made) return fail_in(options.model, made.error());
    tokenizer = std::move(*made);
    tokens = engine::ChatTokens::of(*tokenizer);
    if (!options.has_source) {
      auto found = engine::ChatTemplate::from(*gguf);
      if (!found) return fail_in(options.model, found.error());
      chat = std::move(*found);
    }
  }
  if (options.has_source) {
    TRY(std::string source, io::read_file(options.source));
    chat = engine::ChatTemplate::from_source(std::move(source));
  }
  if (options.has_bos) tokens.bos = options.bos;
  if (options.has_eos) tokens.eos = options.eos;
  TRY(const engine::Conversation conversation, read_conversation(options));
  TRY(const auto runs, chat->render(conversation, tokens));
  std::optional<std::vector<engine::Token>> ids;
  if (options.ids) ids = tokenizer->encode(runs);
  if (context.json()) {
    context.print(model_template_document(runs, ids));
  } else if (ids) {
    fmt::print("{}\n", fmt::join(*ids, " "));
  } else {
    for (const engine::TextRun& run_model_template : runs)
      fmt::print("{}", run_model_template.specials ? dim(run_model_template.text)
                                                   : run_model_template.text);
    fmt::print("\n");
  }
  return kOk;
}

}  // namespace

void add_model_template(CLI::App& model, Context& context) {
  CLI::App* verb =
      context.verb(model, "template", "the exact prompt that a chat becomes",
                   "assay model template --model models/tern-q8_0.gguf --messages chat.json");
  const auto o = std::make_shared<ModelTemplateOptions>();
  auto* file = verb->add_option("--model", o->model, "GGUF file; a vocabulary only will do");
  auto* source = verb->add_option("--template", o->source, "a Jinja file instead of the model's");
  verb->add_option("--messages", o->messages,
                   "JSON: an array of messages, or an object with messages, tools, variables and "
                   "add_generation_prompt")
      ->required();
  auto* date =
      verb->add_option("--date", o->date, "the day that templates may ask for: YYYY-MM-DD");
  auto* bos = verb->add_option("--bos", o->bos, "what bos_token is (default: the model's)");
  auto* eos = verb->add_option("--eos", o->eos, "what eos_token is (default: the model's)");
  verb->add_flag("--no-generation-prompt", o->no_generation_prompt,
                 "do not begin the assistant's answer");
  verb->add_flag("--ids", o->ids, "the token ids too, or alone without --json");
  context.json_flag(verb);
  context.on_run(verb, [&context, o, file, source, date, bos, eos] {
    o->has_model = file->count() > 0;
    o->has_source = source->count() > 0;
    o->has_date = date->count() > 0;
    o->has_bos = bos->count() > 0;
    o->has_eos = eos->count() > 0;
    return run_model_template(context, *o);
  });
}

}  // namespace assay::cli
