// One sequence: a KV cache and the forward pass over it.
//
// run() is the only way in. Prefill of n tokens and n runs of one token give the same bits, sink
// calls included, whatever the thread count or instruction set.
#pragma once
#include <functional>
#include <memory>

#include "base/thread_pool.hpp"
#include "engine/isa.hpp"
#include "engine/model.hpp"
#include "engine/sampler.hpp"
#include "engine/types.hpp"

namespace assay::engine {

class Session {
 public:
  // capacity: positions the cache can hold, ≤ context. pool and model must outlive the session.
  Session(std::shared_ptr<const Model> model, ThreadPool& pool, Isa isa, std::uint32_t capacity);
  ~Session();

  struct Outcome {
    std::vector<Token> sampled;          // one for each position ≥ sample_from of this call
    std::vector<HeadLogprobs> logprobs;  // as many, if asked for
    std::optional<NumericFault> fault;   // then sampled ends before it; the session is finished
  };
  // Evaluates tokens at positions [position(), position() + n). Where a position ≥ sample_from, the
  // head is computed and the token for the next position is chosen. sample_from past the end: none.
  // Requires n ≥ 1, position() + n ≤ capacity, every id < vocab (checked by the caller).
  // logprobs as in Slice.
  Outcome run(std::span<const Token> tokens, std::uint32_t sample_from, const Sampling& sampling,
              StateSink* sink = nullptr, std::uint32_t logprobs = 0);
  // In place of a run over these tokens: takes the rows a sink was given of them, k and v each
  // [token][layer][kv_dim].
  void restore(std::span<const Token> tokens, std::span<const std::uint16_t> k,
               std::span<const std::uint16_t> v);
  std::uint32_t position() const;
  std::uint32_t remaining() const;  // positions left in the cache

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// prompt → answer: stops at a stop id (kept in the answer), max_tokens or the end of the cache
// (length), a fault, or when `keep_going` (may be empty) returns false after a token. The last
// token of the answer is not evaluated. Requires a prompt of 1 … remaining() tokens.
enum class Finish { stop, length, fault, cancelled };
struct Generation {
  std::vector<Token> answer;
  std::vector<HeadLogprobs> logprobs;  // as many, if asked for
  Finish finish = Finish::length;
  std::optional<NumericFault> fault;
};
struct GenerationLimits {
  std::uint32_t max_tokens = 0;
  std::span<const Token> stop_ids;
  std::uint32_t logprobs = 0;  // as in Slice
};
Generation generate(Session& session, std::span<const Token> prompt, const GenerationLimits& limits,
                    const Sampling& sampling, StateSink* sink,
                    const std::function<bool(Token)>& keep_going);

}  // namespace assay::engine
