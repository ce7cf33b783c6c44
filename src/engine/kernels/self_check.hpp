// The start-up self-test: every table that is compiled in and that this machine can run computes a
// small set of hostile inputs, and must agree with the scalar table to the bit. One that does not
// is never used: a wrong answer is worse than a slow one.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/kernels/kernels.hpp"

namespace assay::engine {

// What differs, as in "rms_norm of 300 values differs from the scalar one"; nullopt: nothing.
// Milliseconds; deterministic.
std::optional<std::string> self_test(const Kernels& kernels);

struct Verdict {
  const Kernels* kernels;
  std::optional<std::string> failure;
};

// Verdicts on tables in the order given, slowest first.
std::vector<Verdict> judge(std::span<const Kernels* const> tables);
// The last one that passed; the scalar table is one of them.
const Kernels* fastest(std::span<const Verdict> verdicts);

// On every table usable here, slowest first; judged once per process, thread-safe.
std::span<const Verdict> verdicts();
// One line per failure, for people: "avx2 is not used: rms_norm of …". Empty: none.
std::string self_test_failures();

}  // namespace assay::engine
