#include "verify/sampled_check.hpp"

#include <algorithm>

#include "engine/weights.hpp"
#include "verify/referee/opening.hpp"
#include "verify/trace.hpp"

namespace assay::verify {
namespace {

using protocol::PositionStates;

std::vector<float> floats_of(ByteView bytes) {
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

// Row `i` of a matrix [row][width].
template <class T>
std::span<const T> row_of(const std::vector<T>& rows, std::size_t i, std::size_t width) {
  return std::span(rows).subspan(i * width, width);
}

// Roots of logits as they come, and the first logits that are not the committed ones.
struct LogitsSink : engine::StateSink {
  LogitsSink(std::span<const PositionStates> heads, std::size_t of_head)
      : served(heads), index(of_head), parts(heads.size()) {}

  void cell(std::uint32_t, std::uint32_t, std::span<const float>, std::span<const std::uint16_t>,
            std::span<const std::uint16_t>) override {}
  void expect_logits(std::uint32_t position, std::size_t count) override {
    parts[position - served.front().position].resize((count + engine::kLogitsPart - 1) /
                                                     engine::kLogitsPart);
  }
  void logits(std::uint32_t position, std::size_t part, std::span<const float> values) override {
    parts[position - served.front().position][part] = vector_root(values);
  }
  void head(std::uint32_t position, std::span<const float>, std::span<const float> logits,
            engine::Token) override {
    const std::size_t i = position - served.front().position;
    const Hash root = parts[i].empty() ? vector_root(logits) : crypto::merkle_root(parts[i]);
    const Hash& theirs = served[i].roots[index]->second;
    if (found || root == theirs) return;
    found = Found{.position = position, .op = "lg", .ours = raw_bytes(logits), .theirs = theirs};
  }
  void fault(engine::NumericFault) override {}

  std::span<const PositionStates> served;
  const std::size_t index;
  std::vector<std::vector<Hash>> parts;
  std::optional<Found> found;
};

}  // namespace

SampledCheck::SampledCheck(const Execution& execution, std::span<const std::uint32_t> logprobs,
                           const engine::Model& model, std::span<const std::uint32_t> layers,
                           ThreadPool& pool, engine::Isa isa)
    : execution_(execution),
      logprobs_(logprobs),
      model_(model),
      layers_(layers.begin(), layers.end()),
      depth_(model.hyper().layers),
      first_head_(static_cast<std::uint32_t>(execution.first_sampled())),
      tokens_(evaluated_tokens(execution)),
      states_(layers_),
      head_pass_(model, pool, isa, tokens_, execution.sampling, execution.logprobs) {
  states_.push_back(depth_);
  roots_ = {0, depth_};
  for (const std::uint32_t layer : layers_) {
    roots_.insert(roots_.end(), {layer, layer + 1});
    passes_.emplace_back(model, layer, pool, isa, positions());
  }
  std::ranges::sort(roots_);
  const auto twice = std::ranges::unique(roots_);
  roots_.erase(twice.begin(), twice.end());
}

protocol::StatesCall SampledCheck::call(std::uint32_t first, std::uint32_t count) const {
  return {.first = first, .count = count, .states = states_, .roots = roots_, .rows = {}};
}

Status SampledCheck::check_leaves(const PositionStates& p, std::uint32_t position) const {
  if (p.position != position)
    return fail(Errc::mismatch, "position {} is served in place of {}", p.position, position);
  const std::size_t wanted = std::size_t{depth_} + (has_head(position) ? 1 : 0);
  if (p.leaves.size() != wanted)
    return fail(Errc::mismatch, "position {} is served with {} leaves, there are {}", position,
                p.leaves.size(), wanted);
  return {};
}

Status SampledCheck::check_form(const PositionStates& p, std::uint32_t position) const {
  CHECK_OK(check_leaves(p, position));
  if (p.states.size() != states_.size() || p.roots.size() != roots_.size())
    return fail(Errc::mismatch, "position {} is served with other layers than asked for", position);
  const Hash& secret = execution_.salt_secret;
  for (std::size_t i = 0; i < roots_.size(); ++i) {
    const std::uint32_t layer = roots_[i];
    const bool exists = layer < depth_ || has_head(position);
    if (p.roots[i].has_value() != exists)
      return fail(Errc::mismatch, "position {}: the leaf of layer {} is not opened", position,
                  layer);
    if (!exists) continue;
    const protocol::LeafRoots& r = *p.roots[i];
    const Hash salt = leaf_salt(secret, position, layer);
    const Hash leaf = layer < depth_ ? cell_leaf(position, layer, salt, r.x, r.second, r.third)
                                     : head_leaf(position, salt, r.x, r.second, r.token);
    if (leaf != p.leaves[layer])
      return fail(Errc::mismatch, "position {}: what is served of leaf {} does not hash to it",
                  position, layer);
  }
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const bool exists = states_[i] < depth_ || has_head(position);
    const std::size_t size = exists ? model_.hyper().dim * sizeof(float) : 0;
    if (p.states[i].size() != size ||
        (exists && vector_root(floats_of(p.states[i])) != roots(p, states_[i]).x))
      return fail(Errc::mismatch, "position {}: the states served for layer {} are not its leaf's",
                  position, states_[i]);
  }
  return {};
}

const protocol::LeafRoots& SampledCheck::roots(const PositionStates& p, std::uint32_t layer) const {
  return *p.roots[static_cast<std::size_t>(std::ranges::lower_bound(roots_, layer) -
                                           roots_.begin())];
}

std::vector<float> SampledCheck::states(Served served, std::uint32_t layer,
                                        std::size_t from) const {
  const auto at =
      static_cast<std::size_t>(std::ranges::lower_bound(states_, layer) - states_.begin());
  std::vector<float> out;
  out.reserve((served.size() - from) * model_.hyper().dim);
  for (const PositionStates& p : served.subspan(from)) {
    const std::vector<float> row = floats_of(p.states[at]);
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

void SampledCheck::note(Found found) {
  const auto place = [](const Found& f) { return std::pair(f.position, f.layer); };
  if (!found_ || place(found) < place(*found_)) found_ = std::move(found);
}

SampledCheck::Tile SampledCheck::run(Served served) {
  Tile tile;
  found_.reset();
  embeddings(served);
  for (std::size_t i = 0; i < layers_.size(); ++i) layer(i, served, tile);
  heads(served);
  tile.found = std::move(found_);
  return tile;
}

void SampledCheck::embeddings(Served served) {
  std::vector<float> row(model_.hyper().dim);
  for (const PositionStates& p : served) {
    engine::read_row(model_.embedding(), tokens_[p.position], row);
    const Hash& theirs = roots(p, 0).x;
    if (vector_root(std::span<const float>(row)) == theirs) continue;
    note({.position = p.position,
          .layer = 0,
          .op = "embedding",
          .ours = raw_bytes(std::span<const float>(row)),
          .theirs = theirs});
    return;
  }
}

void SampledCheck::layer(std::size_t index, Served served, Tile& tile) {
  const engine::Hyper& hyper = model_.hyper();
  const std::uint32_t l = layers_[index];
  engine::LayerRows rows = passes_[index].run(states(served, l, 0));
  const auto differs = [&](const PositionStates& p, std::string_view op, auto ours,
                           const Hash& theirs) {
    if (vector_root(ours) == theirs) return false;
    note({.position = p.position,
          .layer = l,
          .op = std::string(op),
          .ours = raw_bytes(ours),
          .theirs = theirs});
    return true;
  };
  for (std::size_t i = 0; i < served.size(); ++i) {
    const PositionStates& p = served[i];
    if (rows.fault == p.position) {
      note({.position = p.position, .layer = l, .op = "fault"});
      break;
    }
    const bool leaves = l + 1 < depth_ || has_head(p.position);
    if (differs(p, "kh", row_of(rows.k, i, hyper.kv_dim()), roots(p, l).second) ||
        differs(p, "vh", row_of(rows.v, i, hyper.kv_dim()), roots(p, l).third) ||
        (leaves && differs(p, "x", row_of(rows.leaving, i, hyper.dim), roots(p, l + 1).x)))
      break;
  }
  tile.k.push_back(std::move(rows.k));
  tile.v.push_back(std::move(rows.v));
}

void SampledCheck::heads(Served served) {
  const auto from = static_cast<std::size_t>(
      std::ranges::find_if(served, [&](const auto& p) { return has_head(p.position); }) -
      served.begin());
  if (from == served.size()) return;
  const Served with_head = served.subspan(from);
  LogitsSink sink(with_head, roots_.size() - 1);
  const engine::HeadRows rows =
      head_pass_.run(with_head.front().position, states(served, depth_, from), &sink);
  if (sink.found) {
    sink.found->layer = depth_;
    note(std::move(*sink.found));
  }
  for (std::size_t i = 0; i < rows.tokens.size(); ++i)
    head(with_head[i], rows.tokens[i], rows.logprobs.empty() ? nullptr : &rows.logprobs[i]);
  if (rows.fault) note({.position = *rows.fault, .layer = depth_, .op = "fault"});
}

void SampledCheck::head(const PositionStates& p, engine::Token token,
                        const engine::HeadLogprobs* numbers) {
  const std::size_t next = p.position + std::size_t{1}, n = execution_.prompt.size();
  const std::uint32_t given = next < n ? execution_.prompt[next] : execution_.answer[next - n];
  const std::uint32_t signed_token = roots(p, depth_).token;
  if (token != given || token != signed_token)
    note({.position = p.position,
          .layer = depth_,
          .op = "tok",
          .tokens = std::pair(token, token != given ? given : signed_token)});
  if (numbers == nullptr || next < n) return;
  std::vector<std::uint32_t> ours;
  append_logprobs(*numbers, ours);
  const auto theirs = logprobs_.subspan((next - n) * ours.size(), ours.size());
  const auto differing = std::ranges::mismatch(ours, theirs);
  if (differing.in1 != ours.end())
    note({.position = p.position,
          .layer = depth_,
          .op = "lp",
          .tokens = std::pair(*differing.in1, *differing.in2)});
}

void SampledCheck::restore(std::span<const std::vector<std::uint16_t>> k,
                           std::span<const std::vector<std::uint16_t>> v) {
  for (std::size_t i = 0; i < passes_.size(); ++i) passes_[i].restore(k[i], v[i]);
}

}  // namespace assay::verify
