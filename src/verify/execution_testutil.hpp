// A toy execution as a party to a dispute has it, and the same computed by op chains alone, so that
// it can be wrong in any one place.
#pragma once
#include <map>

#include "engine/gguf_testutil.hpp"
#include "verify/execution.hpp"

namespace assay::verify {

struct ToyAsk {
  engine::ToyShape shape{.layers = 3, .context = 64};
  std::vector<std::uint32_t> prompt{1, 4, 8, 9, 10, 5};
  std::uint32_t continuation = 0;
  std::uint32_t max_tokens = 4;
  std::function<void(protocol::Request&)> ask{};  // further fields
  std::optional<std::uint32_t> constraint{};      // seed of one drawn; none: any answer
  // Overwrites floats of a tensor in the file: name, from which value on, values.
  struct Patch {
    std::string tensor;
    std::uint64_t first = 0;
    std::vector<float> values;
  };
  std::vector<Patch> patches{};
};

// Holds the answer to come to an automaton drawn by seed.
void constrain(Opened& run, std::uint32_t seed);

// An honest execution of a toy model: what is committed, and what opens it. Nothing is signed.
struct ToyRun {
  explicit ToyRun(const ToyAsk& ask = {}, unsigned threads = 1);
  ToyRun(const ToyRun&) = delete;

  ThreadPool pool;
  Bytes file;
  Opened run;
  std::optional<TraceBuilder> trace;
  std::optional<engine::NumericFault> fault;

  std::uint32_t positions() const { return trace->positions(); }
  // Every leaf there is, in order.
  std::vector<LeafPlace> leaves() const;
  // Computed as a party computes it.
  LeafExecution leaf(const LeafPlace& place);
};

// Where an execution is wrong: one value of one op. With carry_on what comes after it is computed
// from it, else it is what an honest provider has.
struct Lie {
  LeafPlace leaf;
  std::uint32_t op = 0;
  std::uint64_t element = 0;
  std::uint32_t bits = 0;
  bool carry_on = true;
};

// All leaves of a run, each computed from the states of those before it. A lie is in the roots the
// leaves commit to, in the trace root and, where it changes a token, in the answer.
class ChainTrace {
 public:
  explicit ChainTrace(const Opened& honest, ThreadPool& pool, std::optional<Lie> lie = {});
  ChainTrace(const ChainTrace&) = delete;

  const Opened& run() const { return run_; }  // as the liar signs it
  std::uint32_t positions() const { return static_cast<std::uint32_t>(leaves_.size()); }
  const std::vector<Hash>& leaves(std::uint32_t position) const { return leaves_[position]; }
  std::vector<Hash> position_roots() const;
  Hash trace_root() const;
  // Where the chain met a fault (its leaf is a fault leaf).
  const std::optional<LeafPlace>& fault() const { return fault_; }
  const LeafExecution& leaf(const LeafPlace& place) const;

 private:
  void compute(const LeafPlace& place, ThreadPool& pool, const std::optional<Lie>& lie);
  LeafStates states_for(const LeafPlace& place) const;

  Opened run_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::unique_ptr<LeafExecution>> executions_;
  std::vector<std::vector<Hash>> leaves_;
  std::optional<LeafPlace> fault_;
};

}  // namespace assay::verify
