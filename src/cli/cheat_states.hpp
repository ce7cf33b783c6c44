// What a cheat computed, kept to be committed to and shown again.
#pragma once
#include <mutex>
#include <vector>

#include "engine/layer_pass.hpp"
#include "engine/session.hpp"

namespace assay::cli {

class CheatStates : public engine::StateSink {
 public:
  struct Cell {
    std::uint32_t position, layer;
    std::vector<float> x;
    std::vector<std::uint16_t> k, v;
  };
  struct Head {
    std::uint32_t position;
    std::vector<float> x, logits;
    engine::Token token;
  };
  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override;
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            engine::Token token) override;
  void fault(engine::NumericFault) override {}

  // Everything before `positions`, into another sink.
  void play(engine::StateSink& sink, std::size_t positions) const;

  std::vector<Cell> cells;
  std::vector<Head> heads;

 private:
  std::mutex mutex_;  // cells come from several threads
};

// What happens to the rows a layer reads back from its cache: of position `at`, read at `now`.
using CacheFilter = void (*)(std::span<std::uint16_t> rows, std::uint32_t at, std::uint32_t now);

// One position after the other, layer by layer, where a whole pass could not cheat.
struct Steps {
  CacheFilter filter = nullptr;                   // null: as they are
  std::uint32_t skip_layer = 0, skip_from = ~0u;  // that layer gives back what entered it
};
// prompt → answer, as engine::generate. internal: a numeric fault.
Result<engine::Generation> generate_in_steps(const engine::Model& model, ThreadPool& pool,
                                             const Steps& steps,
                                             std::span<const engine::Token> prompt,
                                             const engine::GenerationLimits& limits,
                                             const engine::Sampling& sampling, CheatStates& states);

}  // namespace assay::cli
