// What the kernels' tests share: the tables to compare with the scalar one, and bits as numbers.
#pragma once
#include <chrono>
#include <cstdlib>
#include <gtest/gtest.h>
#include <span>
#include <string>
#include <vector>

#include "canon/canon_testutil.hpp"
#include "engine/kernels/kernels.hpp"

namespace assay::engine::test {

struct Table {
  std::string name;
  const Kernels* kernels;
};

// Every vector table this machine runs, and the AVX-512 ones in emulation where they do not run.
std::vector<Table> tables();

inline std::vector<std::uint32_t> bits_of(std::span<const float> v) {
  std::vector<std::uint32_t> out;
  out.reserve(v.size());
  for (float x : v) out.push_back(canon::test::bits(x));
  return out;
}

// Runs once(seed), and again with new seeds for ASSAY_SOAK_SECONDS if that is set, or until one
// fails.
template <class Function>
void repeat(std::uint32_t seed, Function once) {
  using Clock = std::chrono::steady_clock;
  const char* seconds = std::getenv("ASSAY_SOAK_SECONDS");
  const auto end = Clock::now() + std::chrono::seconds(seconds ? std::atoi(seconds) : 0);
  do {
    SCOPED_TRACE("seed " + std::to_string(seed));
    once(seed);
    seed += 0x10001;
  } while (Clock::now() < end && !testing::Test::HasFatalFailure());
}

}  // namespace assay::engine::test
