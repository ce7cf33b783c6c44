#include "verify/sampled.hpp"

#include "verify/claim.hpp"
#include "verify/layers_identity.hpp"
#include "verify/sampled_check.hpp"
#include "verify/sampled_journal.hpp"
#include "verify/states.hpp"
#include "verify/trace.hpp"

namespace assay::verify {
namespace {

using protocol::PositionStates;
using protocol::StatesCall;

// Thrown together by one run over one receipt.
class SampledAudit {
 public:
  SampledAudit(const protocol::Request& request, const protocol::Receipt& receipt,
               const protocol::Opening& opening, const Execution& execution,
               const engine::Model& model, StateSource& source, ThreadPool& pool,
               const SampledOptions& options, const Clock& clock)
      : receipt_(receipt),
        opening_(opening),
        model_(model),
        source_(source),
        pool_(pool),
        options_(options),
        clock_(clock),
        request_id_(opening.request),
        check_(execution, claimed_logprobs(request, claim_of(receipt), opening), model,
               options.layers, pool, options.isa),
        journal_(options.journal, request, receipt, options.layers, model.hyper().kv_dim()) {}

  Result<SampledReport> run();

 private:
  Status resume();
  Status step();
  Result<std::vector<PositionStates>> fetch(StatesCall call, std::size_t wanted);
  void check(std::span<const PositionStates> served, std::vector<DonePositions>& done);
  Status leaves_of_the_rest();
  std::optional<Difference::Value> values_of(const Found& found);
  protocol::StatesShape shape() const { return states_shape(model_.hyper()); }
  std::uint32_t done() const { return static_cast<std::uint32_t>(roots_.size()); }
  void give_up(std::string reason) {
    if (!unanswered_) unanswered_ = std::move(reason);
  }
  double seconds_since(std::int64_t ms) const {
    return static_cast<double>(clock_.now_ms() - ms) / 1000;
  }

  const protocol::Receipt& receipt_;
  const protocol::Opening& opening_;
  const engine::Model& model_;
  StateSource& source_;
  ThreadPool& pool_;
  const SampledOptions& options_;
  const Clock& clock_;
  const Hash request_id_;
  SampledCheck check_;
  SampledJournal journal_;
  std::vector<Hash> roots_;  // of the positions done
  std::optional<Found> found_;
  std::optional<std::string> unanswered_;
  SampledReport report_;
};

Result<SampledReport> SampledAudit::run() {
  report_.layers = model_.hyper().layers;
  report_.positions = check_.positions();
  CHECK_OK(resume());
  while (done() < check_.positions() && !found_ && !unanswered_) CHECK_OK(step());
  if (found_ && !unanswered_) CHECK_OK(leaves_of_the_rest());
  if (!unanswered_ && trace_root(roots_, report_.layers) != receipt_.trace_root)
    give_up("the leaves it serves are not those of the trace root it signed");
  if (unanswered_) {
    report_.reason =
        "no verdict: " + *unanswered_ + "; that proves nothing by itself: audit in full";
    return std::move(report_);
  }
  if (!found_) {
    report_.verdict = SampledVerdict::match;
    report_.reason = fmt::format(
        "nothing differs: {} of {} layers over {} positions and the heads of {} recomputed; power "
        "{}/{} against a cheat that knows the draw is made",
        options_.layers.size(), report_.layers, report_.positions, report_.heads,
        options_.layers.size(), report_.layers);
    return std::move(report_);
  }
  report_.verdict = SampledVerdict::mismatch;
  report_.difference = {found_->position, found_->layer, found_->op, values_of(*found_)};
  report_.reason = words(*report_.difference, report_.layers);
  return std::move(report_);
}

Status SampledAudit::resume() {
  TRY(const auto before, journal_.open());
  for (const DonePositions& d : before) {
    if (done() + d.roots.size() > check_.positions())
      return fail(Errc::conflict, "the state is longer than the trace: remove it");
    check_.restore(d.k, d.v);
    roots_.insert(roots_.end(), d.roots.begin(), d.roots.end());
  }
  report_.resumed = done();
  for (std::uint32_t t = 0; t < done(); ++t) report_.heads += check_.has_head(t) ? 1 : 0;
  return {};
}

// As many positions as one call may ask for, and what follows from them.
Status SampledAudit::step() {
  if (options_.progress &&
      !options_.progress(static_cast<double>(done()) / static_cast<double>(check_.positions())))
    return fail(Errc::cancelled, "cancelled");
  const std::size_t each = protocol::states_bytes(check_.call(0, 1), shape());
  std::size_t most = std::max<std::size_t>(protocol::kStatesBytesMax / each, 1);
  if (most > engine::kPassPositions) most = most / engine::kPassPositions * engine::kPassPositions;
  const auto count =
      static_cast<std::uint32_t>(std::min<std::size_t>(most, check_.positions() - done()));
  TRY(const auto served, fetch(check_.call(done(), count), count));
  if (unanswered_) return {};
  for (std::size_t at = 0; at < served.size() && !found_ && !unanswered_;
       at += engine::kPassPositions) {
    const auto tile =
        std::span(served).subspan(at, std::min(engine::kPassPositions, served.size() - at));
    std::vector<DonePositions> finished;
    check(tile, finished);
    for (const DonePositions& d : finished) CHECK_OK(journal_.append(d));
    if (options_.progress &&
        !options_.progress(static_cast<double>(done()) / static_cast<double>(check_.positions())))
      return fail(Errc::cancelled, "cancelled");
  }
  return {};
}

// The wanted number of positions from the call's first one on, or a reason to give up.
Result<std::vector<PositionStates>> SampledAudit::fetch(StatesCall call, std::size_t wanted) {
  call.request = request_id_;
  call.salt_secret = opening_.salt_secret;
  const std::int64_t started = clock_.now_ms();
  std::vector<PositionStates> out;
  const auto take = [&](PositionStates p) -> Status {
    if (out.size() == wanted) return fail(Errc::mismatch, "more positions than were asked for");
    CHECK_OK(check_.check_leaves(p, call.first + static_cast<std::uint32_t>(out.size())));
    out.push_back(std::move(p));
    return {};
  };
  const Status asked = source_.states(call, take);
  report_.provider_seconds += seconds_since(started);
  if (!asked && asked.error().code != Errc::mismatch) return std::unexpected(asked.error());
  if (!asked) give_up(asked.error().message);
  if (asked && out.size() != wanted)
    give_up(fmt::format("{} positions were asked for, {} served", wanted, out.size()));
  return out;
}

void SampledAudit::check(std::span<const PositionStates> served,
                         std::vector<DonePositions>& finished) {
  std::vector<Status> forms(served.size());
  pool_.parallel_for(served.size(), 8, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      forms[i] = check_.check_form(served[i], done() + static_cast<std::uint32_t>(i));
  });
  for (const Status& form : forms)
    if (!form) return give_up(form.error().message);

