// assay model verify-signature
#include <CLI/CLI.hpp>
#include <memory>

#include "base/hex.hpp"
#include "cli/cli.hpp"
#include "cli/evidence_trust.hpp"
#include "cli/model_verbs.hpp"
#include "crypto/sha256.hpp"
#include "io/files.hpp"

namespace assay::cli {
namespace {

struct ModelSignatureOptions {
  std::string bundle, public_key, certificates, model;
};

json::object model_signature_document(const verify::ModelSignature& s,
                                      const verify::SignedResource* file) {
  json::array resources;
  for (const auto& r : s.resources)
    resources.push_back(
        json::object{{"name", r.name}, {"algorithm", r.algorithm}, {"digest", r.digest}});
  return {{"ok", true},
          {"signer", s.signer},
          {"model", s.model},
          {"root", to_hex(s.root)},
          {"method", s.method},
          {"file", file == nullptr ? json::value(nullptr) : json::value(file->name)},
          {"resources", std::move(resources)}};
}

Result<int> run_model_signature(const Context& context, const ModelSignatureOptions& o) {
  TRY(const json::object bundle, read_model_signature(o.bundle));
  TRY(const verify::ModelTrust trust, read_model_trust(o.public_key, o.certificates));
  const auto signature = verify::verify_model_signature(bundle, trust);
  if (!signature) return fail_in(o.bundle, signature.error());
  const verify::SignedResource* file = nullptr;
  if (!o.model.empty()) {
    TRY(const io::MappedFile mapped, io::MappedFile::open(o.model));
    const Hash sha256 = crypto::sha256(mapped.bytes());
    file = verify::find_file(*signature, sha256);
    if (file == nullptr)
      return fail(Errc::mismatch, "{} (SHA-256 {}) is not among the files that {} signed", o.model,
                  to_hex_bare(sha256), signature->signer);
  }
  if (context.json()) {
    context.print(model_signature_document(*signature, file));
    return kOk;
  }
  fmt::print("{} '{}', {} {}, signed by {}\n", green("✓"), signature->model,
             signature->resources.size(), signature->method, signature->signer);
  for (const auto& r : signature->resources)
    fmt::print("  {} {} {}\n", r.algorithm, r.digest, r.name);
  if (file != nullptr) fmt::print("{} {} is '{}' of it\n", green("✓"), o.model, file->name);
  fmt::print("{}\n", dim("It says who vouches for these files, not that the model is good. Whoever "
                         "answers with it is named by a receipt."));
  return kOk;
}

}  // namespace

void add_model_signature(CLI::App& model, Context& context) {
  CLI::App* verb = context.verb(
      model, "verify-signature", "who signed a model's files (OpenSSF Model Signing)",
      "assay model verify-signature model.sig --public-key publisher.pem --model tern-q8_0.gguf");
  const auto o = std::make_shared<ModelSignatureOptions>();
  verb->add_option("BUNDLE", o->bundle, "the signature: a Sigstore bundle, often model.sig")
      ->required();
  auto* key = verb->add_option("--public-key", o->public_key, "PEM: the signer's public key");
  verb->add_option("--certificates", o->certificates,
                   "PEM: certificates that may end the signer's chain")
      ->excludes(key);
  verb->add_option("--model", o->model, "a file that must be among those signed");
  context.json_flag(verb);
  context.on_run(verb, [&context, o] { return run_model_signature(context, *o); });
}

}  // namespace assay::cli
