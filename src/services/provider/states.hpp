// What a sampled audit asks a provider for (protocol/states.hpp).
#pragma once
#include <map>
#include <mutex>

#include "engine/batcher.hpp"
#include "io/http_response.hpp"
#include "protocol/states.hpp"
#include "services/provider/openings.hpp"
#include "services/provider/provider_store.hpp"

namespace assay::services {

class Computer;

// Answers with the states of a receipted request, computed again when its turn has come. An error
// is about the call, and nothing was sent; what goes wrong later is told in the stream.
Status serve_states(const StoredRequest& stored, const protocol::StatesCall& call,
                    Computer& computer, engine::Batcher& engine, Openings& openings,
                    io::HttpResponse& response, const std::function<bool()>& stopping);

// The tensor leaves of models, hashed when first asked for.
class TensorLists {
 public:
  std::vector<Hash> of(const engine::Model& model, unsigned threads);

 private:
  std::mutex mutex_;
  std::map<const engine::Model*, std::vector<Hash>> lists_;
};

}  // namespace assay::services
