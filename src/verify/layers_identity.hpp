// The execution id of a model of which only some layers' weights were loaded: the tensors used are
// hashed, of the others only the leaves are known (spec/model.md, "Weights root").
#pragma once
#include "verify/identity.hpp"

namespace assay::verify {

// Leaves of the tree over tensors, in canonical order: reads all weights.
std::vector<Hash> tensor_leaves(const engine::Model& model, ThreadPool& pool);

// The execution id of which `leaves` are the tensors' leaves, whoever named them, once those that
// embedding, head and `layers` use are this file's. Reads these and no others; the program is the
// file's own. mismatch: not as many leaves as the model has tensors, or a tensor whose leaf is not
// the one given.
Result<protocol::ExecutionId> layers_execution_id(const engine::Model& model,
                                                  std::span<const std::uint32_t> layers,
                                                  std::span<const Hash> leaves, ThreadPool& pool);

}  // namespace assay::verify
