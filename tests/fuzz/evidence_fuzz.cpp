#include "protocol/air.hpp"
#include "protocol/evidence_fuzz_testutil.hpp"
#include "verify/model_signing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const assay::ByteView input{data, size};
  assay::protocol::fuzz_evidence(input);
  // A claim set that is accepted is written back as it was.
  if (const auto claims = assay::protocol::air::claims_from(input))
    ASSAY_ASSERT(std::ranges::equal(assay::protocol::air::encode(*claims), input));
  if (const auto parsed = assay::json::parse(assay::text(input), 1u << 16);
      parsed && parsed->is_object())
    static_cast<void>(assay::verify::verify_model_signature(
        parsed->get_object(), {.public_key_pem = "x", .certificates_pem = "x"}));
  return 0;
}
