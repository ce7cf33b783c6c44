#include "cli/evidence_trust.hpp"

#include <CLI/CLI.hpp>

#include "io/files.hpp"

namespace assay::cli {
namespace {

Result<std::vector<tlog::VerifierKey>> keys(const std::vector<std::string>& texts,
                                            std::string_view option, tlog::KeyType type) {
  std::vector<tlog::VerifierKey> out;
  for (const auto& text : texts) {
    auto key = tlog::VerifierKey::parse(text);
    if (!key) return fail_in(option, key.error());
    if (key->type != type)
      return fail(Errc::invalid, "{}: '{}' is a key for {}", option, key->name,
                  type == tlog::KeyType::ed25519 ? "a witness" : "a log");
    out.push_back(std::move(*key));
  }
  return out;
}

}  // namespace

void add_log_trust_options(CLI::App* verb, TrustOptions& options) {
  verb->add_option("--log-key", options.log_keys, "key (vkey) of a log to believe; repeat for more")
      ->allow_extra_args(false);
  verb->add_option("--witness-key", options.witness_keys,
                   "key (vkey) of a witness to believe; repeat for more")
      ->allow_extra_args(false);
  verb->add_option("--witnesses", options.witnesses,
                   "how many of them must have cosigned to prove a time (default 1)")
      ->check(CLI::Range(1, 64));
}

void add_model_trust_options(CLI::App* verb, TrustOptions& options) {
  verb->add_option("--model-signature", options.model_signatures,
                   "OpenSSF Model Signing bundle over the model's files; repeat for more")
      ->allow_extra_args(false);
  auto* signer = verb->add_option("--model-signer", options.model_signer,
                                  "public key (PEM) of who is to have signed the model's files");
  verb->add_option("--model-certificates", options.model_certificates,
                   "certificates (PEM) that may end the chain of who signed the model's files")
      ->excludes(signer);
}

Result<Trust> Trust::load(const TrustOptions& options) {
  Trust out;
  TRY(out.log.logs, keys(options.log_keys, "--log-key", tlog::KeyType::ed25519));
  TRY(out.log.witnesses, keys(options.witness_keys, "--witness-key", tlog::KeyType::cosignature));
  out.witnesses = options.witnesses;
  TRY(out.model, read_model_trust(options.model_signer, options.model_certificates));
  for (const auto& path : options.model_signatures) {
    TRY(auto signature, read_model_signature(path));
    out.attestations.push_back(std::move(signature));
  }
  return out;
}

verify::Given Trust::given() const {
  verify::Given out{.attestations = attestations, .witnesses = witnesses};
  if (!model.public_key_pem.empty() || !model.certificates_pem.empty()) out.model_signer = &model;
  out.log = [this](const protocol::LogEvidence& evidence, const protocol::ReceiptFile& file) {
    return tlog::place_in_log(evidence, file, log);
  };
  return out;
}

Result<verify::ModelTrust> read_model_trust(const std::string& public_key,
                                            const std::string& certificates) {
  verify::ModelTrust out;
  if (!public_key.empty()) {
    TRY(out.public_key_pem, io::read_file(public_key, 1u << 20));
  }
  if (!certificates.empty()) {
    TRY(out.certificates_pem, io::read_file(certificates, 1u << 20));
  }
  return out;
}

Result<json::object> read_model_signature(const std::string& path) {
  TRY(const std::string text, io::read_file(path, protocol::kFileBytesMax));
  auto parsed = json::parse(text, protocol::kFileBytesMax);
  if (!parsed) return fail_in(path, parsed.error());
  TRY(const json::object* object, json::as_object(*parsed, path));
  return *object;
}

}  // namespace assay::cli
