// The fields of an API body that say how the next token is chosen, and whose probabilities are
// wanted: OpenAI's, and those that most other servers add (top_k, min_p, repetition_penalty).
#pragma once
#include "services/gateway/api_fields.hpp"

namespace assay::services {

// Every sampling field but the seed. Refusals name the field and its range.
ApiResult<void> read_filters(const Fields& fields, protocol::Request& out);

// As protocol::Request::logprobs. Chat: logprobs (boolean) and top_logprobs; text: logprobs (a
// count).
ApiResult<std::uint32_t> read_chat_logprobs(const Fields& fields);
ApiResult<std::uint32_t> read_text_logprobs(const Fields& fields);

}  // namespace assay::services
