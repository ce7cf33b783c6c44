// Re-execution of a receipt: one prefill of prompt + answer, compared bit for bit.
#pragma once
#include <memory>
#include <optional>

#include "base/clock.hpp"
#include "protocol/files.hpp"
#include "verify/replay.hpp"

namespace assay::verify {

// Where the receipt and the replay first differ.
struct Divergence {
  std::uint32_t position = 0;
  // Known when the opening carries the provider's leaves of that position. layer == layer count
  // means the head; expected/claimed are the two leaf hashes then.
  std::optional<std::uint32_t> layer;
  // Set where the chosen token itself differs (position is where it was sampled).
  std::optional<std::uint32_t> expected_token, claimed_token;
  // Token and states are the model's, the log-probabilities of the token sampled here are not.
  bool logprobs = false;
  Hash expected{}, claimed{};
};

struct AuditReport {
  bool match = false;
  std::string reason;                    // one line in words
  std::optional<Divergence> divergence;  // known on most mismatches
  Hash expected_trace_root{};
  std::uint32_t positions = 0;  // replayed
  double seconds = 0;
  // Our own states, for comparing with leaves the provider serves afterwards (first_difference).
  // Null where nothing was replayed.
  std::shared_ptr<const TraceBuilder> trace;
};

struct AuditOptions {
  engine::Isa isa = engine::best_isa();
  ReplayProgress progress;  // false cancels; may be empty
  // The model's identity, if the caller has computed it already.
  std::optional<protocol::ExecutionId> identity;
  // Most the replay's KV cache may take; beyond it: refused.
  std::size_t kv_bytes_max = kReplayKvBytes;
  AuditJournal* journal = nullptr;  // as of replay()
};

// Checks that the opening belongs to request and receipt (salt, prompt root, stop ids, tape root,
// log-probability root), then
// replays with this model, whose identity must equal the request's execution id (mismatch error
// otherwise: that is the caller's model, not the provider's fault).
// Errors are about inputs; a dishonest receipt is a report with match == false. So is one for a
// request of which no execution exists: nobody honest signs that.
Result<AuditReport> replay_audit(const protocol::Request& request, const protocol::Receipt& receipt,
                                 const protocol::Opening& opening,
                                 std::shared_ptr<const engine::Model> model, ThreadPool& pool,
                                 const AuditOptions& options, const Clock& clock);
// The same for a progress message; the opening's answer is the first `count` tokens, or more.
Result<AuditReport> replay_audit(const protocol::Request& request,
                                 const protocol::Progress& progress,
                                 const protocol::Opening& opening,
                                 std::shared_ptr<const engine::Model> model, ThreadPool& pool,
                                 const AuditOptions& options, const Clock& clock);

// The same verdict from a replay that was done already, with a model whose identity is the
// request's and of this number of layers; nullopt: there is none, because the tokens or the
// sampling do not fit the model. Errors: mismatch, the opening's fault.
Result<AuditReport> judge_replay(const protocol::Request& request, const protocol::Receipt& receipt,
                                 const protocol::Opening& opening, std::uint32_t layers,
                                 std::optional<Replay> run);

// Where the opening's provider leaves first differ from a trace of our own: by position from the
// position roots, by layer where the leaves of that position were served. Nothing when the roots
// were not served or are not the ones `signed_root` commits to.
std::optional<Divergence> first_difference(const TraceBuilder& ours,
                                           const protocol::Opening& opening,
                                           const Hash& signed_root, std::uint32_t layers);

}  // namespace assay::verify
