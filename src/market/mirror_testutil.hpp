// Another host of what a random history does.
#pragma once
#include "market/ledger_testutil.hpp"

namespace assay::market::test {

// Another host of the same operations: told of each, with what the state machine made of it.
struct Mirror {
  virtual ~Mirror() = default;
  // Before anything: gives the world its domain and its time.
  virtual void start(World& world) = 0;
  virtual void applied(const World& world, const Operation& operation,
                       const Result<Applied>& result) = 0;
};

}  // namespace assay::market::test
