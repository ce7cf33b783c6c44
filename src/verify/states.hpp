// The provider's side of a sampled audit: keeps of an execution, as it is computed again, what a
// StatesCall asks for.
#pragma once
#include "engine/hyper.hpp"
#include "protocol/states.hpp"
#include "verify/trace.hpp"

namespace assay::verify {

protocol::StatesShape states_shape(const engine::Hyper& hyper);

// The positions a call may be about and what it may ask for at a time. refused otherwise, saying
// how many positions would do; invalid where there is no such layer or position.
Status check_states_call(const protocol::StatesCall& call, const protocol::StatesShape& shape,
                         std::size_t positions);

class StatesRecorder final : public TraceBuilder {
 public:
  // The call was checked. Takes memory for all of its positions.
  StatesRecorder(const Hash& salt_secret, std::uint32_t layers, const protocol::StatesCall& call);

  void cell(std::uint32_t position, std::uint32_t layer, std::span<const float> x,
            std::span<const std::uint16_t> k, std::span<const std::uint16_t> v) override;
  void head(std::uint32_t position, std::span<const float> x, std::span<const float> logits,
            engine::Token token) override;

  // Position call.first + index of the answer, once it was evaluated; nothing for one that was not
  // (beyond a fault). Each once.
  std::optional<protocol::PositionStates> take(std::uint32_t index);

 private:
  protocol::PositionStates* wanted(std::uint32_t position);

  const protocol::StatesCall call_;
  const std::uint32_t depth_;
  std::vector<protocol::PositionStates> kept_;
};

}  // namespace assay::verify
