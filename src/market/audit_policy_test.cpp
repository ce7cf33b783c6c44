// The audit rate, and spec/vectors/market/audit_rate.json, which tests/sim reads too.
#include "market/audit_policy.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

namespace assay::market::test {
namespace {

TEST(AuditPolicy, RateMakesCheatingLose) {
  AuditInputs in{.price = 400'000, .stake = 1'000'000, .history = 8, .lost_bps = 10'000};
  // 2 × 0.40 / 1.00
  EXPECT_EQ(audit_rate_q32(in), (kAuditAlways * 8 + 9) / 10);
  in.power_ppm = 500'000;
  EXPECT_EQ(audit_rate_q32(in), kAuditAlways);
  in.power_ppm = 1'000'000;
  in.saving_ppm = 250'000;
  EXPECT_EQ(audit_rate_q32(in), (kAuditAlways * 2 + 9) / 10);
  in.lost_bps = 5'000;  // half of the stake can come back through a sock puppet
  EXPECT_EQ(audit_rate_q32(in), (kAuditAlways * 4 + 9) / 10);
  in.price = 500;
  in.stake = 10'000'000;
  EXPECT_EQ(audit_rate_q32(in), kAuditAlways / 100);  // the floor
  in.price = INT64_MAX;
  EXPECT_EQ(audit_rate_q32(in), kAuditAlways);
  in.stake = INT64_MAX;
  EXPECT_LE(audit_rate_q32(in), kAuditAlways);
}

TEST(AuditPolicy, NewcomersAndTheStakelessAreAlwaysAudited) {
  AuditInputs in{.price = 1, .stake = 10'000'000, .history = 7};
  EXPECT_EQ(audit_rate_q32(in), kAuditAlways);
  in.history = 8;
  EXPECT_LT(audit_rate_q32(in), kAuditAlways);
  in.lost_bps = 0;
  EXPECT_EQ(audit_rate_q32(in), kAuditAlways);
  in.lost_bps = 5'000;
  in.stake = 0;
  EXPECT_EQ(audit_rate_q32(in), kAuditAlways);
}

TEST(AuditPolicy, Vectors) {
  std::ostringstream text;
  text << "[\n";
  bool first = true;
  for (const std::int64_t price : {0, 1, 540, 20'000, 400'000, 50'000'000})
    for (const std::int64_t stake : {1'000'000, 10'000'000, 1'000'000'000})
      for (const std::uint32_t lost : {5'000u, 7'500u, 10'000u})
        for (const std::uint32_t saving : {45'455u, 400'000u, 1'000'000u})
          for (const std::uint32_t power : {45'455u, 90'910u, 1'000'000u}) {
            const AuditInputs in{price, stake, 8, lost, saving, power};
            text << (first ? "" : ",\n") << R"({"price": ")" << price << R"(", "stake": ")" << stake
                 << R"(", "lost_bps": ")" << lost << R"(", "saving_ppm": ")" << saving
                 << R"(", "power_ppm": ")" << power << R"(", "rate_q32": ")" << audit_rate_q32(in)
                 << "\"}";
            first = false;
          }
  text << "\n]\n";
  const std::filesystem::path path =
      std::filesystem::path(ASSAY_SOURCE_DIR) / "spec/vectors/market/audit_rate.json";
  if (std::getenv("ASSAY_WRITE_VECTORS") != nullptr) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text.str();
  }
  std::ifstream file(path);
  std::ostringstream committed;
  committed << file.rdbuf();
  EXPECT_EQ(committed.str(), text.str());
}

}  // namespace
}  // namespace assay::market::test
