// Signers recovered ahead of the rules that ask for them. To recover one is most of what an operation
// costs; a ledger's single writer leaves it to the threads that bring the operations.
#pragma once
#include <vector>

#include "base/result.hpp"
#include "crypto/secp256k1.hpp"

namespace assay::protocol {

class RecoveredSigners {
 public:
  // Recovers now. What does not recover is asked for again later, where its error belongs.
  void add(const Hash& digest, const crypto::Signature& signature);

  // While one stands, check_signature on this thread looks here first. Not nested.
  class Scope {
   public:
    explicit Scope(const RecoveredSigners& known);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

 private:
  friend Result<crypto::Address> signer_of(const Hash&, const crypto::Signature&);
  struct One {
    Hash digest;
    crypto::Signature signature;
    crypto::Address signer;
  };
  std::vector<One> known_;
};

// crypto::recover, or the same from the scope that stands on this thread.
Result<crypto::Address> signer_of(const Hash& digest, const crypto::Signature& signature);

}  // namespace assay::protocol
