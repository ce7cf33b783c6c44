// One honest trade over the toy model: everything a receipt is made of, for tests to tamper with.
#pragma once
#include <optional>

#include "engine/gguf_testutil.hpp"
#include "protocol/files.hpp"
#include "verify/audit.hpp"
#include "verify/identity.hpp"

namespace assay::verify {

struct ToyModel {
  explicit ToyModel(const engine::ToyShape& shape = {.layers = 3, .context = 64});
  explicit ToyModel(Bytes file);
  Bytes file;
  std::shared_ptr<const engine::Model> model;
  ModelIdentity identity;
};

struct TradeOptions {
  std::vector<std::uint32_t> prompt{1, 4, 8, 9, 10, 5};
  std::uint32_t continuation = 0;
  std::uint32_t max_tokens = 12;
  float temperature = 1.0f;
  std::uint64_t seed = 7;
  std::vector<std::uint32_t> stop_ids{};
  std::function<void(protocol::Request&)> ask{};   // further fields, before it is signed
  std::optional<canon::Automaton> automaton{};     // what the answer is held to
  std::function<void(engine::Sampling&)> cheat{};  // what the provider runs instead
  std::uint32_t cut = 0;                           // cancelled after so many tokens; 0: never
  // One bit of the state committed there is flipped (layer == layer count: the head's).
  std::optional<engine::NumericFault> flip = std::nullopt;
};

struct Trade {
  protocol::ReceiptFile file;
  protocol::Opening opening;                 // without the provider's leaves
  std::vector<protocol::Progress> progress;  // one after every token
  std::shared_ptr<TraceBuilder> trace;       // the provider's, made by decoding
  crypto::SecretKey buyer, provider;
  // The provider's leaves into the opening, as POST /v1/trace serves them.
  void open_positions(std::span<const std::uint32_t> positions);
  void sign_receipt();
};

// `serving` computes; the request is about `claimed`.
Trade make_trade(const ToyModel& serving, const ToyModel& claimed,
                 const TradeOptions& options = {});

}  // namespace assay::verify
