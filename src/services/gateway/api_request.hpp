// POST /v1/chat/completions and /v1/completions bodies, read strictly: a field is honoured, known
// to be harmless, or refused by name; never silently ignored. Source: OpenAI API reference, "Create
// chat completion" and "Create completion"; `provider` follows OpenRouter's provider routing
// object.
#pragma once
#include <optional>
#include <variant>
#include <vector>

#include "engine/chat_template.hpp"
#include "engine/types.hpp"
#include "market/ranking.hpp"
#include "services/gateway/answer_shape.hpp"
#include "services/gateway/api_tools.hpp"

namespace assay::services {

// When tokens are shown, of a request whose audit is due.
enum class Delivery {
  stream_then_verify,    // as they come; a mismatch is disputed afterwards
  verify_before_stream,  // always audited, and nothing is shown until it matched
};
std::string_view to_string(Delivery delivery);

// How an answer is verified, beyond what the draw says.
struct Proof {
  std::optional<Delivery> delivery;
  bool always_audited = false;
  bool evidence = false;       // only providers with checked hardware evidence
  std::uint32_t replicas = 1;  // providers that must give the same answer before it is shown
};
inline constexpr std::uint32_t kReplicasMax = 8;
// "stream-then-verify", "verify-before-stream", "audit", "replicate:3", "tee". `param` names it in
// errors.
ApiResult<Proof> parse_proof(std::string_view name, const std::string& param);

// What the buyer wants of whoever answers. Prices are micro-units per million tokens.
struct Routing {
  std::optional<protocol::Micros> max_price_in, max_price_out, min_stake;
  std::optional<std::uint32_t> min_vram_mib;
  std::optional<std::uint32_t> max_latency_ms, max_per_token_ms;  // latency: to the first token
  // What an answer later than promised must cost less, in millionths.
  std::optional<std::uint32_t> min_rebate_ppm;
  // A second provider is asked where the first has sent no token after so long; 0: never.
  std::optional<std::uint32_t> hedge_ms;
  std::vector<std::string> regions, quantizations;
  std::vector<protocol::Address> only, ignore, order;
  bool allow_fallbacks = true;  // false: the first choice or an error
  std::optional<market::Sort> sort;
  Proof proof;
};

inline constexpr std::uint32_t kChoicesMax = 16;

struct ApiRequest {
  enum class Kind { chat, text };
  Kind kind = Kind::chat;
  std::string model;
  // Chat: messages. Text: a string, or token ids taken as they are.
  std::variant<std::vector<engine::ChatMessage>, std::string, std::vector<std::uint32_t>> prompt;
  // Its sampling fields and logprobs only; temperature 1 if the body says nothing, and 0 (arg-max)
  // below 1e-4.
  protocol::Request sampling;
  std::optional<std::uint64_t> seed;        // none: the gateway draws one
  std::optional<std::uint32_t> max_tokens;  // none: what context and cap allow
  std::vector<std::string> stop;            // at most 4
  AnswerShape shape{};                      // response_format
  ToolRequest tools{};
  std::uint32_t n = 1;  // answers, each a request of its own; see kChoicesMax
  bool stream = false, include_usage = false;
  Routing routing;
  std::optional<Delivery> delivery;  // of routing.proof
};

ApiResult<ApiRequest> parse_chat_request(std::string_view body);
ApiResult<ApiRequest> parse_text_request(std::string_view body);
ApiResult<ApiRequest> parse_request(ApiRequest::Kind kind, std::string_view body);
// A chat where it has messages.
ApiResult<ApiRequest> parse_any_request(std::string_view body);

}  // namespace assay::services
