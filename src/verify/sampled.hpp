// Sampled audit of a receipt (spec/trace.md, "Sampled audit"): embedding, head and sampling at
// every output position, and some layers over all positions, recomputed from states the provider
// serves and compared bit for bit with what it signed. No other layer's weights are read.
//
// Power: an adaptive cheat that touches c of L layers is met with probability c·k/L at most; one
// layer is enough, so k/L is all that may be claimed. A full audit is the only certainty.
#pragma once
#include <optional>

#include "base/clock.hpp"
#include "protocol/files.hpp"
#include "protocol/states.hpp"
#include "verify/difference.hpp"
#include "verify/replay.hpp"

namespace assay::verify {

// Where the provider's states come from.
struct StateSource {
  virtual ~StateSource() = default;
  // Gives what the provider answers, as it comes; an error of `take` ends it with that error.
  using Take = std::function<Status(protocol::PositionStates)>;
  virtual Status states(const protocol::StatesCall& call, const Take& take) = 0;
};

// match: nothing checked differs. mismatch: the provider's own commitments contradict the model,
// whatever else it may say. unanswered: what it served is not what it signed, or not what was asked
// for: no verdict; audit in full.
enum class SampledVerdict { match, mismatch, unanswered };

struct SampledReport {
  SampledVerdict verdict = SampledVerdict::unanswered;
  std::string reason;  // one line in words
  std::optional<Difference> difference;
  std::uint32_t layers = 0, positions = 0, heads = 0;
  std::uint32_t resumed = 0;  // positions an earlier run had done
  // In all; of that the passes over layers and heads; waiting for the provider.
  double seconds = 0, arithmetic_seconds = 0, provider_seconds = 0;
};

struct SampledOptions {
  engine::Isa isa = engine::best_isa();
  ReplayProgress progress;              // false cancels; may be empty
  std::vector<std::uint32_t> layers;    // ascending, each below the layer count; may be empty
  std::span<const Hash> tensor_leaves;  // layers_identity.hpp
  AuditJournal* journal = nullptr;
};

// The model was loaded whole or with these layers. Errors: mismatch when opening, model or tensor
// leaves are not the receipt's; unsupported for a receipt that ends in a numeric fault (only a full
// audit places it); conflict when the journal is another audit's; the source's own; cancelled.
Result<SampledReport> sampled_audit(const protocol::Request& request,
                                    const protocol::Receipt& receipt,
                                    const protocol::Opening& opening, const engine::Model& model,
                                    StateSource& source, ThreadPool& pool,
                                    const SampledOptions& options, const Clock& clock);

}  // namespace assay::verify
