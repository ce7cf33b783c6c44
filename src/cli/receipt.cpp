// assay receipt export | bundle
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/cli.hpp"
#include "cli/evidence_trust.hpp"
#include "cli/log_verbs.hpp"
#include "cli/receipt_input.hpp"
#include "cli/signing_key.hpp"
#include "io/files.hpp"
#include "io/system_clock.hpp"
#include "tlog/prove.hpp"
#include "tlog/receipt_entry.hpp"

namespace assay::cli {
namespace {

struct ExportOptions {
  std::string receipt, form, out, public_key_out;
  KeyOptions key;
};

struct BundleOptions {
  std::string receipt, opening, disclose = "all", log, log_proof, anchor, out;
  TrustOptions trust;
};

Status write_out(const std::string& path, std::string_view content) {
  if (!path.empty()) return io::write_file_atomic(path, view(content));
  std::fwrite(content.data(), 1, content.size(), stdout);
  return {};
}

Result<int> run_export(const ExportOptions& o) {
  TRY(const verify::Exhibit evidence, read_evidence(o.receipt));
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

void disclose(const BundleOptions& o, const protocol::Opening& opening, protocol::Bundle& bundle) {
  using protocol::TokenList;
  if (o.disclose == "all") bundle.opening = opening;
  if (o.disclose == "prompt") bundle.chunks = open_chunks(opening, TokenList::prompt);
  if (o.disclose == "answer") bundle.chunks = open_chunks(opening, TokenList::tape);
}

// Where the log has the receipt: asked for now, or a proof made before.
Result<protocol::LogEvidence> log_evidence(const BundleOptions& o, const Trust& trust,
                                           const protocol::ReceiptFile& file,
                                           const Hash& salt_secret) {
  protocol::LogEvidence out{.salt = tlog::entry_salt(file, salt_secret),
                            .log_key = o.trust.log_keys[0],
                            .witness_keys = o.trust.witness_keys};
  if (o.log.empty()) {
    TRY(out.proof, io::read_file(o.log_proof, tlog::kNoteBytesMax));
    return out;
  }
  tlog::LogPolicy policy = tlog::LogPolicy::of(trust.log.logs[0]);
  policy.witnesses = trust.log.witnesses;
  if (!policy.witnesses.empty()) policy.quorum = trust.witnesses;
  const LogSource source = open_source(o.log);
  TRY(std::string checkpoint, source.checkpoint());
  const auto proof =
      tlog::prove_entry(tlog::place_of(file), std::move(checkpoint), policy, *source.tiles);
  if (!proof && proof.error().code == Errc::not_found)
    return fail(Errc::not_found,
                "{}. Providers publish within their delay (10 s by default): try again then; if it "
                "stays away the provider holds it back. Without --log the bundle names no log",
                proof.error().message);
  if (!proof) return std::unexpected(proof.error());
  out.proof = to_string(*proof);
  return out;
}

Result<protocol::Anchor> read_anchor(const std::string& path) {
  TRY(const std::string text, io::read_file(path, 1u << 16));
  auto parsed = json::parse(text);
  if (!parsed) return fail_in(path, parsed.error());
  return protocol::anchor_from_json(*parsed);
}

Result<int> run_bundle(const Context& context, const BundleOptions& o) {
  TRY(const Trust trust, Trust::load(o.trust));
  TRY(const verify::Exhibit evidence, read_evidence(o.receipt));
  protocol::Bundle bundle{.receipt = evidence.file};
  const bool logged = !o.log.empty() || !o.log_proof.empty();
  if (logged && (o.opening.empty() || trust.log.logs.size() != 1))
    return fail(Errc::invalid,
                "a log proof needs one --log-key (the log's) and --opening (the salt ties the "
                "receipt to the log; --disclose nothing keeps the rest back)");
  if (!o.opening.empty()) {
    TRY(const protocol::Opening opening, read_opening(o.opening));
    disclose(o, opening, bundle);
    if (logged) {
      TRY(bundle.log, log_evidence(o, trust, evidence.file, opening.salt_secret));
    }
  } else if (o.disclose != "all") {
    return fail(Errc::invalid, "--disclose {} needs --opening: the tokens come from there",
                o.disclose);
  }
  if (!o.anchor.empty()) {
    TRY(bundle.anchor, read_anchor(o.anchor));
  }
  for (const auto& attestation : trust.attestations)
    bundle.aliases.push_back({trust.model.public_key_pem, attestation});
  // What is filed away must hold today: an opening of another request is found now, not in ten
  // years.
  const std::string text = to_text(bundle);
  TRY(const verify::Exhibit again, verify::evidence_from(view(text)));
  const auto report = verify::verify_evidence(again, trust.given());
  for (const auto& finding : report.findings)
    if (finding.standing == verify::Standing::failed)
      return fail(Errc::mismatch, "no bundle is written: {}: {}", finding.code, finding.text);
  CHECK_OK(write_out(o.out, text));
  if (o.out.empty()) return kOk;
  if (context.json()) {
    context.print(to_json(again, report));
  } else {
    fmt::print("{}  {}\n", o.out, dim("assay verify shows what it proves"));
    for (const std::string_view code : {"answer", "prompt", "log", "time", "anchor", "file.signed"})
      if (const auto* finding = report.find(code))
        fmt::print("  {:<10} {}\n", to_string(finding->standing), finding->text);
  }
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
                   "assay receipt export receipt.json --format dsse --key keys/provider.json --out "
                   "receipt.dsse.json");
  const auto e = std::make_shared<ExportOptions>();
  verb->add_option("RECEIPT", e->receipt, "the receipt file")->required();
  verb->add_option("--format", e->form, "cose or dsse")
      ->required()
      ->check(CLI::IsMember({"cose", "dsse"}));
  verb->add_option("--out", e->out, "file to write (default: standard output)");
  verb->add_option("--public-key-out", e->public_key_out,
                   "also write the signer's public key, as PEM, for other tools");
  add_key_options(verb, e->key, "whoever vouches for the export: the provider, or you");
  context.json_flag(verb);
  context.on_run(verb, [e] { return run_export(*e); });

  verb = context.verb(*receipt, "bundle", "one file of evidence, to be filed away or published",
                      "assay receipt bundle receipt.json --opening opening.json --log "
                      "http://127.0.0.1:8795 --log-key example.com/log+… --out evidence.json");
  const auto b = std::make_shared<BundleOptions>();
  verb->add_option("RECEIPT", b->receipt, "the receipt file, or an export of it")->required();
  verb->add_option("--opening", b->opening, "the secrets beside it: prompt, answer, salt");
  verb->add_option("--disclose", b->disclose,
                   "of the opening: all with its secret (default), only the prompt's or the "
                   "answer's tokens, or nothing")
      ->check(CLI::IsMember({"all", "prompt", "answer", "nothing"}));
  auto* log = verb->add_option("--log", b->log, "URL or folder of the log to get its proof from");
  verb->add_option("--log-proof", b->log_proof, "or a .tlog-proof file (`assay log prove`)")
      ->excludes(log);
  add_log_trust_options(verb, b->trust);
  add_model_trust_options(verb, b->trust);
  verb->add_option("--anchor", b->anchor,
                   "JSON file {chain_id, block, contract, transaction, size, root}: where a chain "
                   "has this checkpoint's root");
  verb->add_option("--out", b->out, "file to write (default: standard output)");
  context.json_flag(verb);
  context.on_run(verb, [&context, b] { return run_bundle(context, *b); });
}

}  // namespace assay::cli
