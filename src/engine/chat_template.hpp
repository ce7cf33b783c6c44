// The GGUF's chat template. Canon 0 knows a closed list of templates by their exact text and
// refuses others by name; a Jinja interpreter comes with the full engine.
#pragma once
#include "base/result.hpp"
#include "engine/gguf.hpp"

namespace assay::engine {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"; others are refused
  std::string content;
};

class ChatTemplate {
 public:
  static Result<ChatTemplate> from(const Gguf& file);
  // The prompt text, ready for Tokenizer::encode with parse_special. Content cannot inject control
  // tokens: rendering returns alternating literal/content pieces.
  struct Piece {
    std::string text;
    bool content;  // true: encode with parse_special = false
  };
  Result<std::vector<Piece>> render(std::span<const ChatMessage> messages,
                                    bool add_generation_prompt = true) const;
  const std::string& source() const { return source_; }

 private:
  std::string source_;
};

// Renders and encodes: BOS if the file asks for one, then every piece.
class Tokenizer;
Result<std::vector<std::uint32_t>> encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat,
                                               std::span<const ChatMessage> messages);

}  // namespace assay::engine
