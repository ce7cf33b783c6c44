// The GGUF's own chat template (tokenizer.chat_template), rendered as transformers renders it; what
// templates may use: engine/jinja/template.hpp. A template that is refused does not make the model
// useless: only chats fail, with the template's problem as their error.
//
// Content cannot become control tokens: every run of the rendered text says whether the template
// wrote it or a message did, and the tokenizer looks for special tokens in the former only.
#pragma once
#include "base/json.hpp"
#include "engine/gguf.hpp"
#include "engine/jinja/template.hpp"
#include "engine/tokenizer.hpp"

namespace assay::engine {

struct ChatMessage {
  std::string role;
  std::string content;
  json::object more{};  // further members: tool_calls, tool_call_id, name
};

// What a template sees.
struct Conversation {
  json::array messages;    // objects; content made of text parts only is joined to one string
  json::value tools;       // null: none
  json::object variables;  // by name, for templates that know more, such as enable_thinking
  bool add_generation_prompt = true;
  std::optional<jinja::Date> now;  // none: the template is told no date

  static Conversation of(std::span<const ChatMessage> messages);
};

// What bos_token and eos_token stand for; none: undefined.
struct ChatTokens {
  std::optional<std::string> bos, eos;
  static ChatTokens of(const Tokenizer& tokenizer);
};

class ChatTemplate {
 public:
  // not_found: the file has none. A template that is refused is not an error here.
  static Result<ChatTemplate> from(const Gguf& file);
  static ChatTemplate from_source(std::string source);

  Result<std::vector<TextRun>> render(const Conversation& conversation,
                                      const ChatTokens& tokens) const;
  Status usable() const;  // what every chat fails with
  const std::string& source() const { return source_; }

 private:
  std::string source_;
  Result<jinja::Template> parsed_ = fail(Errc::not_found, "no template");
};

// Renders and encodes; BOS is there once, whether template or tokenizer puts it.
Result<std::vector<Token>> encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                       const Conversation& conversation);

}  // namespace assay::engine
