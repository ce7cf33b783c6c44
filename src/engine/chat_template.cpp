#include "engine/chat_template.hpp"

#include <algorithm>

#include "engine/tokenizer.hpp"

namespace assay::engine {
namespace {

constexpr std::string_view kKey = "tokenizer.chat_template";

// Each message as "<|role|>content<|end|>"; the answer begins after "<|assistant|>".
constexpr std::string_view kTagged =
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + "
    "'<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

constexpr std::string_view kRoles[] = {"system", "user", "assistant"};

}  // namespace

Result<ChatTemplate> ChatTemplate::from(const Gguf& file) {
  if (!file.has(kKey))
    return fail(Errc::not_found, "the model has no chat template; send it a plain prompt instead");
  ChatTemplate out;
  TRY(out.source_, file.string(kKey));
  if (out.source_ != kTagged)
    return fail(Errc::unsupported,
                "canon 0 does not know the model's chat template, which begins '{}'; send it a "
                "plain prompt instead",
                printable(out.source_, 60));
  return out;
}

Result<std::vector<ChatTemplate::Piece>> ChatTemplate::render(std::span<const ChatMessage> messages,
                                                              bool add_generation_prompt) const {
  if (messages.empty()) return fail(Errc::invalid, "a chat needs at least one message");
  std::vector<Piece> out;
  std::string literal;
  for (const ChatMessage& message : messages) {
    if (std::ranges::find(kRoles, message.role) == std::end(kRoles))
      return fail(Errc::invalid, "role '{}' is not one of system, user, assistant",
                  printable(message.role));
    literal += fmt::format("<|{}|>", message.role);
    if (!message.content.empty()) {
      out.push_back({std::move(literal), false});
      out.push_back({message.content, true});
      literal.clear();
    }
    literal += "<|end|>";
  }
  if (add_generation_prompt) literal += "<|assistant|>";
  out.push_back({std::move(literal), false});
  return out;
}

Result<std::vector<std::uint32_t>> encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                               std::span<const ChatMessage> messages) {
  TRY(const auto pieces, chat.render(messages));
  std::vector<Token> out;
  bool first = true;
  for (const ChatTemplate::Piece& piece : pieces) {
    const auto tokens =
        tokenizer.encode(piece.text, {.add_bos = first, .parse_special = !piece.content});
    out.insert(out.end(), tokens.begin(), tokens.end());
    first = false;
  }
  return out;
}

}  // namespace assay::engine
