#include "cli/cheat_states.hpp"

#include <algorithm>

#include "engine/weights.hpp"

namespace assay::cli {
namespace {

using engine::Token;

// One layer over the positions so far, its cache filtered before every read.
class FilteredLayer {
 public:
  FilteredLayer(const engine::Model& model, std::uint32_t layer, ThreadPool& pool,
                CacheFilter filter)
      : model_(model), layer_(layer), pool_(pool), filter_(filter) {}

  engine::LayerRows run(std::span<const float> x) {
    const auto width = model_.hyper().kv_dim();
    const auto now = static_cast<std::uint32_t>(k_.size() / width);
    if (filter_ == nullptr) {
      if (!pass_) pass_.emplace(fresh(model_.hyper().context));
    } else {
      std::vector<std::uint16_t> k = k_, v = v_;
      for (std::uint32_t at = 0; at < now; ++at) {
        filter_(std::span(k).subspan(std::size_t{at} * width, width), at, now);
        filter_(std::span(v).subspan(std::size_t{at} * width, width), at, now);
      }
      pass_.reset();
      pass_.emplace(fresh(now + 1));
      if (now > 0) pass_->restore(k, v);
    }
    engine::LayerRows rows = pass_->run(x);
    k_.insert(k_.end(), rows.k.begin(), rows.k.end());
    v_.insert(v_.end(), rows.v.begin(), rows.v.end());
    return rows;
  }

 private:
  engine::LayerPass fresh(std::uint32_t capacity) {
    return {model_, layer_, pool_, engine::best_isa(), capacity};
  }

  const engine::Model& model_;
  std::uint32_t layer_;
  ThreadPool& pool_;
  CacheFilter filter_;
  std::optional<engine::LayerPass> pass_;
  std::vector<std::uint16_t> k_, v_;  // as computed
};

}  // namespace

void CheatStates::cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
                       std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) {
  const std::lock_guard lock(mutex_);
  cells.push_back(
      {position, layer, {x.begin(), x.end()}, {k.begin(), k.end()}, {v.begin(), v.end()}});
}

void CheatStates::head(std::uint32_t position, std::span<const float> x,
                       std::span<const float> logits, Token token) {
  heads.push_back({position, {x.begin(), x.end()}, {logits.begin(), logits.end()}, token});
}

void CheatStates::play(engine::StateSink& sink, std::size_t positions) const {
  std::uint32_t end = 0;
  for (const Cell& c : cells)
    if (c.position < positions) end = std::max(end, c.position + 1);
  sink.reserve(end);
  for (const Cell& c : cells)
    if (c.position < positions) sink.cell(c.position, c.layer, c.x, c.k, c.v);
  for (const Head& h : heads)
    if (h.position < positions) sink.head(h.position, h.x, h.logits, h.token);
}

Result<engine::Generation> generate_in_steps(const engine::Model& model, ThreadPool& pool,
                                             const Steps& steps, std::span<const Token> prompt,
                                             const engine::GenerationLimits& limits,
                                             const engine::Sampling& sampling,
                                             CheatStates& states) {
  const engine::Hyper& hyper = model.hyper();
  std::vector<FilteredLayer> layers;
  for (std::uint32_t l = 0; l < hyper.layers; ++l)
    layers.emplace_back(model, l, pool, steps.filter);
  std::vector<Token> tape(prompt.begin(), prompt.end());
  engine::Generation out;
  for (std::uint32_t t = 0; t < tape.size(); ++t) {
    std::vector<float> x(hyper.dim);
    engine::read_row(model.embedding(), tape[t], x);
    for (std::uint32_t l = 0; l < hyper.layers; ++l) {
      engine::LayerRows rows = layers[l].run(x);
      if (rows.fault) return fail(Errc::internal, "a numeric fault at position {}", t);
      states.cell(t, l, x, rows.k, rows.v);
      if (l != steps.skip_layer || t < steps.skip_from) x = std::move(rows.leaving);
    }
    if (t + 1 < prompt.size()) continue;
    engine::HeadPass head(model, pool, engine::best_isa(), tape, sampling, 0);
    const engine::HeadRows chosen = head.run(t, x, &states);
    if (chosen.fault) return fail(Errc::internal, "a numeric fault at position {}", t);
    const Token token = chosen.tokens.front();
    out.answer.push_back(token);
    if (std::ranges::find(limits.stop_ids, token) != limits.stop_ids.end()) {
      out.finish = engine::Finish::stop;
      return out;
    }
    if (out.answer.size() >= limits.max_tokens || tape.size() >= hyper.context) return out;
    tape.push_back(token);
  }
  return out;
}

}  // namespace assay::cli
