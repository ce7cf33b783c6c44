// One request computed by the canonical engine: tokens as they come, then everything a receipt says
// but its key sequence.
#pragma once
#include <functional>

#include "base/thread_pool.hpp"
#include "engine/session.hpp"
#include "protocol/inference.hpp"

namespace assay::services {

struct RunOptions {
  engine::Isa isa = engine::best_isa();
  std::uint32_t progress_tokens = 16;
};

struct RunEvents {
  // Between pieces of the prompt: work goes on, nothing to say yet.
  std::function<void()> working;
  // false: the client left; the answer ends with this token.
  std::function<bool(std::uint32_t token)> token;
  std::function<void(const protocol::Progress& progress)> progress;
};

struct RunResult {
  std::vector<std::uint32_t> answer;
  protocol::Receipt receipt;  // without key sequence
};

// The prompt's own tokens and context must have been checked (fits()). A client that leaves during
// the prompt is noticed at the first token. Errors: mismatch when the engine chooses another token
// than the prompt's continuation has, naming the position; nothing is owed then.
Result<RunResult> run_request(const protocol::InferenceCall& call, const Hash& request_id,
                              std::shared_ptr<const engine::Model> model, ThreadPool& pool,
                              const RunOptions& options, const RunEvents& events);

// Every prompt token is in the vocabulary, prompt and answer fit the context.
Status fits(const protocol::InferenceCall& call, const engine::Hyper& hyper);

}  // namespace assay::services
