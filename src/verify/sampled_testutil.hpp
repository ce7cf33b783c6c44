// A provider's side of a sampled audit in memory, for tests to lie with.
#pragma once
#include "verify/sampled.hpp"
#include "verify/verify_testutil.hpp"

namespace assay::verify {

// Serves what the trade's provider computed: its own model's states, by one prefill a call.
class LocalSource : public StateSource {
 public:
  // sampling: what the provider ran in place of the request's.
  LocalSource(const Trade& trade, const ToyModel& serving,
              std::function<void(engine::Sampling&)> cheat = {})
      : trade_(trade), serving_(serving), cheat_(std::move(cheat)) {}

  Status states(const protocol::StatesCall& call, const Take& take) override;

  std::vector<protocol::StatesCall> calls;
  // Changes what is served; may be empty.
  std::function<void(protocol::PositionStates&)> tamper;

 private:
  const Trade& trade_;
  const ToyModel& serving_;
  std::function<void(engine::Sampling&)> cheat_;
};

struct MemoryJournal : AuditJournal {
  Result<Bytes> read() override { return content; }
  Status append(ByteView record) override {
    if (appends_left == 0) return fail(Errc::io, "killed");
    --appends_left;
    assay::append(content, record);
    return {};
  }
  Status replace(ByteView fresh) override {
    content.assign(fresh.begin(), fresh.end());
    return {};
  }
  Bytes content;
  int appends_left = 1'000'000;
};

// The toy with one tensor's numbers changed: layer < layers, by name of the part ("attn_q", …), or
// "token_embd", "output", "output_norm".
ToyModel with_other_tensor(const ToyModel& model, std::string_view name);

Result<SampledReport> audit_layers_of(const Trade& trade, const engine::Model& model,
                                      std::span<const Hash> leaves, StateSource& source,
                                      std::vector<std::uint32_t> layers,
                                      AuditJournal* journal = nullptr);

}  // namespace assay::verify
