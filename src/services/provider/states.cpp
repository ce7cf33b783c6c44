#include "services/provider/states.hpp"

#include "services/provider/provider_run.hpp"
#include "verify/layers_identity.hpp"
#include "verify/states.hpp"

namespace assay::services {

Status serve_states(const StoredRequest& stored, const protocol::StatesCall& call,
                    Computer& computer, engine::Batcher& engine, Openings& openings,
                    io::HttpResponse& response, const std::function<bool()>& stopping) {
  const Given given = given_by(stored);
  const std::size_t positions =
      given.prompt.size() + given.answer.size() - (given.ends_in_fault ? 0 : 1);
  const engine::Hyper& hyper = engine.model().hyper();
  CHECK_OK(verify::check_states_call(call, verify::states_shape(hyper), positions));

  response.begin_stream(200, "application/x-ndjson");
  // A sign of life for whoever waits, and whether somebody does.
  const auto gone = [&] { return stopping() || response.client_gone() || !response.write("\n"); };
  const auto computed = [&]() -> Result<std::unique_ptr<verify::StatesRecorder>> {
    TRY(const auto turn, openings.enter(given.request.lease, gone));
    auto recorder = std::make_unique<verify::StatesRecorder>(given.salt_secret, hyper.layers, call);
    CHECK_OK(computer.again(given, engine,
                            {.sink = *recorder,
                             .positions = std::size_t{call.first} + call.count,
                             .fresh_from = call.first},
                            gone));
    return recorder;
  }();
  const auto tell = [&](const protocol::StatesEvent& event) {
    return response.write(protocol::states_line(event));
  };
  if (!computed) {
    tell(protocol::ErrorEvent{std::string(to_string(computed.error().code)),
                              computed.error().message});
  } else {
    bool listening = true;
    for (std::uint32_t i = 0; i < call.count && listening; ++i)
      if (auto position = (*computed)->take(i)) listening = tell(std::move(*position));
    if (listening) tell(protocol::StatesEnd{});
  }
  response.end();
  return {};
}

std::vector<Hash> TensorLists::of(const engine::Model& model, unsigned threads) {
  const std::lock_guard lock(mutex_);
  auto& list = lists_[&model];
  if (list.empty()) {
    ThreadPool pool(threads);
    list = verify::tensor_leaves(model, pool);
  }
  return list;
}

}  // namespace assay::services