  const std::int64_t started = clock_.now_ms();
  SampledCheck::Tile tile = check_.run(served);
  report_.arithmetic_seconds += seconds_since(started);
  found_ = std::move(tile.found);
  DonePositions positions{{}, std::move(tile.k), std::move(tile.v)};
  for (const PositionStates& p : served) {
    positions.roots.push_back(position_root(p.leaves));
    report_.heads += check_.has_head(p.position) ? 1 : 0;
  }
  roots_.insert(roots_.end(), positions.roots.begin(), positions.roots.end());
  // A difference is found again by whoever goes on.
  if (!found_) finished.push_back(std::move(positions));
}

// A difference counts once it is known that what was served is what was signed.
Status SampledAudit::leaves_of_the_rest() {
  const StatesCall any{.first = 0, .count = 1};
  const std::size_t most = protocol::kStatesBytesMax / protocol::states_bytes(any, shape());
  while (done() < check_.positions() && !unanswered_) {
    const auto count =
        static_cast<std::uint32_t>(std::min<std::size_t>(most, check_.positions() - done()));
    TRY(const auto served, fetch({.first = done(), .count = count}, count));
    for (const PositionStates& p : served) roots_.push_back(position_root(p.leaves));
  }
  return {};
}

// Both sides' values of a vector that differs, where the provider serves its own.
std::optional<Difference::Value> SampledAudit::values_of(const Found& found) {
  if (found.tokens) return Difference::Value{0, found.tokens->first, found.tokens->second};
  if (found.ours.empty()) return std::nullopt;
  const bool half = is_half(found.op);
  StatesCall call{.first = found.position, .count = 1};
  if (found.op == "x") call.states = {found.layer + 1};
  if (found.op == "embedding") call.states = {0};
  if (half || found.op == "lg") call.rows = {found.layer};
  const auto reply = fetch(call, 1);
  if (!reply || reply->size() != 1) return std::nullopt;
  const PositionStates& p = reply->front();
  Bytes theirs;
  if (!p.states.empty()) theirs = p.states.front();
  if (!p.rows.empty()) theirs = found.op == "vh" ? p.rows.front().second : p.rows.front().first;
  if (theirs.size() != found.ours.size()) return std::nullopt;
  if (root_of_bytes(theirs, half) != found.theirs) return std::nullopt;
  return first_differing(found.ours, theirs, half);
}

Status check_sampled_identity(const protocol::Request& request, const engine::Model& model,
                              ThreadPool& pool, const SampledOptions& options) {
  TRY(const auto id, layers_execution_id(model, options.layers, options.tensor_leaves, pool));
  if (protocol::struct_hash(id) != request.execution)
    return fail(Errc::mismatch,
                "the tensor leaves or the program are not those the receipt is about: get leaves "
                "and file whose execution id is the receipt's (`assay model id` shows a file's)");
  return {};
}

}  // namespace

Result<SampledReport> sampled_audit(const protocol::Request& request,
                                    const protocol::Receipt& receipt,
                                    const protocol::Opening& opening, const engine::Model& model,
                                    StateSource& source, ThreadPool& pool,
                                    const SampledOptions& options, const Clock& clock) {
  const std::int64_t started = clock.now_ms();
  const Claim claim = claim_of(receipt);
  CHECK_OK(check_opening(request, claim, opening));
  for (const std::uint32_t layer : options.layers)
    if (layer >= model.hyper().layers)
      return fail(Errc::invalid, "the model has layers 0 to {}, there is no layer {}",
                  model.hyper().layers - 1, layer);
  CHECK_OK(check_sampled_identity(request, model, pool, options));
  const auto wrong = [](std::string reason) {
    SampledReport report;
    report.verdict = SampledVerdict::mismatch;
    report.reason = std::move(reason);
    return report;
  };
  if (auto reason = impossible(request, claim, opening)) return wrong(std::move(*reason));
  if (claim.fault())
    return fail(Errc::unsupported,
                "this receipt ends in a numeric fault, which only a full audit places: leave out "
                "--layers");
  TRY(engine::Sampling sampling, sampling_of(request, opening.automaton, model));
  const Execution execution{std::move(sampling), opening.salt_secret,  opening.prompt,
                            opening.answer,      request.continuation, false,
                            request.logprobs};
  if (auto fits = check_fits(execution, model.hyper()); !fits)
    return wrong("no execution of this request exists: " + fits.error().message);
  TRY(SampledReport report,
      SampledAudit(request, receipt, opening, execution, model, source, pool, options, clock)
          .run());
  report.seconds = static_cast<double>(clock.now_ms() - started) / 1000;
  return report;
}

}  // namespace assay::verify
