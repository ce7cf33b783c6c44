// `assay verify`: what a receipt file proves, claims and leaves open, in words.
#pragma once
#include <unordered_set>

#include "protocol/files.hpp"
#include "verify/identity.hpp"

namespace assay::verify {

enum class Standing {
  proven,
  claimed,    // somebody's word
  unchecked,  // unknown: nothing here decides it
  failed,
  caveat,  // what an answer does not mean though all else is proven
};

std::string_view to_string(Standing standing);  // "proven", …, as in documents

struct Finding {
  std::string code;  // "receipt.signature", "amount", "prompt", "model", "hardware", …
  Standing standing;
  std::string text;  // one sentence for a person
};

// What people ask of an answer, and which finding is the reply.
struct Question {
  std::string_view word, text, code;
};
inline constexpr Question kQuestions[] = {{"who", "who signed", "receipt.signature"},
                                          {"when", "no later than", "time"},
                                          {"weights", "which weights", "execution"},
                                          {"output", "which output", "answer"}};

struct VerifyReport {
  std::vector<Finding> findings;
  bool ok() const;  // nothing failed
  // The finding of this code that says most: failed, then proven, claimed, unchecked; or null.
  const Finding* find(std::string_view code) const;
  bool proven(std::string_view code) const;
};

// Signatures already found good. One offer and one lease stand behind many receipts: whoever
// verifies a heap of them looks at each only once. Of one thread.
class SignatureMemo {
 public:
  // check() is run only where it was not found good before.
  template <class Check>
  Status once(const Hash& digest, const protocol::Signature& signature,
              const protocol::Address& signer, Check&& check) {
    std::string key(text(digest));
    key += text(signature.bytes);
    key += text(signer.bytes);
    if (good_.contains(key)) return {};
    CHECK_OK(check());
    if (good_.size() == kMax) good_.clear();
    good_.insert(std::move(key));
    return {};
  }

 private:
  static constexpr std::size_t kMax = 1u << 16;
  std::unordered_set<std::string> good_;
};

// opening and identity may be null: then what they would prove is reported as unchecked. So may
// memo.
VerifyReport verify_receipt(const protocol::ReceiptFile& file, const protocol::Opening* opening,
                            const ModelIdentity* identity, SignatureMemo* memo = nullptr);

}  // namespace assay::verify
