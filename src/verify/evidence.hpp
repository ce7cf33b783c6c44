// What `assay verify` takes: a receipt file, its COSE or DSSE export, or a bundle, told apart by
// their first bytes; and what each proves beyond the receipt in it.
#pragma once
#include <functional>
#include <span>

#include "protocol/bundle.hpp"
#include "protocol/export.hpp"
#include "verify/model_signing.hpp"
#include "verify/receipt.hpp"

namespace assay::verify {

struct Exhibit {
  protocol::ReceiptFile file;
  std::string_view form;                         // "receipt", "cose", "dsse", "bundle"
  std::optional<protocol::Exported> exported{};  // its signature and claims hold
  std::optional<protocol::Bundle> bundle{};
};
// Errors: invalid for none of the four; of an export also what import_cose and import_dsse refuse.
Result<Exhibit> evidence_from(ByteView bytes);

// Judges a bundle's log section with the keys that the reader trusts: tlog::place_in_log, which
// this folder does not see.
using LogJudge = std::function<Result<protocol::LogPlace>(const protocol::LogEvidence&,
                                                          const protocol::ReceiptFile&)>;

// What the reader brings along; null or empty: not there.
struct Given {
  const protocol::Opening* opening = nullptr;  // else the bundle's
  const ModelIdentity* identity = nullptr;
  const ModelTrust* model_signer = nullptr;         // for the bundle's attestations and these
  std::span<const json::object> attestations = {};  // OpenSSF Model Signing bundles
  LogJudge log = nullptr;
  std::size_t witnesses = 1;  // how many trusted ones must have cosigned for a time to be proven
};
VerifyReport verify_evidence(const Exhibit& evidence, const Given& given,
                             SignatureMemo* memo = nullptr);

// For machines: {"form", "provider", "buyer", "amount", "findings": [{"code", "standing",
// "text"}]}.
json::object to_json(const Exhibit& evidence, const VerifyReport& report);

}  // namespace assay::verify
