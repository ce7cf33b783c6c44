// assay receipt export | bundle
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/cli.hpp"
#include "cli/receipt_input.hpp"
#include "cli/signing_key.hpp"
#include "io/files.hpp"
#include "io/system_clock.hpp"

namespace assay::cli {
namespace {

struct ExportOptions {
  std::string receipt, form, out, public_key_out;
  KeyOptions key;
};

struct BundleOptions {
  std::string receipt, opening, chunks, log_proof, log_key, alias, alias_key, out;
  std::vector<std::string> witness_keys;
};

Status write_out(const std::string& path, std::string_view content) {
  if (!path.empty()) return io::write_file_atomic(path, view(content));
  std::fwrite(content.data(), 1, content.size(), stdout);
  return {};
}

Result<int> run_export(const ExportOptions& o) {
  TRY(const verify::Evidence evidence, read_evidence(o.receipt));
  TRY(const crypto::SecretKey key, load_key(o.key));
  const auto now = static_cast<std::uint64_t>(io::SystemClock().now_ms() / 1000);
  if (o.form == "cose") {
    if (o.out.empty() && stdout_is_terminal())
      return fail(Errc::invalid, "COSE is binary: name a file with --out");
    TRY(const Bytes encoded, protocol::export_cose(evidence.file, now, key));
    CHECK_OK(write_out(o.out, text(encoded)));
  } else {
    TRY(const std::string envelope, protocol::export_dsse(evidence.file, now, key));
    CHECK_OK(write_out(o.out, envelope));
  }
  if (!o.public_key_out.empty())
    CHECK_OK(
        io::write_file_atomic(o.public_key_out, view(crypto::to_pem(crypto::public_key_of(key)))));
  return kOk;
}

Status add_opening(const BundleOptions& o, protocol::Bundle& bundle) {
  if (o.opening.empty()) {
    if (!o.chunks.empty())
      return fail(Errc::invalid, "--disclose {} needs --opening: the tokens come from there",
                  o.chunks);
    return {};
  }
  TRY(protocol::Opening opening, read_opening(o.opening));
  if (o.chunks.empty()) {
    bundle.opening = std::move(opening);
    return {};
  }
  bundle.chunks = open_chunks(
      opening, o.chunks == "prompt" ? protocol::TokenList::prompt : protocol::TokenList::tape);
  return {};
}

Result<int> run_bundle(const BundleOptions& o) {
  TRY(const verify::Evidence evidence, read_evidence(o.receipt));
  protocol::Bundle bundle{.receipt = evidence.file};
  CHECK_OK(add_opening(o, bundle));
  if (!o.log_proof.empty()) {
    protocol::LogEvidence log{.log_key = o.log_key, .witness_keys = o.witness_keys};
    TRY(log.proof, io::read_file(o.log_proof, 1u << 20));
    bundle.log = std::move(log);
  }
  if (!o.alias.empty()) {
    TRY(const std::string signature, io::read_file(o.alias));
    TRY(const json::value parsed, json::parse(signature));
    TRY(const json::object* object, json::as_object(parsed, o.alias));
    protocol::AliasAttestation alias{.bundle = *object};
    if (!o.alias_key.empty()) {
      TRY(alias.public_key, io::read_file(o.alias_key));
    }
    bundle.aliases.push_back(std::move(alias));
  }
  // What is filed away must hold today: an opening of another request is found now, not in ten
  // years.
  const std::string text = to_text(bundle);
  TRY(const verify::Evidence again, verify::evidence_from(view(text)));
  for (const auto& finding : verify::verify_evidence(again, {}).findings)
    if (finding.standing == verify::Standing::failed)
      return fail(Errc::mismatch, "no bundle is written: {}: {}", finding.code, finding.text);
  CHECK_OK(write_out(o.out, text));
  return kOk;
}

}  // namespace

void add_receipt(CLI::App& app, Context& context) {
  CLI::App* receipt =
      context.verb(app, "receipt", "a receipt in the forms that other people's tools read",
                   "assay receipt bundle receipt.json --opening opening.json --out evidence.json");
  receipt->require_subcommand(1);

  CLI::App* verb =
      context.verb(*receipt, "export", "as COSE_Sign1, or as an in-toto statement in DSSE",
                   "assay receipt export receipt.json --as dsse --key keys/provider.json --out "
                   "receipt.dsse.json");
  const auto e = std::make_shared<ExportOptions>();
  verb->add_option("RECEIPT", e->receipt, "the receipt file")->required();
  verb->add_option("--as", e->form, "cose or dsse")
      ->required()
      ->check(CLI::IsMember({"cose", "dsse"}));
  verb->add_option("--out", e->out, "file to write (default: standard output)");
  verb->add_option("--public-key-out", e->public_key_out,
                   "also write the signer's public key, as PEM, for other tools");
  add_key_options(verb, e->key, "whoever vouches for the export: the provider, or you");
  context.json_flag(verb);
  context.on_run(verb, [e] { return run_export(*e); });

  verb = context.verb(*receipt, "bundle", "one file of evidence, to be filed away or published",
                      "assay receipt bundle receipt.json --opening opening.json --disclose answer "
                      "--out evidence.json");
  const auto b = std::make_shared<BundleOptions>();
  verb->add_option("RECEIPT", b->receipt, "the receipt file, or an export of it")->required();
  verb->add_option("--opening", b->opening, "disclose prompt and answer, and the salt secret");
  verb->add_option("--disclose", b->chunks, "only this of the opening, and no secret")
      ->check(CLI::IsMember({"prompt", "answer"}));
  auto* proof = verb->add_option("--log-proof", b->log_proof, "a .tlog-proof file");
  verb->add_option("--log-key", b->log_key, "the log's verifier key")->needs(proof);
  verb->add_option("--witness-key", b->witness_keys, "a witness's verifier key; may be repeated")
      ->needs(proof);
  auto* alias = verb->add_option("--model-signature", b->alias,
                                 "an OpenSSF Model Signing bundle over the model's files");
  verb->add_option("--model-signer", b->alias_key, "PEM: its signer's public key")->needs(alias);
  verb->add_option("--out", b->out, "file to write (default: standard output)");
  context.json_flag(verb);
  context.on_run(verb, [b] { return run_bundle(*b); });
}

}  // namespace assay::cli
