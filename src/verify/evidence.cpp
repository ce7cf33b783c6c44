#include "verify/evidence.hpp"

#include <map>

#include "base/hex.hpp"

namespace assay::verify {
namespace {

using protocol::Bundle;
using protocol::TokenList;

constexpr std::uint8_t kCoseSign1 = 0xd2;  // tag 18

void add(VerifyReport& report, std::string code, Standing standing, std::string text) {
  report.findings.push_back({std::move(code), standing, std::move(text)});
}

void judge_export(const Evidence& e, VerifyReport& report) {
  const bool provider = e.exported->signer == e.file.lease.message.provider;
  add(report, "export.signature", Standing::proven,
      fmt::format("{} signed this export{}; its claims are the receipt's own",
                  e.exported->signer.to_string(), provider ? ", the provider itself" : ""));
  add(report, "export.time", Standing::claimed,
      fmt::format("the export was made at Unix time {}; its signer's word", e.exported->issued_at));
}

// Chunks of one list; where they are all of it, they prove as much as an opening does.
void judge_chunks(const Bundle& bundle, TokenList list, VerifyReport& report) {
  const std::string what = list == TokenList::prompt ? "prompt" : "answer";
  const std::uint32_t tokens = list == TokenList::prompt
                                   ? bundle.receipt.request.message.prompt_count
                                   : bundle.receipt.receipt.message.count;
  std::map<std::uint32_t, std::size_t> opened;  // chunk → tokens
  for (const auto& chunk : bundle.chunks) {
    if (chunk.list != list) continue;
    const auto ids = check_chunk(bundle.receipt, chunk);
    if (!ids) return add(report, what + ".chunks", Standing::failed, ids.error().message);
    opened[chunk.chunk] = ids->size();
  }
  if (opened.empty()) return;
  std::size_t disclosed = 0;
  for (const auto& [chunk, size] : opened) disclosed += size;
  add(report, what + ".chunks", Standing::proven,
      fmt::format("{} of the {} {} tokens are in the bundle, and are what was signed", disclosed,
                  tokens, what));
  if (disclosed != tokens) return;
  for (Finding& f : report.findings)
    if (f.code == what && f.standing == Standing::unchecked)
      f = {what, Standing::proven,
           fmt::format("the bundle's chunks are all {} {} tokens that were signed", tokens, what)};
}

void judge_aliases(const Bundle& bundle, const ModelTrust* trust, VerifyReport& report) {
  const auto* offered = protocol::offered_model(bundle.receipt);
  for (const auto& alias : bundle.aliases) {
    if (trust == nullptr) {
      add(report, "file.signed", Standing::unchecked,
          "somebody's signature over the model's files is in the bundle: --model-signer FILE "
          "checks "
          "whose it is");
      continue;
    }
    const auto signature = verify_model_signature(alias.bundle, *trust);
    if (!signature) {
      add(report, "file.signed", Standing::failed, signature.error().message);
      continue;
    }
    const auto* file = offered == nullptr ? nullptr : find_file(*signature, offered->file_alias);
    if (file == nullptr)
      add(report, "file.signed", Standing::failed,
          fmt::format("what {} signed does not list the file that the offer names",
                      signature->signer));
    else
      add(report, "file.signed", Standing::proven,
          fmt::format("signed by {}: the file the offer names is '{}' of '{}'", signature->signer,
                      file->name, signature->model));
  }
}

void judge_bundle(const Bundle& bundle, const Given& given, VerifyReport& report) {
  judge_chunks(bundle, TokenList::prompt, report);
  judge_chunks(bundle, TokenList::tape, report);
  judge_aliases(bundle, given.model_signer, report);
  if (bundle.log)
    add(report, "log", Standing::unchecked,
        "that a public log has it: a proof is in the bundle, which nothing here read");
  if (bundle.anchor)
    add(report, "anchor", Standing::unchecked,
        fmt::format("that chain {} carries the log's root since block {}: look up transaction {}",
                    bundle.anchor->chain_id, bundle.anchor->block,
                    to_hex(bundle.anchor->transaction)));
}

}  // namespace

Result<Evidence> evidence_from(ByteView bytes) {
  if (!bytes.empty() && bytes[0] == kCoseSign1) {
    TRY(protocol::Exported exported, protocol::import_cose(bytes));
    return Evidence{exported.file, "cose", std::move(exported), std::nullopt};
  }
  const auto parsed = json::parse(text(bytes), protocol::kFileBytesMax);
  if (!parsed || !parsed->is_object())
    return fail(Errc::invalid,
                "neither a receipt file, nor a COSE or DSSE export of one, nor a bundle{}{}",
                parsed ? "" : ": ", parsed ? "" : parsed.error().message);
  const json::object& o = parsed->get_object();
  if (o.contains("payloadType")) {
    TRY(protocol::Exported exported, protocol::import_dsse(o));
    return Evidence{exported.file, "dsse", std::move(exported), std::nullopt};
  }
  const json::value* tag = o.if_contains("assay");
  if (tag != nullptr && tag->is_string() && tag->get_string().starts_with("bundle/")) {
    TRY(Bundle bundle, protocol::bundle_from_json(o));
    return Evidence{bundle.receipt, "bundle", std::nullopt, std::move(bundle)};
  }
  TRY(protocol::ReceiptFile file, protocol::receipt_file_from_json(o));
  return Evidence{std::move(file), "receipt", std::nullopt, std::nullopt};
}

VerifyReport verify_evidence(const Evidence& evidence, const Given& given, SignatureMemo* memo) {
  const protocol::Opening* opening = given.opening;
  if (opening == nullptr && evidence.bundle && evidence.bundle->opening)
    opening = &*evidence.bundle->opening;
  VerifyReport report = verify_receipt(evidence.file, opening, given.identity, memo);
  if (evidence.exported) judge_export(evidence, report);
  if (evidence.bundle) judge_bundle(*evidence.bundle, given, report);
  return report;
}

}  // namespace assay::verify
