#include "verify/sampled_testutil.hpp"

#include "verify/layers_identity.hpp"
#include "verify/states.hpp"

namespace assay::verify {

Status LocalSource::states(const protocol::StatesCall& call, const Take& take) {
  calls.push_back(call);
  const protocol::Request& request = trade_.file.request.message;
  TRY(engine::Sampling asked, sampling_of(request, trade_.opening.automaton, *serving_.model));
  const Execution execution{std::move(asked),      trade_.opening.salt_secret,
                            trade_.opening.prompt, trade_.opening.answer,
                            request.continuation,  false,
                            request.logprobs};
  CHECK_OK(check_states_call(call, states_shape(serving_.model->hyper()), execution.positions()));
  engine::Sampling sampling = execution.sampling;
  if (cheat_) cheat_(sampling);
  ThreadPool pool(1);
  StatesRecorder recorder(execution.salt_secret, serving_.model->hyper().layers, call);
  const auto tokens = evaluated_tokens(execution);
  const std::uint32_t end = call.first + call.count;
  engine::Session session(serving_.model, pool, engine::Isa::scalar, end);
  session.run(std::span(tokens).first(end), static_cast<std::uint32_t>(execution.first_sampled()),
              sampling, &recorder);
  for (std::uint32_t i = 0; i < call.count; ++i) {
    auto served = recorder.take(i);
    if (!served) return fail(Errc::internal, "a fault");
    // Over the wire and back.
    TRY(auto event, protocol::states_event_from_line(protocol::states_line(std::move(*served))));
    auto& position = std::get<protocol::PositionStates>(event);
    if (tamper) tamper(position);
    CHECK_OK(take(std::move(position)));
  }
  return {};
}

ToyModel with_other_tensor(const ToyModel& model, std::string_view name) {
  Bytes file = model.file;
  const engine::Tensor* tensor = model.model->gguf().find(fmt::format("{}.weight", name));
  const auto at = static_cast<std::size_t>(tensor->data.data() - model.file.data());
  // The sign of one number a row, or another mantissa: finite whatever the type is.
  const std::size_t row = tensor->row_bytes();
  for (std::size_t i = 3; i < tensor->data.size(); i += row) file[at + i] ^= 0x80;
  return ToyModel(std::move(file));
}

Result<SampledReport> audit_layers_of(const Trade& trade, const engine::Model& model,
                                      std::span<const Hash> leaves, StateSource& source,
                                      std::vector<std::uint32_t> layers, AuditJournal* journal) {
  ThreadPool pool(2);
  const ManualClock clock;
  SampledOptions options;
  options.layers = std::move(layers);
  options.tensor_leaves = leaves;
  options.journal = journal;
  return sampled_audit(trade.file.request.message, trade.file.receipt.message, trade.opening, model,
                       source, pool, options, clock);
}

}  // namespace assay::verify
