#include "verify/model_signing.hpp"

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "base/utc.hpp"
#include "crypto/sha256.hpp"

namespace assay::verify {
namespace {

using protocol::dsse::Envelope;
using protocol::dsse::Statement;

constexpr std::string_view kMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";
constexpr std::string_view kPredicate = "https://model_signing/signature/v1.0";
constexpr std::string_view kAlgorithms[] = {"sha256", "blake2b", "blake3"};

std::string fingerprint(std::string_view pem) { return to_hex_bare(crypto::sha256(view(pem))); }

Result<std::string> signer_by_key(const json::object& material, const ModelTrust& trust,
                                  const Envelope& envelope) {
  if (trust.public_key_pem.empty())
    return fail(Errc::invalid,
                "this bundle was signed by a bare key: give the signer's public key to check it");
  TRY(const json::object* key, json::get_object(material, "publicKey"));
  if (key->contains("hint")) {  // SHA-256 of the PEM text, which is not written down anywhere
    TRY(const std::string hint, json::get_string(*key, "hint"));
    if (hint != fingerprint(trust.public_key_pem))
      return fail(Errc::mismatch, "the bundle names another key: SHA-256 of its PEM is {}",
                  hint.substr(0, 64));
  }
  CHECK_OK(crypto::check_pem_signature(trust.public_key_pem, protocol::dsse::to_be_signed(envelope),
                                       envelope.signatures[0].bytes));
  return "public key " + fingerprint(trust.public_key_pem);
}

Result<std::string> signer_by_chain(const json::object& material, const ModelTrust& trust,
                                    const Envelope& envelope) {
  if (trust.certificates_pem.empty())
    return fail(Errc::invalid,
                "this bundle was signed under a certificate: give the certificates to trust");
  TRY(const json::object* holder, json::get_object(material, "x509CertificateChain"));
  TRY(const json::array* certificates, json::get_array(*holder, "certificates"));
  std::vector<Bytes> chain;
  for (const json::value& v : *certificates) {
    TRY(const json::object* certificate, json::as_object(v, "certificate"));
    TRY(const std::string encoded, json::get_string(*certificate, "rawBytes"));
    TRY(Bytes der, from_base64(encoded));
    chain.push_back(std::move(der));
  }
  TRY(const auto signer, crypto::check_chain_signature(chain, trust.certificates_pem,
                                                       protocol::dsse::to_be_signed(envelope),
                                                       envelope.signatures[0].bytes));
  const auto day = [](std::int64_t at) {
    return utc_text(static_cast<std::uint64_t>(std::max<std::int64_t>(at, 0))).substr(0, 10);
  };
  return fmt::format("certificate of '{}' (valid {} to {}, judged as of its beginning)",
                     signer.subject, day(signer.not_before_unix), day(signer.not_after_unix));
}

Result<std::string> signer_of(const json::object& material, const ModelTrust& trust,
                              const Envelope& envelope) {
  if (!material.contains("tlogEntries"))
    return fail(Errc::invalid, "verificationMaterial: tlogEntries is missing");
  if (material.contains("certificate"))
    return fail(Errc::unsupported,
                "keyless Sigstore signatures (a Fulcio certificate with a Rekor entry) are not "
                "supported: ask the publisher for one by key or certificate chain");
  if (material.contains("publicKey")) return signer_by_key(material, trust, envelope);
  if (material.contains("x509CertificateChain")) return signer_by_chain(material, trust, envelope);
  return fail(Errc::invalid, "verificationMaterial: neither publicKey nor x509CertificateChain");
}

Result<SignedResource> resource_from(const json::value& v) {
  TRY(const json::object* o, json::as_object(v, "resource"));
  SignedResource out;
  TRY(out.name, json::get_string(*o, "name"));
  TRY(out.algorithm, json::get_string(*o, "algorithm"));
  TRY(out.digest, json::get_string(*o, "digest"));
  if (std::ranges::find(kAlgorithms, out.algorithm) == std::end(kAlgorithms))
    return fail(Errc::unsupported, "resource '{}': algorithm '{}' is not known", out.name,
                out.algorithm);
  return out;
}

Status read_predicate(const Statement& statement, ModelSignature& out) {
  TRY(const json::array* resources, json::get_array(statement.predicate, "resources"));
  TRY(const json::object* how, json::get_object(statement.predicate, "serialization"));
  TRY(out.method, json::get_string(*how, "method"));
  if (out.method != "files" && out.method != "shards")
    return fail(Errc::unsupported, "serialization method '{}' is not known", out.method);
  crypto::Sha256 root;
  for (const json::value& v : *resources) {
    TRY(SignedResource resource, resource_from(v));
    // Bytes of UTF-8 sort as code points do.
    if (!out.resources.empty() && resource.name <= out.resources.back().name)
      return fail(Errc::invalid, "the resources are not sorted by name, or one repeats: '{}'",
                  resource.name);
    TRY(const Bytes digest, from_hex(resource.digest));
    if (to_hex_bare(digest) != resource.digest)
      return fail(Errc::invalid, "resource '{}': the digest is not lower-case hexadecimal",
                  resource.name);
    root.update(digest);
    out.resources.push_back(std::move(resource));
  }
  out.root = root.finish();
  return {};
}

}  // namespace

Result<ModelSignature> verify_model_signature(const json::object& bundle, const ModelTrust& trust) {
  TRY(const std::string media_type, json::get_string(bundle, "mediaType"));
  if (media_type != kMediaType)
    return fail(Errc::unsupported, "bundle of type '{}': only '{}' is supported", media_type,
                kMediaType);
  TRY(const json::object* material, json::get_object(bundle, "verificationMaterial"));
  TRY(const json::object* inner, json::get_object(bundle, "dsseEnvelope"));
  TRY(const Envelope envelope, protocol::dsse::envelope_from_json(*inner));
  if (envelope.signatures.size() != 1)
    return fail(Errc::invalid, "the bundle has {} signatures where one is expected",
                envelope.signatures.size());
  ModelSignature out;
  TRY(out.signer, signer_of(*material, trust, envelope));

  TRY(const Statement statement, protocol::dsse::statement_from(envelope));
  if (statement.predicate_type != kPredicate)
    return fail(Errc::unsupported, "predicate '{}' is not '{}'", statement.predicate_type,
                kPredicate);
  if (statement.subjects.size() != 1 || statement.subjects[0].digest_name != "sha256")
    return fail(Errc::invalid, "the statement must have one subject with a sha256 digest");
  CHECK_OK(read_predicate(statement, out));
  if (statement.subjects[0].digest != to_hex_bare(out.root))
    return fail(Errc::mismatch, "the subject's digest is not that of the resources listed");
  out.model = statement.subjects[0].name;
  return out;
}

const SignedResource* find_file(const ModelSignature& signature, const Hash& sha256) {
  const std::string digest = to_hex_bare(sha256);
  for (const SignedResource& r : signature.resources)
    if (r.algorithm == "sha256" && signature.method == "files" && r.digest == digest) return &r;
  return nullptr;
}

}  // namespace assay::verify
