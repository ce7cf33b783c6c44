#include "engine/chat_template.hpp"

namespace assay::engine {
namespace {

constexpr std::string_view kKey = "tokenizer.chat_template";

std::unexpected<Error> in_template(const Error& error) {
  return std::unexpected(Error{error.code, "chat template " + error.message});
}

// Content of text parts as one string; templates for text models know strings only.
std::optional<std::string> joined_parts(const json::value& content) {
  const auto* parts = content.if_array();
  if (parts == nullptr || parts->empty()) return std::nullopt;
  std::string out;
  for (const json::value& part : *parts) {
    const auto* o = part.if_object();
    const json::value* type = o != nullptr ? o->if_contains("type") : nullptr;
    const json::value* text = o != nullptr ? o->if_contains("text") : nullptr;
    if (type == nullptr || text == nullptr || *type != "text" || !text->is_string())
      return std::nullopt;
    out += std::string_view(text->get_string());
  }
  return out;
}

Result<jinja::Value> message_value(const json::value& message) {
  const auto* fields = message.if_object();
  if (fields == nullptr) return fail(Errc::invalid, "a message must be an object");
  const json::value* content = fields->if_contains("content");
  const auto text = content != nullptr ? joined_parts(*content) : std::nullopt;
  if (!text) return jinja::message_from_json(*fields);
  json::object plain = *fields;
  plain["content"] = *text;
  return jinja::message_from_json(plain);
}

}  // namespace

Conversation Conversation::of(std::span<const ChatMessage> messages) {
  Conversation out;
  for (const ChatMessage& message : messages) {
    json::object o{{"role", message.role}, {"content", message.content}};
    for (const auto& [key, member] : message.more) o[key] = member;
    out.messages.push_back(std::move(o));
  }
  return out;
}

ChatTokens ChatTokens::of(const Tokenizer& tokenizer) {
  ChatTokens out;
  if (const auto bos = tokenizer.bos()) out.bos = std::string(tokenizer.text(*bos));
  if (const auto eos = tokenizer.eos()) out.eos = std::string(tokenizer.text(*eos));
  return out;
}

Result<ChatTemplate> ChatTemplate::from(const Gguf& file) {
  if (!file.has(kKey))
    return fail(Errc::not_found, "the model has no chat template; send it a plain prompt instead");
  TRY(std::string source, file.string(kKey));
  return from_source(std::move(source));
}

ChatTemplate ChatTemplate::from_source(std::string source) {
  ChatTemplate out;
  out.parsed_ = jinja::Template::parse(source);
  out.source_ = std::move(source);
  return out;
}

Status ChatTemplate::usable() const {
  if (!parsed_) return in_template(parsed_.error());
  return {};
}

Result<std::vector<TextRun>> ChatTemplate::render(const Conversation& conversation,
                                                  const ChatTokens& tokens) const {
  CHECK_OK(usable());
  if (conversation.messages.empty())
    return fail(Errc::invalid, "a chat needs at least one message");
  jinja::Variables variables;
  variables.now = conversation.now;
  auto& values = variables.values;
  for (const auto& [key, member] : conversation.variables) {
    TRY(values[std::string(std::string_view(key))], jinja::from_json(member));
  }
  std::vector<jinja::Value> messages;
  for (const json::value& message : conversation.messages) {
    TRY(auto value, message_value(message));
    messages.push_back(std::move(value));
  }
  TRY(values["messages"], jinja::make_list(std::move(messages)));
  TRY(values["tools"], jinja::from_json(conversation.tools));
  values["documents"] = jinja::None{};
  values["add_generation_prompt"] = conversation.add_generation_prompt;
  if (tokens.bos) values["bos_token"] = jinja::Text::literal(*tokens.bos);
  if (tokens.eos) values["eos_token"] = jinja::Text::literal(*tokens.eos);

  const auto text = parsed_->render(variables);
  if (!text) return in_template(text.error());
  std::vector<TextRun> out;
  std::size_t begin = 0;
  for (const jinja::Text::Run& run : text->runs()) {
    out.push_back({text->bytes().substr(begin, run.end - begin), run.literal});
    begin = run.end;
  }
  return out;
}

Result<std::vector<Token>> encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                       const Conversation& conversation) {
  TRY(const auto runs, chat.render(conversation, ChatTokens::of(tokenizer)));
  return tokenizer.encode(runs);
}

}  // namespace assay::engine
