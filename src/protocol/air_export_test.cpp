#include <gtest/gtest.h>

#include "crypto/sha256.hpp"
#include "protocol/export.hpp"
#include "protocol/samples_testutil.hpp"

namespace assay::protocol {
namespace {

constexpr std::uint64_t kIssued = 1'700'000'700;

// What hardware adds to the same commitments, as the AIR draft writes it.
TEST(Export, AirClaimsAreTheReceiptsAndTheHardwares) {
  Exchange x;
  air::Measurements measurements{.type = "tdx-mrtd-rtmr"};
  measurements.registers[1][47] = 9;
  const Tee tee{.measurements = measurements,
                .evidence = {1, 2, 3},
                .nonce = Bytes(8, 7),
                .execution_ms = 1234,
                .memory_peak_mib = 567,
                .policy_version = "p1",
                .security_mode = "production"};
  EXPECT_EQ(air_claims(x.file, kIssued, tee).error().message,
            "the receipt names no evidence: an AIR receipt needs the one it names");
  x.file.receipt.message.evidence = crypto::sha256(Bytes{1, 2, 4});
  EXPECT_EQ(air_claims(x.file, kIssued, tee).error().code, Errc::mismatch);
  x.file.receipt.message.evidence = crypto::sha256(tee.evidence);
  const auto claims = air_claims(x.file, kIssued, tee);
  ASSERT_TRUE(claims) << claims.error().message;

  const OfferModel& model = *offered_model(x.file);
  const Receipt& receipt = x.file.receipt.message;
  const Hash digest_of_receipt = digest(x.file.domain, receipt);
  EXPECT_EQ(claims->issuer, x.file.lease.message.provider.to_string());
  EXPECT_EQ(claims->issued_at, kIssued);
  EXPECT_TRUE(std::ranges::equal(claims->id, std::span(digest_of_receipt).first(16)));
  EXPECT_EQ(claims->nonce, tee.nonce);
  EXPECT_EQ(claims->model_id, model.name);
  EXPECT_EQ(claims->model_version, model.quantization);
  EXPECT_EQ(claims->model_hash, model.file_alias);
  EXPECT_EQ(claims->request_hash, digest(x.file.domain, x.file.request.message));
  EXPECT_EQ(claims->response_hash, receipt.tape_root);
  EXPECT_EQ(claims->attestation_hash, receipt.evidence);
  EXPECT_EQ(claims->measurements, measurements);
  EXPECT_EQ(claims->policy_version, "p1");
  EXPECT_EQ(claims->sequence, receipt.key_sequence);
  EXPECT_EQ(claims->execution_ms, 1234u);
  EXPECT_EQ(claims->memory_peak_mib, 567u);
  EXPECT_EQ(claims->security_mode, "production");
  EXPECT_EQ(claims->model_hash_scheme, "sha256-single");

  // And they are what an AIR reader accepts, by the key that the hardware binds.
  crypto::Ed25519Seed seed;
  seed.bytes = crypto::sha256(view("enclave"));
  EXPECT_EQ(*air::verify(air::sign(*claims, seed), crypto::ed25519_public_key(seed)), *claims);

  x.file.execution.canon = 99;
  EXPECT_EQ(air_claims(x.file, kIssued, tee).error().code, Errc::invalid);
}

}  // namespace
}  // namespace assay::protocol
