// What `assay verify` takes: a receipt file, its COSE or DSSE export, or a bundle, told apart by
// their first bytes; and what each proves beyond the receipt in it.
#pragma once
#include "protocol/bundle.hpp"
#include "protocol/export.hpp"
#include "verify/model_signing.hpp"
#include "verify/receipt.hpp"

namespace assay::verify {

struct Evidence {
  protocol::ReceiptFile file;
  std::string_view form;                         // "receipt", "cose", "dsse", "bundle"
  std::optional<protocol::Exported> exported{};  // its signature and claims hold
  std::optional<protocol::Bundle> bundle{};
};
// Errors: invalid for none of the four; of an export also what import_cose and import_dsse refuse.
Result<Evidence> evidence_from(ByteView bytes);

// What the reader brings along; null or empty: not there.
struct Given {
  const protocol::Opening* opening = nullptr;  // else the bundle's
  const ModelIdentity* identity = nullptr;
  const ModelTrust* model_signer = nullptr;  // for the bundle's attestations
};
VerifyReport verify_evidence(const Evidence& evidence, const Given& given,
                             SignatureMemo* memo = nullptr);

}  // namespace assay::verify
