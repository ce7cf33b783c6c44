// Re-execution of a request's tokens as one prefill: what an audit compares, and what a provider
// recomputes when it is asked for a trace.
#pragma once
#include <functional>

#include "base/thread_pool.hpp"
#include "engine/session.hpp"
#include "protocol/messages.hpp"
#include "verify/constraint.hpp"
#include "verify/journal.hpp"
#include "verify/trace.hpp"

namespace assay::verify {

// Prompt of n tokens, c of them a continuation, answer of m: positions 0 … n+m-2 are evaluated and
// sampled from n-c-1 on; after a numeric fault position n+m-1, where it was met, too.
struct Execution {
  engine::Sampling sampling;
  Hash salt_secret{};
  std::span<const std::uint32_t> prompt, answer;
  std::uint32_t continuation = 0;
  bool ends_in_fault = false;
  std::uint32_t logprobs = 0;  // as a request asks for them
  // How many positions that is. Requires a prompt, and an answer unless it ends in a fault.
  std::size_t positions() const { return prompt.size() + answer.size() - (ends_in_fault ? 0 : 1); }
  std::size_t first_sampled() const { return prompt.size() - continuation - 1; }
};

// Appends one token's numbers as protocol/tokens.hpp has them.
void append_logprobs(const engine::HeadLogprobs& head, std::vector<std::uint32_t>& out);

// What a replay chooses and meets; nothing in it depends on a salt.
struct Rerun {
  std::vector<engine::Token> sampled;  // at positions first_sampled() …; ends before a fault
  std::vector<std::uint32_t>
      logprobs;  // of the answer's tokens (protocol/tokens.hpp), if asked for
  std::optional<engine::NumericFault> fault;
};
struct Replay : Rerun {
  TraceBuilder trace;
};

// The sampling names only tokens of the vocabulary, and no more alternatives than it has.
Status check_vocabulary(const engine::Sampling& sampling, std::uint32_t logprobs,
                        std::uint32_t vocab);

// Of a prompt with a token of its own, and an answer or a fault (asserted). invalid when the tokens
// or the sampling do not fit the model: vocabulary, context.
Status check_fits(const Execution& execution, const engine::Hyper& hyper);
// The tokens at its positions.
std::vector<engine::Token> evaluated_tokens(const Execution& execution);

// false cancels. May be empty.
using ReplayProgress = std::function<bool(double fraction)>;

// Most a replay's KV cache takes where nobody says otherwise. Evidence comes from strangers: how
// long it is must not decide how much memory its reader needs.
inline constexpr std::size_t kReplayKvBytes = std::size_t{2} << 30;
// Errors: refused when so many positions take more.
Status check_kv_memory(std::size_t positions, const engine::Hyper& hyper, engine::Isa isa,
                       std::size_t kv_bytes_max);

// Errors: invalid when the tokens or the sampling do not fit the model (vocabulary, context),
// refused when the KV cache would take more than kv_bytes_max, cancelled. A journal lets another
// run of the same replay go on where this one ended; conflict: it is of another replay.
Result<Replay> replay(const Execution& execution, std::shared_ptr<const engine::Model> model,
                      ThreadPool& pool, engine::Isa isa, const ReplayProgress& progress,
                      std::size_t kv_bytes_max = kReplayKvBytes, AuditJournal* journal = nullptr);

// The same into any sink; the execution's salt secret plays no part.
Result<Rerun> replay_into(const Execution& execution, std::shared_ptr<const engine::Model> model,
                          ThreadPool& pool, engine::Isa isa, const ReplayProgress& progress,
                          std::size_t kv_bytes_max, engine::StateSink& sink);

}  // namespace assay::verify
