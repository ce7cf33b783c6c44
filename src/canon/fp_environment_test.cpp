#include "canon/fp_environment.hpp"

#include <gtest/gtest.h>
#include <thread>

#include "canon/hostile_mode_testutil.hpp"

namespace assay::canon {
namespace {

using test::HostileMode;

TEST(FpEnvironment, IsSetAssertedAndRestoredInEveryThread) {
  const auto body = [] {
    const HostileMode::Control before = HostileMode::get();
    EXPECT_TRUE(arithmetic_is_canonical());
    {
      const HostileMode mode;
      EXPECT_FALSE(arithmetic_is_canonical());
      {
        const FpEnvironment environment;
        EXPECT_TRUE(arithmetic_is_canonical());
        EXPECT_EQ(HostileMode::get(), before);
      }
      EXPECT_EQ(HostileMode::get(), HostileMode::kHostile);
    }
    EXPECT_EQ(HostileMode::get(), before);
  };
  body();
  std::thread(body).join();
}

}  // namespace
}  // namespace assay::canon
