#include "verify/audit.hpp"

#include <bit>

#include "protocol/tokens.hpp"
#include "verify/claim.hpp"
#include "verify/identity.hpp"

namespace assay::verify {
namespace {

std::string place(std::uint32_t position, std::uint32_t layer, std::uint32_t layers) {
  return layer == layers ? fmt::format("position {}, head", position)
                         : fmt::format("position {}, layer {}", position, layer);
}

AuditReport mismatch(std::string reason) {
  AuditReport report;
  report.reason = std::move(reason);
  return report;
}

Status check_identity(const protocol::Request& request, const engine::Model& model,
                      ThreadPool& pool, const AuditOptions& options) {
  auto id = options.identity;
  if (!id) {
    TRY(id, execution_id(model, pool));
  }
  if (protocol::struct_hash(*id) != request.execution)
    return fail(Errc::mismatch,
                "this model file is not the one the receipt is about: get the file whose execution "
                "id is the receipt's (`assay model id` shows a file's)");
  return {};
}

// Of the replayed tokens, the first that is not the one in the request or answer.
std::optional<Divergence> first_other_token(const Execution& execution, const Replay& replay) {
  const std::size_t n = execution.prompt.size();
  const auto claimed_at = [&](std::size_t i) -> std::optional<std::uint32_t> {
    if (i < n) return execution.prompt[i];
    if (i - n < execution.answer.size()) return execution.answer[i - n];
    return std::nullopt;
  };
  for (std::size_t i = 0; i < replay.sampled.size(); ++i) {
    const std::size_t position = execution.first_sampled() + i;
    const auto claimed = claimed_at(position + 1);
    if (claimed == replay.sampled[i]) continue;
    Divergence d;
    d.position = static_cast<std::uint32_t>(position);
    d.expected_token = replay.sampled[i];
    d.claimed_token = claimed;
    return d;
  }
  return std::nullopt;
}

// What the replay says where tokens, fault and root are compared without the provider's leaves.
std::optional<Divergence> own_difference(const Execution& execution, const Claim& claimed,
                                         const Replay& replay) {
  auto token = first_other_token(execution, replay);
  // After m > 0 tokens a fault can only be met at the last position; in a prompt anywhere.
  const bool elsewhere = claimed.fault() && claimed.count > 0 && replay.fault &&
                         replay.fault->position + 1 < execution.positions();
  if (!token && replay.fault && (!claimed.fault() || elsewhere)) {
    Divergence d;
    d.position = replay.fault->position;
    d.layer = replay.fault->layer;
    return d;
  }
  return token;
}

std::string describe(const Divergence& d, const Claim& claimed, const Replay& replay,
                     std::uint32_t layers) {
  if (replay.fault && replay.fault->position == d.position && !claimed.fault())
    return fmt::format("the replay meets a numeric fault at {}, the receipt has none",
                       place(d.position, replay.fault->layer, layers));
  if (d.expected_token && d.claimed_token)
    return fmt::format(
        "diverges at {}: the model chooses token {}, the answer has {}",
        d.layer ? place(d.position, *d.layer, layers) : fmt::format("position {}", d.position),
        *d.expected_token, *d.claimed_token);
  if (d.expected_token)
    return fmt::format(
        "the receipt ends in a numeric fault, the replay meets none and chooses token {} at "
        "position "
        "{}",
        *d.expected_token, d.position);
  if (d.layer) return fmt::format("diverges at {}", place(d.position, *d.layer, layers));
  return fmt::format("diverges at position {}", d.position);
}

// The first answer token whose log-probabilities are not the replayed ones; the tokens are equal.
std::optional<Divergence> other_logprob(const protocol::Request& request, const Replay& replay,
                                        std::span<const std::uint32_t> claimed) {
  const auto [ours, theirs] = std::ranges::mismatch(replay.logprobs, claimed);
  if (ours == replay.logprobs.end() && theirs == claimed.end()) return std::nullopt;
  const auto token =
      static_cast<std::uint32_t>(ours - replay.logprobs.begin()) / protocol::logprob_width(request);
  Divergence d;
  d.position = request.prompt_count - 1 + token;
  d.logprobs = true;
  return d;
}

std::string describe_logprob(const Divergence& d, const Execution& execution, const Replay& replay,
                             std::span<const std::uint32_t> claimed) {
  const std::size_t width = 2 * execution.logprobs - 1;
  const std::size_t at = (d.position - (execution.prompt.size() - 1)) * width;
  const float ours = std::bit_cast<float>(replay.logprobs[at]);
  const float theirs = std::bit_cast<float>(claimed[at]);
  if (std::bit_cast<std::uint32_t>(ours) == std::bit_cast<std::uint32_t>(theirs))
    return fmt::format("diverges at position {}: the likeliest alternatives are not the model's",
                       d.position);
  return fmt::format("diverges at position {}: the chosen token's log-probability is {}, not {}",
                     d.position, ours, theirs);
}

Execution execution_of(const protocol::Request& request, const Claim& claimed,
                       const protocol::Opening& opening, engine::Sampling sampling) {
  return {std::move(sampling),  opening.salt_secret,
          opening.prompt,       std::span(opening.answer).first(claimed.count),
          request.continuation, claimed.fault(),
          request.logprobs};
}

AuditReport compare(const protocol::Request& request, const Claim& claimed,
                    const protocol::Opening& opening, std::uint32_t layers, Replay run) {
  const Execution execution = execution_of(request, claimed, opening, {});
  const auto logprobs = claimed_logprobs(request, claimed, opening);
  AuditReport report;
  report.trace = std::make_shared<const TraceBuilder>(std::move(run.trace));
  report.positions = report.trace->positions();
  report.expected_trace_root = report.trace->root();
  report.divergence = own_difference(execution, claimed, run);
  if (!report.divergence && report.expected_trace_root == claimed.trace_root) {
    report.divergence = other_logprob(request, run, logprobs);
    report.match = !report.divergence;
    report.reason = report.match ? fmt::format(
                                       "match: {} positions × {} layers re-executed, every "
                                       "bit equal",
                                       report.positions, layers)
                                 : describe_logprob(*report.divergence, execution, run, logprobs);
    return report;
  }
  // The provider's own roots may place the difference earlier than the first wrong token.
  const auto token = report.divergence;
  auto served = first_difference(*report.trace, opening, claimed.trace_root, layers);
  if (served && (!token || served->position <= token->position)) {
    if (token && served->position == token->position) {
      served->expected_token = token->expected_token;
      served->claimed_token = token->claimed_token;
    }
    report.divergence = served;
  }
  report.reason = report.divergence ? describe(*report.divergence, claimed, run, layers)
                                    : "every token is the model's, but the trace root differs: the "
                                      "states behind the answer are not the model's";
  if (token && token->claimed_token && token->position > report.divergence->position)
    report.reason += fmt::format("; at position {} the model chooses token {}, the answer has {}",
                                 token->position, *token->expected_token, *token->claimed_token);
  return report;
}

Result<AuditReport> audit(const protocol::Request& request, const Claim& claimed,
                          const protocol::Opening& opening,
                          std::shared_ptr<const engine::Model> model, ThreadPool& pool,
                          const AuditOptions& options, const Clock& clock) {
  CHECK_OK(check_opening(request, claimed, opening));
  CHECK_OK(check_identity(request, *model, pool, options));
  if (auto reason = impossible(request, claimed, opening)) return mismatch(std::move(*reason));

  TRY(engine::Sampling sampling, sampling_of(request, opening.automaton, *model));

  const std::int64_t started_ms = clock.now_ms();
  const std::uint32_t layers = model->hyper().layers;
  auto run = replay(execution_of(request, claimed, opening, std::move(sampling)), std::move(model),
                    pool, options.isa, options.progress, options.kv_bytes_max, options.journal);
  if (!run && run.error().code == Errc::invalid)
    return mismatch("no execution of this request exists: " + run.error().message);
  if (!run) return std::unexpected(run.error());
  const double seconds = static_cast<double>(clock.now_ms() - started_ms) / 1000;
  AuditReport report = compare(request, claimed, opening, layers, std::move(*run));
  report.seconds = seconds;
  return report;
}

}  // namespace

std::optional<Divergence> first_difference(const TraceBuilder& ours,
                                           const protocol::Opening& opening,
                                           const Hash& signed_root, std::uint32_t layers) {
  const auto& theirs = opening.position_roots;
  const auto depth = theirs.empty() ? std::nullopt : layers_behind(theirs, signed_root);
  if (!depth) return std::nullopt;
  const auto roots = ours.position_roots();
  auto [mine, other] = std::ranges::mismatch(roots, theirs);
  // Of another depth, no position is the model's.
  if (*depth != layers) mine = roots.begin(), other = theirs.begin();
  if (mine == roots.end() && other == theirs.end()) return std::nullopt;
  Divergence d;
  d.position = static_cast<std::uint32_t>(mine - roots.begin());
  const auto opened =
      std::ranges::find(opening.positions, d.position, &protocol::TracePosition::position);
  if (opened == opening.positions.end() || other == theirs.end() ||
      position_root(opened->leaves) != *other)
    return d;
  const auto leaves = ours.leaves(d.position);
  const auto [mine_leaf, other_leaf] = std::ranges::mismatch(leaves, opened->leaves);
  d.layer = static_cast<std::uint32_t>(mine_leaf - leaves.begin());
  if (mine_leaf != leaves.end()) d.expected = *mine_leaf;
  if (other_leaf != opened->leaves.end()) d.claimed = *other_leaf;
  return d;
}

Result<AuditReport> judge_replay(const protocol::Request& request, const protocol::Receipt& receipt,
                                 const protocol::Opening& opening, std::uint32_t layers,
                                 std::optional<Replay> run) {
  const Claim claimed = claim_of(receipt);
  CHECK_OK(check_opening(request, claimed, opening));
  if (auto reason = impossible(request, claimed, opening)) return mismatch(std::move(*reason));
  if (!run) return mismatch("no execution of this request exists: its tokens do not fit the model");
  return compare(request, claimed, opening, layers, std::move(*run));
}

Result<AuditReport> replay_audit(const protocol::Request& request, const protocol::Receipt& receipt,
                                 const protocol::Opening& opening,
                                 std::shared_ptr<const engine::Model> model, ThreadPool& pool,
                                 const AuditOptions& options, const Clock& clock) {
  return audit(request, claim_of(receipt), opening, std::move(model), pool, options, clock);
}

Result<AuditReport> replay_audit(const protocol::Request& request,
                                 const protocol::Progress& progress,
                                 const protocol::Opening& opening,
                                 std::shared_ptr<const engine::Model> model, ThreadPool& pool,
                                 const AuditOptions& options, const Clock& clock) {
  return audit(request, claim_of(progress), opening, std::move(model), pool, options, clock);
}

}  // namespace assay::verify
