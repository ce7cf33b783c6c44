// `assay verify`: what a receipt file proves, claims and leaves open, in words.
#pragma once
#include "protocol/files.hpp"
#include "verify/identity.hpp"

namespace assay::verify {

enum class Standing { proven, claimed, unchecked, failed };

struct Finding {
  std::string code;  // "receipt.signature", "amount", "prompt", "model", "hardware", …
  Standing standing;
  std::string text;  // one sentence for a person
};

struct VerifyReport {
  std::vector<Finding> findings;
  bool ok() const;  // nothing failed
};

// opening and identity may be null: then what they would prove is reported as unchecked.
VerifyReport verify_receipt(const protocol::ReceiptFile& file, const protocol::Opening* opening,
                            const ModelIdentity* identity);

}  // namespace assay::verify
