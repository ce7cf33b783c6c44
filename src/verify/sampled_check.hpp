// The checks of a sampled audit, position after position, on what a provider served.
#pragma once
#include "engine/layer_pass.hpp"
#include "protocol/states.hpp"
#include "verify/replay.hpp"

namespace assay::verify {

// A difference found, and what is needed to show both values.
struct Found {
  std::uint32_t position = 0, layer = 0;
  std::string op{};
  Bytes ours{};   // the whole vector, as its root has it; empty where there is none to compare
  Hash theirs{};  // its root as the provider committed to it
  std::optional<std::pair<std::uint32_t, std::uint32_t>> tokens{};  // ours, theirs
};

class SampledCheck {
 public:
  // logprobs: the claimed ones of the answer. execution, model and pool outlive it; layers are
  // ascending and of the model.
  SampledCheck(const Execution& execution, std::span<const std::uint32_t> logprobs,
               const engine::Model& model, std::span<const std::uint32_t> layers, ThreadPool& pool,
               engine::Isa isa);

  // What has to be served of these positions, request and secret aside.
  protocol::StatesCall call(std::uint32_t first, std::uint32_t count) const;
  bool has_head(std::uint32_t position) const { return position >= first_head_; }
  std::uint32_t positions() const { return static_cast<std::uint32_t>(tokens_.size()); }

  // What the call asked for of this position, its leaves opened by what came beside them. mismatch
  // otherwise: the provider did not answer the question.
  Status check_form(const protocol::PositionStates& p, std::uint32_t position) const;
  // As much of it as leaves are concerned.
  Status check_leaves(const protocol::PositionStates& p, std::uint32_t position) const;

  struct Tile {
    std::optional<Found> found;  // the lowest position's, there the lowest layer's
    std::vector<std::vector<std::uint16_t>> k,
        v;  // of each layer, as LayerPass::restore takes them
  };
  // The next positions, their form checked: at most engine::kPassPositions. Nothing may follow a
  // difference.
  Tile run(std::span<const protocol::PositionStates> served);
  // In place of a run over positions done before.
  void restore(std::span<const std::vector<std::uint16_t>> k,
               std::span<const std::vector<std::uint16_t>> v);

 private:
  using Served = std::span<const protocol::PositionStates>;
  void note(Found found);
  const protocol::LeafRoots& roots(const protocol::PositionStates& p, std::uint32_t layer) const;
  std::vector<float> states(Served served, std::uint32_t layer, std::size_t from) const;
  void embeddings(Served served);
  void layer(std::size_t index, Served served, Tile& tile);
  void heads(Served served);
  void head(const protocol::PositionStates& p, engine::Token token,
            const engine::HeadLogprobs* numbers);

  const Execution& execution_;
  std::span<const std::uint32_t> logprobs_;
  const engine::Model& model_;
  std::vector<std::uint32_t> layers_;
  const std::uint32_t depth_, first_head_;
  std::vector<engine::Token> tokens_;
  std::vector<std::uint32_t> states_, roots_;  // layers asked for
  std::vector<engine::LayerPass> passes_;
  engine::HeadPass head_pass_;
  std::optional<Found> found_;
};

}  // namespace assay::verify
