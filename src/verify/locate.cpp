#include "verify/locate.hpp"

#include "verify/referee/opening.hpp"
#include "verify/states.hpp"

namespace assay::verify {
namespace {

using protocol::PositionStates;
using protocol::StatesCall;

class Locator {
 public:
  Locator(const TraceBuilder& ours, const Execution& execution, const Hash& request,
          std::shared_ptr<const engine::Model> model, StateSource& source)
      : ours_(ours),
        execution_(execution),
        request_(request),
        model_(std::move(model)),
        source_(source),
        layers_(model_->hyper().layers) {}

  // The first leaf that differs.
  struct Place {
    std::uint32_t position, leaf;
    Hash theirs;
  };
  Result<std::optional<Place>> find(const Hash& signed_root);
  Result<Difference> show(const Place& place, ThreadPool& pool, engine::Isa isa);

 private:
  Result<std::vector<PositionStates>> fetch(StatesCall call);
  Status opens(const PositionStates& p, const Place& place) const;

  const TraceBuilder& ours_;
  const Execution& execution_;
  const Hash& request_;
  std::shared_ptr<const engine::Model> model_;
  StateSource& source_;
  const std::uint32_t layers_;
};

std::unexpected<Error> not_signed() {
  return fail(Errc::mismatch, "what the provider serves of its trace is not what it signed");
}

Result<std::vector<PositionStates>> Locator::fetch(StatesCall call) {
  call.request = request_;
  call.salt_secret = execution_.salt_secret;
  std::vector<PositionStates> out;
  CHECK_OK(source_.states(call, [&](PositionStates p) -> Status {
    if (out.size() == call.count || p.position != call.first + out.size()) return not_signed();
    out.push_back(std::move(p));
    return {};
  }));
  if (out.size() != call.count) return not_signed();
  return out;
}

Result<std::optional<Locator::Place>> Locator::find(const Hash& signed_root) {
  const StatesCall any{.first = 0, .count = 1};
  const std::size_t most =
      protocol::kStatesBytesMax / protocol::states_bytes(any, states_shape(model_->hyper()));
  const std::size_t positions = execution_.positions();
  std::vector<Hash> roots;
  std::optional<Place> place;
  while (roots.size() < positions) {
    const auto first = static_cast<std::uint32_t>(roots.size());
    const auto count = static_cast<std::uint32_t>(std::min(most, positions - first));
    TRY(const auto served, fetch({.first = first, .count = count}));
    for (const PositionStates& p : served) {
      roots.push_back(position_root(p.leaves));
      if (place) continue;
      const std::vector<Hash> mine = ours_.leaves(p.position);
      const auto differing = std::ranges::mismatch(mine, p.leaves);
      if (differing.in1 == mine.end() || differing.in2 == p.leaves.end()) {
        if (mine.size() != p.leaves.size()) return not_signed();
        continue;
      }
      place = Place{p.position, static_cast<std::uint32_t>(differing.in1 - mine.begin()),
                    *differing.in2};
    }
  }
  if (trace_root(roots, layers_) != signed_root) return not_signed();
  return place;
}

// What is served of the leaf hashes to it.
Status Locator::opens(const PositionStates& p, const Place& place) const {
  if (p.states.size() != 1 || p.roots.size() != 1 || p.rows.size() != 1 || !p.roots[0])
    return not_signed();
  const protocol::LeafRoots& r = *p.roots[0];
  const Hash salt = leaf_salt(execution_.salt_secret, place.position, place.leaf);
  const bool head = place.leaf == layers_;
  const Hash leaf = head ? head_leaf(place.position, salt, r.x, r.second, r.token)
                         : cell_leaf(place.position, place.leaf, salt, r.x, r.second, r.third);
  const auto is = [](const Bytes& values, bool half, std::size_t count, const Hash& root) {
    return values.size() == count * (half ? 2 : 4) && root_of_bytes(values, half) == root;
  };
  const engine::Hyper& hyper = model_->hyper();
  const std::size_t kv = hyper.kv_dim();
  if (leaf != place.theirs || !is(p.states[0], false, hyper.dim, r.x) ||
      !is(p.rows[0].first, !head, head ? hyper.vocab : kv, r.second) ||
      (!head && !is(p.rows[0].second, true, kv, r.third)))
    return not_signed();
  return {};
}

Result<Difference> Locator::show(const Place& place, ThreadPool& pool, engine::Isa isa) {
  const StatesCall call{.first = place.position,
                        .count = 1,
                        .states = {place.leaf},
                        .roots = {place.leaf},
                        .rows = {place.leaf}};
  TRY(const auto served, fetch(call));
  const PositionStates& theirs = served.front();
  CHECK_OK(opens(theirs, place));
  StatesRecorder recorder(execution_.salt_secret, layers_, call);
  const auto tokens = evaluated_tokens(execution_);
  engine::Session session(model_, pool, isa, place.position + 1);
  session.run(std::span(tokens).first(std::size_t{place.position} + 1),
              static_cast<std::uint32_t>(execution_.first_sampled()), execution_.sampling,
              &recorder);
  const auto mine = recorder.take(0);
  if (!mine) return fail(Errc::internal, "the position is not evaluated again");

  const bool head = place.leaf == layers_;
  Difference out{place.position, place.leaf, "tok", std::nullopt};
  const auto differs = [&](const Bytes& a, const Bytes& b, std::string_view op) {
    out.value = first_differing(a, b, is_half(op));
    if (out.value) out.op = op;
    return out.value.has_value();
  };
  if (differs(mine->states[0], theirs.states[0], place.leaf == 0 ? "embedding" : "x")) {
    // What enters a layer is what left the one before.
    if (place.leaf > 0) --out.layer;
  } else if (!differs(mine->rows[0].first, theirs.rows[0].first, head ? "lg" : "kh") &&
             !differs(mine->rows[0].second, theirs.rows[0].second, "vh")) {
    out.value = Difference::Value{0, mine->roots[0]->token, theirs.roots[0]->token};
  }
  return out;
}

}  // namespace

Result<std::optional<Difference>> locate_difference(const TraceBuilder& ours,
                                                    const Execution& execution, const Hash& request,
                                                    const Hash& signed_root,
                                                    std::shared_ptr<const engine::Model> model,
                                                    StateSource& source, ThreadPool& pool,
                                                    engine::Isa isa) {
  Locator locator(ours, execution, request, std::move(model), source);
  TRY(const auto place, locator.find(signed_root));
  if (!place) return std::nullopt;
  TRY(Difference difference, locator.show(*place, pool, isa));
  return difference;
}

}  // namespace assay::verify
