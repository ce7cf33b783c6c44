// OpenSSF Model Signing bundles (spec v1.0): who vouches for which files of a model. A Sigstore
// bundle v0.3 around a DSSE envelope around an in-toto statement that lists every file's digest.
//
// The subject's digest covers the files' digests in order, but neither their names nor their sizes
// (those are only in the signed list); what a receipt names is the execution id, which is our own.
#pragma once
#include "crypto/pki.hpp"
#include "protocol/dsse.hpp"

namespace assay::verify {

struct SignedResource {
  std::string name{};       // path in the model's folder; "path:start:end" where it is a shard
  std::string algorithm{};  // "sha256", "blake2b", "blake3"
  std::string digest{};     // hexadecimal, lower case
};

struct ModelSignature {
  std::string signer{};  // "public key …" by the SHA-256 of its PEM, or a certificate's subject
  std::string model{};   // the subject's name
  Hash root{};
  std::string method{};  // "files" or "shards"
  std::vector<SignedResource> resources{};
};

// Whom to believe: exactly one is to be given.
struct ModelTrust {
  std::string public_key_pem{};
  std::string certificates_pem{};  // any of them may end the signer's chain
};

// Errors: invalid for what is no such bundle; unsupported, by name, for keyless Sigstore signatures
// (Fulcio and Rekor), other media types and predicates; mismatch when the signature, the chain or
// the root is wrong.
Result<ModelSignature> verify_model_signature(const json::object& bundle, const ModelTrust& trust);
// Whether it lists a file with this SHA-256, whatever its name; null when not.
const SignedResource* find_file(const ModelSignature& signature, const Hash& sha256);

}  // namespace assay::verify
