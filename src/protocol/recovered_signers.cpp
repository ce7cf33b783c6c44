#include "protocol/recovered_signers.hpp"

#include "base/assert.hpp"

namespace assay::protocol {
namespace {

thread_local const RecoveredSigners* current = nullptr;

}  // namespace

void RecoveredSigners::add(const Hash& digest, const crypto::Signature& signature) {
  if (const auto signer = crypto::recover(digest, signature))
    known_.push_back({digest, signature, *signer});
}

RecoveredSigners::Scope::Scope(const RecoveredSigners& known) {
  ASSAY_ASSERT(current == nullptr);
  current = &known;
}
RecoveredSigners::Scope::~Scope() { current = nullptr; }

Result<crypto::Address> signer_of(const Hash& digest, const crypto::Signature& signature) {
  if (current != nullptr)
    for (const auto& one : current->known_)
      if (one.digest == digest && one.signature.bytes == signature.bytes) return one.signer;
  return crypto::recover(digest, signature);
}

}  // namespace assay::protocol
