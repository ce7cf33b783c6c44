// One request computed by the canonical engine: tokens as they come, then everything a receipt says
// but its key sequence.
#pragma once
#include <functional>

#include "engine/batcher.hpp"
#include "protocol/inference.hpp"
#include "services/provider/provider_store.hpp"
#include "verify/trace.hpp"

namespace assay::services {

struct RunEvents {
  // Now and then while it waits for its turn or the prompt is being read: nothing to say yet.
  // false: the client left. It does not wait on then; but once the prompt is being read, the answer
  // ends with its first token, and is billed.
  std::function<bool()> working;
  // false: the client left; the answer ends with what the engine has chosen by then.
  std::function<bool(const protocol::TokenEvent& token)> token;
  std::function<void(const protocol::Progress& progress)> progress;
  // Asked all the time: the provider is shutting down. An answer that has begun ends as for a
  // client that left; one that has not is not owed.
  std::function<bool()> stopping = [] { return false; };
};

struct RunResult {
  std::vector<std::uint32_t> answer, logprobs;  // protocol/tokens.hpp
  protocol::Receipt receipt;                    // without key sequence
};

// The call must have been checked (fits()). Errors: mismatch when the engine chooses another token
// than the prompt's continuation has, naming the position; cancelled when the client left before
// its turn; unavailable when the provider shut down before the first token. Nothing is owed then.
Result<RunResult> run_request(const protocol::InferenceCall& call, const Hash& request_id,
                              engine::Batcher& engine, engine::Batcher::Place place,
                              std::uint32_t progress_tokens, const RunEvents& events);

// An answer once given, computed again by one prefill behind all paying work. Errors: cancelled
// when `gone` says so; unavailable when paying work wants its memory; internal when this model does
// not give that answer.
struct Given {
  const protocol::Request& request;
  const Hash& salt_secret;
  std::span<const std::uint32_t> prompt, answer;
  bool ends_in_fault;
  ByteView automaton{};
};
// A request that has its outcome. Views into it.
Given given_by(const StoredRequest& stored);
struct Recomputed {
  engine::StateSink& sink;
  std::size_t positions = SIZE_MAX;       // from 0; as many as there are at most
  std::uint32_t fresh_from = UINT32_MAX;  // as in BatchRequest
};
Status recompute(const Given& given, engine::Batcher& engine, const Recomputed& what,
                 const std::function<bool()>& gone);

// How a model is computed for this service, which signs what comes out. This one is the canonical
// engine; another (out of process, on another device) overrides both, and has to give the same
// bits: nothing else would survive an audit. Called from many threads at once.
class Computer {
 public:
  virtual ~Computer() = default;
  // As run_request: an answer, each token told as it comes, and all of its receipt but the key
  // sequence. The batcher serves this model; `place` is the request's until run() returns.
  virtual Result<RunResult> run(const protocol::InferenceCall& call, const Hash& request_id,
                                engine::Batcher& engine, engine::Batcher::Place place,
                                std::uint32_t progress_tokens, const RunEvents& events);
  // As recompute: the states behind an answer given before, for openings.
  virtual Status again(const Given& given, engine::Batcher& engine, const Recomputed& what,
                       const std::function<bool()>& gone);
};

// Every prompt token and every token the sampling names is in the vocabulary, prompt and answer fit
// the context, and a constraint is one this model can answer under (verify/constraint.hpp).
Status fits(const protocol::InferenceCall& call, const engine::Model& model);

}  // namespace assay::services
