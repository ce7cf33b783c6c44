// What tests/fuzz/evidence_fuzz.cpp runs and evidence_corpus_test.cpp replays: CBOR, COSE, AIR
// claims, DSSE, in-toto and bundles from strangers. Violated properties are assertions, which the
// fuzzer sees as crashes.
#pragma once
#include "base/assert.hpp"
#include "protocol/bundle.hpp"
#include "protocol/cbor_codec.hpp"
#include "protocol/export.hpp"

namespace assay::protocol {

inline void fuzz_cbor(ByteView input) {
  const auto value = cbor::decode(input, {.bytes = 1u << 16, .items = 4096, .depth = 8});
  // One form only: whatever is read is written back as it was.
  if (value) ASSAY_ASSERT(std::ranges::equal(cbor::encode(*value), input));
  if (const auto message = cose::decode(input)) {
    ASSAY_ASSERT(std::ranges::equal(cose::encode(*message), input));
    static_cast<void>(cose::algorithm(*message));
    static_cast<void>(cose::check_es256k(*message, Address{}));
  }
  if (const auto exported = import_cose(input)) ASSAY_ASSERT(offered_model(exported->file));
  if (value)
    if (ReceiptFile file; cbor::from_value(*value, file))
      ASSAY_ASSERT(std::ranges::equal(cbor::encode(cbor::to_value(file)), input));
}

inline void fuzz_evidence_json(ByteView input) {
  const auto parsed = json::parse(text(input), 1u << 16);
  if (!parsed || !parsed->is_object()) return;
  const json::object& o = parsed->get_object();
  if (const auto envelope = dsse::envelope_from_json(o)) {
    const auto again = dsse::envelope_from_json(dsse::to_json(*envelope));
    ASSAY_ASSERT(again && again->payload == envelope->payload &&
                 again->signatures.size() == envelope->signatures.size());
    static_cast<void>(dsse::statement_from(*envelope));
    static_cast<void>(import_dsse(o));
    for (const auto& signature : envelope->signatures)
      if (const auto plain = crypto::from_der(signature.bytes))
        ASSAY_ASSERT(crypto::to_der(*plain) == signature.bytes);
  }
  if (const auto bundle = bundle_from_json(o)) {
    for (const auto& chunk : bundle->chunks) static_cast<void>(check_chunk(bundle->receipt, chunk));
    const std::string once = to_text(*bundle);
    const auto again = bundle_from_json(json::parse(once)->as_object());
    ASSAY_ASSERT(again && to_text(*again) == once);
  }
}

inline void fuzz_evidence(ByteView input) {
  if (!input.empty() && input[0] == '{') return fuzz_evidence_json(input);
  fuzz_cbor(input);
}

}  // namespace assay::protocol
