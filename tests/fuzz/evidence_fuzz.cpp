#include "protocol/air.hpp"
#include "protocol/evidence_fuzz_testutil.hpp"
#include "tlog/evidence.hpp"
#include "verify/evidence.hpp"

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
  // A stranger's file, judged as `assay verify` does: nobody signed what the fuzzer made of it.
  if (const auto evidence = assay::verify::evidence_from(input)) {
    const auto log = [](const auto& section, const auto& file) {
      return assay::tlog::place_in_log(section, file, {});
    };
    static_cast<void>(assay::verify::verify_evidence(*evidence, {.log = log}));
  }
  return 0;
}
