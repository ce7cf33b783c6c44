// What a stranger may ask a provider directly: OpenAI's bodies of /v1/chat/completions and
// /v1/completions, one whole answer, no tools and no shapes. A gateway speaks the rest.
#pragma once
#include <variant>

#include "engine/chat_template.hpp"
#include "protocol/messages.hpp"

namespace assay::services {

struct X402Ask {
  std::string model;
  std::variant<std::vector<engine::ChatMessage>, std::string> prompt;
  std::uint32_t max_tokens = 256;
  std::optional<std::uint64_t> seed{};  // none: the provider draws one
  protocol::Request sampling{};         // temperature and top_p, nothing else
};

// Errors: invalid, naming the member; unsupported for what only a gateway speaks.
Result<X402Ask> x402_ask_from_chat(std::string_view body);
Result<X402Ask> x402_ask_from_text(std::string_view body);

}  // namespace assay::services
